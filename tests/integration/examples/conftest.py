"""Models over a connector `box`, whose examples are run as `orderly test` runs them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.memory import Memory
from connectors.registry import Registry
from flows.examples.driving import World
from flows.examples.testing import ModelResult, run_examples
from flows.examples.worlds import played
from flows.settings import load_settings
from request_models.actions import ActionSpec, EffectClass
from request_models.compiler import compile_model, load_model
from request_models.diagnostics import render_text
from request_models.value_types import ArrayType, IntegerType, Member, ObjectType, StringType, ValueType

Tried = Callable[[str], ModelResult]

HEAD = """\
model: boxes
title: Boxes
kind: resource
service: boxes
owners: {accountable: boxes-owner}
due: {within: P1D}
"""


def members(required: dict[str, ValueType], **optional: ValueType) -> ObjectType:
    made = {name: Member(type=kind, required=True) for name, kind in required.items()}
    return ObjectType(members={**made, **{name: Member(type=kind) for name, kind in optional.items()}})


NAME = members({"name": StringType(pattern="^[a-z0-9-]{1,20}$")})
STATE = StringType(enum=("busy", "ready", "broken"))


def _spec(name: str, arguments: ObjectType, result: ValueType, effect: EffectClass) -> ActionSpec:
    probes = effect is EffectClass.HAS_PROBE
    return ActionSpec(name=f"box.{name}", title=name, arguments=arguments, result=result, effect=effect, probes=probes)


SPECS = (
    _spec("make", NAME, members({"id": StringType()}, size=IntegerType(), note=StringType()), EffectClass.IDEMPOTENT),
    _spec("drop", NAME, ObjectType(), EffectClass.IDEMPOTENT),
    _spec("look", NAME, members({"state": STATE}, items=ArrayType(items=StringType())), EffectClass.READ_ONLY),
    _spec("once", NAME, members({"id": StringType()}), EffectClass.NOT_REPEATABLE),
    _spec("found", NAME, members({"id": StringType()}), EffectClass.HAS_PROBE),
)


@pytest.fixture
def registry() -> Registry:
    """The connector `box`; it is never called here."""
    memory = Memory("box")
    for spec in SPECS:
        memory.define(spec)
    return Registry([memory])


@pytest.fixture
def world(registry: Registry, tmp_path: Path) -> Iterator[World]:
    """A world in which examples are played."""
    with played(registry, load_settings(state=tmp_path, public={"size": 3})) as ready:
        yield ready


@pytest.fixture
def tried(world: World, registry: Registry) -> Tried:
    """Run the examples of a model, given without its head."""

    def run(text: str) -> ModelResult:
        source, diagnostics = load_model("boxes.yaml", HEAD + text)
        assert source is not None, render_text(diagnostics)
        return run_examples(world, source, compile_model(source, registry, {"size": 3}))

    return run

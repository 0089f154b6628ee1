"""Nothing is silent: whatever field of a plan changes, the digest and what is told change together.

The changes are made from the types of the plan's fields, so a field that a later version adds is changed here too.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from request_models.differences.changes import Area
from request_models.differences.difference import Difference, difference
from request_models.plan import (
    Expression,
    Group,
    ListOf,
    Literal,
    MapOf,
    Parallel,
    Plan,
    Question,
    Step,
    Text,
    plan_from_json,
)

GOLDEN = Path(__file__).parents[2] / "golden"
TEXTS = {(Plan, "title"), (Plan, "summary"), (Plan, "input_order"), (Question, "ask")}
UNTOLD = {(Step, "title"), (Group, "title"), (Parallel, "title"), *TEXTS}


def rich_plan() -> Plan:
    """The golden plan with every key, and what has only one of something with a second."""
    plan = plan_from_json(json.loads((GOLDEN / "every-key" / "plan.json").read_text(encoding="utf-8")))
    return replace(
        plan,
        approvals=(*plan.approvals, replace(plan.approvals[0], id="second", before=None)),
        notify=(*plan.notify, replace(plan.notify[0], states=("rejected",), subject=Text("Again {{ request.id }}"))),
        triggers=(*plan.triggers, replace(plan.triggers[0], source="grafana", when=None)),
        verify=(*plan.verify, replace(plan.verify[0], path="verify.2", expect=None)),
        questions=(*plan.questions, Question("again", {"en": "Again?"})),
        locks=(*plan.locks, Literal("all-boxes"), ListOf((Expression("inputs.size"), MapOf({"a": Literal(1)})))),
        suppliers=(*plan.suppliers, replace(plan.suppliers[0], name="other", steps=("ready", "create"))),
        calendars={"maintenance": {"zone": "Europe/Berlin", "open": ["sun"]}},
    )


def made(wanted: Any) -> Any:
    """Any value of a type of the plan's fields."""
    if get_origin(wanted) in {Union, UnionType}:
        options = [one for one in get_args(wanted) if one is not type(None)]
        wanted = options[0] if len(options) == 1 else next((one for one in (Expression, Step) if one in options), str)
    origin = get_origin(wanted) or wanted
    if origin is tuple:
        return (made(get_args(wanted)[0]),)
    if origin is Mapping:
        return {"added": made(get_args(wanted)[1])}
    if isinstance(origin, type) and is_dataclass(origin):
        hints = get_type_hints(origin)
        needed = [one for one in fields(origin) if one.default is MISSING and one.default_factory is MISSING]
        return origin(**{one.name: made(hints[one.name]) for one in needed or fields(origin)[:1]})
    if isinstance(origin, type) and issubclass(origin, StrEnum):
        return list(origin)[-1]
    return {int: 7, float: 7.5, bool: True}.get(wanted, "added")


def others(value: Any, wanted: Any) -> Iterator[Any]:
    """Values of the same type that are not this one."""
    if value is None:
        yield made(wanted)
        return
    if type(None) in get_args(wanted):
        yield None
    match value:
        case StrEnum():
            yield next(one for one in type(value) if one is not value)
        case bool():
            yield not value
        case int() | float():
            yield value + 1
        case str():
            yield f"{value}x"
        case tuple():
            yield value[1:] if value else made(wanted)
            yield tuple(reversed(value))
        case dict():
            extra = made(wanted)
            yield {**value, **(extra if isinstance(extra, dict) else {"added": extra})}
            yield dict(list(value.items())[1:])
        case _ if is_dataclass(value):
            yield made(wanted)
        case _:
            return


def mutations(part: Any) -> Iterator[tuple[tuple[type, str], Any]]:
    """Every plan part with one field changed, anywhere in it: (class, field), and the part as it is then."""
    hints = get_type_hints(type(part))
    for item in fields(part):
        value = getattr(part, item.name)
        for other in others(value, hints[item.name]):
            if other != value or repr(other) != repr(value):
                yield (type(part), item.name), replace(part, **{item.name: other})
        for where, inner in inside(value):
            yield where, replace(part, **{item.name: inner})


def inside(value: Any) -> Iterator[tuple[tuple[type, str], Any]]:
    match value:
        case tuple():
            for index, one in enumerate(value):
                for where, changed in inside(one):
                    yield where, (*value[:index], changed, *value[index + 1 :])
        case dict():
            for key, one in value.items():
                for where, changed in inside(one):
                    yield where, {**value, key: changed}
        case _ if is_dataclass(value):
            yield from mutations(value)
        case _:
            return


PLAN = rich_plan()
MUTATIONS = list(mutations(PLAN))


@cache
def compared(number: int) -> Difference:
    return difference(PLAN, MUTATIONS[number][1])


def classes(wanted: Any, known: set[type]) -> set[type]:
    """All classes that a plan is made of, by the types of their fields."""
    if isinstance(wanted, type) and is_dataclass(wanted) and wanted not in known:
        known.add(wanted)
        for hint in get_type_hints(wanted).values():
            classes(hint, known)
    for argument in get_args(wanted):
        classes(argument, known)
    return known


def test_every_field_of_every_part_of_a_plan_is_changed_here() -> None:
    wanted = {(kind, item.name) for kind in classes(Plan, set()) for item in fields(kind)}

    assert wanted - {where for where, _ in MUTATIONS} == set()


@pytest.mark.parametrize("number", range(8))
def test_one_changed_field_changes_the_digest_and_what_is_told_or_neither(number: int) -> None:
    assert len(MUTATIONS) > 500
    for index in range(number, len(MUTATIONS), 8):
        kind, field = MUTATIONS[index][0]
        found = compared(index)
        told = [change.message for change in found.changes if change.area is not Area.TEXTS]
        assert found.same_plan == (not told), f"{kind.__name__}.{field}: {told}"
        for change in found.changes:
            assert change.message.strip()
            assert "\n" not in change.message
        if (kind, field) in TEXTS:
            assert found.same_plan
            assert found.changes or field == "input_order", f"{kind.__name__}.{field}"


@given(st.lists(st.sampled_from(MUTATIONS), min_size=2, max_size=2))
def test_two_versions_that_differ_are_never_told_as_the_same(two: list[Any]) -> None:
    (_, before), (_, after) = two
    found = difference(before, after)

    assert found.same_plan == (not [change for change in found.changes if change.area is not Area.TEXTS])


NEVER_ALONE = {
    ("Plan", "plan_format"),  # two plans of one version of Orderly have one format
    ("Plan", "inputs"),  # the keys around the properties are always the same
    ("Read", "path"),  # the number of a look, which has no name
    ("UndoAction", "hosts"),  # what an undo takes from its step is told of the step
    ("UndoAction", "target"),
}


def test_every_field_has_words_of_its_own() -> None:
    unworded = {
        (kind.__name__, field)
        for index, ((kind, field), _) in enumerate(MUTATIONS)
        for change in compared(index).changes
        if re.search(r"has another (?!interface)|is written otherwise:", change.message)
    }

    assert unworded - NEVER_ALONE == set()

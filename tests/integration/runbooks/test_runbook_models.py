"""The shipped models that run runbooks: they compile, and refuse what a host could not take as data."""

from pathlib import Path
from typing import Any

import pytest

import request_models
from connectors.registry import ConnectorContext, Registry
from request_models.compiler import compile_model
from request_models.inputs import validate_inputs
from request_models.loading import load_catalogue
from request_models.plan import Plan

CATALOGUE = Path(request_models.__file__).parent / "catalogue"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6l4g6mDkRuTvlBFjSYq4UhJ3bbWJ3TJyJ5pr8uJz0a anna@desk"
INPUTS: dict[str, dict[str, Any]] = {
    "linux-account": {"account": "anna", "full_name": "Anna Berg", "ssh_key": KEY},
    "project-space": {"project": "apollo", "purpose": "To the moon"},
}


@pytest.fixture
def plans(tmp_path: Path) -> dict[str, Plan]:
    loaded = load_catalogue([CATALOGUE])
    with Registry.discover({}, ConnectorContext(tmp_path)) as registry:
        compiled = {
            source.model: compile_model(source, registry, {}) for source in loaded.models if source.model in INPUTS
        }
    assert [compilation.diagnostics for compilation in compiled.values() if compilation.diagnostics] == []
    return {model: compilation.plan for model, compilation in compiled.items() if compilation.plan is not None}


def test_the_models_compile_and_pin_the_runbooks_of_their_steps_and_undos(plans: dict[str, Plan]) -> None:
    assert set(plans) == set(INPUTS)
    assert {model: len(plan.content_digests) for model, plan in plans.items()} == {
        "linux-account": 2,
        "project-space": 2,
    }


def test_the_ordinary_inputs_are_taken(plans: dict[str, Plan]) -> None:
    assert {model: validate_inputs(plans[model], inputs)[1] for model, inputs in INPUTS.items()} == {
        "linux-account": [],
        "project-space": [],
    }


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("linux-account", "account", "-rf"),
        ("linux-account", "account", "anna\n"),
        ("linux-account", "account", "$(touch x)"),
        ("linux-account", "full_name", "Anna:0:0"),
        ("linux-account", "full_name", "Anna\nroot::0:0::/:/bin/sh"),
        ("linux-account", "full_name", "Anna\u2028"),
        ("linux-account", "full_name", "x" * 1_000_000),
        ("linux-account", "full_name", {"__ansible_vault": "x"}),
        ("linux-account", "ssh_key", 'command="id" ' + KEY),
        ("linux-account", "ssh_key", KEY + "\n" + KEY),
        ("linux-account", "groups", ["developers", "; touch x"]),
        ("linux-account", "ends", "2031-02-31"),
        ("project-space", "project", "../../x"),
        ("project-space", "project", "apollo\n"),
        ("project-space", "purpose", "two\nlines"),
        ("project-space", "purpose", "nul \u0000"),
        ("project-space", "region", "{{ 7 * 6 }}"),
    ],
    ids=lambda part: repr(part)[:24],
)
def test_an_input_that_would_be_more_than_data_is_refused_by_its_schema(
    plans: dict[str, Plan], model: str, name: str, value: Any
) -> None:
    _, problems = validate_inputs(plans[model], {**INPUTS[model], name: value})
    assert [problem.pointer.split("/")[1] for problem in problems] == [name]


def test_the_models_and_the_runbooks_ask_for_the_same_patterns(plans: dict[str, Plan], tmp_path: Path) -> None:
    with Registry.discover({}, ConnectorContext(tmp_path)) as registry:
        account = registry.spec("runbook.linux_account")
    assert account is not None
    inputs: Any = plans["linux-account"].inputs["properties"]
    members: Any = account.arguments.members
    assert inputs["full_name"]["pattern"] == members["full_name"].type.pattern
    assert inputs["account"]["pattern"] == members["account"].type.pattern
    assert inputs["ssh_key"]["pattern"].replace(" ", "\\u0020") == members["ssh_keys"].type.items.pattern

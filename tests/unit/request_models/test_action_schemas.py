"""The schema of models with the arguments of actions: it knows them, and refuses nothing that the compiler accepts."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from request_models.action_schemas import with_actions
from request_models.actions import ActionSpec
from request_models.compiler import Compilation
from request_models.editing.catalogue import Knowledge
from request_models.editor_schema import editor_schema
from request_models.value_types import LazyType, Member, ObjectType
from request_models.yaml_source import read_yaml

GOLDEN = Path(__file__).parents[2] / "golden"
RIGHT = sorted(plan.parent / "model.yaml" for plan in GOLDEN.glob("*/plan.json"))
PLAIN = (GOLDEN / "plain" / "model.yaml").read_text(encoding="utf-8")


@pytest.fixture
def schema(knowledge: Knowledge) -> dict[str, Any]:
    names = [name for prefix in ("cloud.", "host.", "note.") for name in knowledge.actions.names_below(prefix)]
    specs = [spec for name in names if (spec := knowledge.spec(name)) is not None]
    assert len(specs) == len(names) > 5
    return with_actions(editor_schema(), specs, knowledge.actions.argument_documentation)


def refused(schema: dict[str, Any], text: str) -> list[str]:
    value = read_yaml("model.yaml", text.encode()).value
    newer, older = (
        sorted(error.json_path for error in reader(schema).iter_errors(value))
        for reader in (Draft202012Validator, Draft7Validator)
    )
    assert newer == older
    return newer


@pytest.mark.parametrize("file", RIGHT, ids=[file.parent.name for file in RIGHT])
def test_what_the_compiler_accepts_is_accepted(schema: dict[str, Any], file: Path) -> None:
    assert refused(schema, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("      Name: ", "      Nmae: ", "$.steps[0].with"),
        ('Size: "{{ inputs.size }}"', "Size: 200", "$.steps[0].with.Size"),
        ('Size: "{{ inputs.size }}"', "Size: large", "$.steps[0].with.Size"),
        ("{Key: project, ", "{Kee: project, ", "$.steps[0].with.Labels"),
        ('with: {Name: "{{ args.Name }}"}', "with: {Neme: x}", "$.steps[0].undo"),
    ],
)
def test_a_wrong_argument_is_refused_as_the_compiler_refuses_it(
    schema: dict[str, Any], right: str, wrong: str, place: str, compile_text: Callable[[str], Compilation]
) -> None:
    assert right in PLAIN
    text = PLAIN.replace(right, wrong, 1)
    found = refused(schema, text)
    assert found
    assert all(path.startswith(place) for path in found)
    assert compile_text(text).plan is None


def test_an_action_that_is_not_described_may_have_any_arguments(schema: dict[str, Any]) -> None:
    changed, count = re.subn(r"uses: cloud\.read_box\n    with: .*", "uses: other.thing\n    with: {x: [1]}", PLAIN)
    assert count == 1
    assert refused(schema, changed) == []


def test_names_and_arguments_have_words(schema: dict[str, Any]) -> None:
    uses = schema["$defs"]["StepDocument"]["properties"]["uses"]["anyOf"]
    assert next(one for one in uses if one.get("const") == "cloud.make_box")["description"].startswith("Make a box")
    arguments = schema["$defs"]["with cloud.make_box"]["properties"]
    assert arguments["Size"]["description"] == "How big the box is."


def test_types_that_hold_themselves_end() -> None:
    def node() -> ObjectType:
        return ObjectType(members={"next": Member(type=LazyType(name="node", resolve=node))})

    spec = ActionSpec(name="tree.plant", title="Plant", arguments=node(), result=ObjectType())
    made = with_actions(editor_schema(), [spec], lambda _name, _path: "")
    Draft7Validator.check_schema(made)
    assert len(str(made["$defs"]["with tree.plant"])) < 3_000

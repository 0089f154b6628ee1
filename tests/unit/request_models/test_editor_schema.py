"""The JSON Schema for editors: what it accepts, what it refuses, and that older readers understand it alike."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from request_models.checks import input_schemas
from request_models.durations import DURATION_PATTERN, parse_duration
from request_models.editor_schema import INPUT_KEYS, OWN_INPUT_KEYS, editor_schema
from request_models.errors import DurationError
from request_models.json_schema import KEYWORDS
from request_models.loading import load_model
from request_models.model_types import OWN_INPUT_KEYS as OWN_KEYS
from request_models.yaml_source import read_yaml

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
SHIPPED = sorted((ROOT / "request_models" / "catalogue").glob("*.yaml"))
RIGHT = sorted(plan.parent / "model.yaml" for plan in GOLDEN.glob("*/plan.json"))

# What draft 7 and 2020-12 know and mean alike, and yaml-language-server reads; the last two are its own.
READABLE = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "enum", "allOf", "anyOf", "if", "then",
    "else",
    "properties", "required", "additionalProperties", "propertyNames", "minProperties", "items", "minItems", "minimum",
    "maximum", "exclusiveMinimum", "minLength", "maxLength", "pattern",
    "patternErrorMessage",
}  # fmt: skip


def refused(text: str) -> list[str]:
    """Where the schema refuses a model; draft 7 and 2020-12 must agree."""
    value = read_yaml("model.yaml", text.encode()).value
    newer, older = (
        sorted(error.json_path for error in reader(editor_schema()).iter_errors(value))
        for reader in (Draft202012Validator, Draft7Validator)
    )
    assert newer == older
    return newer


def schemas_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for key in ("properties", "$defs"):
        for part in schema.get(key, {}).values():
            yield from schemas_in(part)
    for key in ("items", "additionalProperties", "propertyNames", "if", "then", "else"):
        if isinstance(schema.get(key), dict):
            yield from schemas_in(schema[key])
    for key in ("anyOf", "allOf"):
        for part in schema.get(key, []):
            yield from schemas_in(part)


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_every_shipped_model_is_accepted(file: Path) -> None:
    assert refused(file.read_text(encoding="utf-8")) == []


def test_the_model_of_the_readme_is_accepted() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert refused(shown) == []


@pytest.mark.parametrize("file", RIGHT, ids=[file.parent.name for file in RIGHT])
def test_what_the_compiler_accepts_is_accepted(file: Path) -> None:
    assert refused(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("case", ["unknown-key", "missing-key", "bad-names", "two-accountable"])
def test_a_wrong_shape_is_refused(case: str) -> None:
    assert refused((GOLDEN / f"refused-{case}" / "model.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "schema",
    [
        "{anyOf: [true, {type: string}]}",
        "{type: [string, 'null'], title: {en: Thing, de: Ding}, secret: true}",
        "{type: array, items: true}",
        "{type: object, properties: {x: {type: object, required: [y], additionalProperties: false}}}",
    ],
)
def test_an_input_that_the_checks_accept_is_accepted(schema: str) -> None:
    text = (
        (GOLDEN / "plain" / "model.yaml")
        .read_text(encoding="utf-8")
        .replace("inputs:", f"inputs:\n  more: {schema}", 1)
    )
    source, diagnostics = load_model("model.yaml", text)
    assert source is not None, diagnostics
    assert list(input_schemas.check(source)) == []
    assert refused(text) == []


@pytest.mark.parametrize("undo", ["{}", "{covered_by: make, none: why}", "{actions: []}", "[]", "nothing"])
def test_an_undo_that_is_none_of_the_four_forms_is_refused(undo: str) -> None:
    text = (GOLDEN / "plain" / "model.yaml").read_text(encoding="utf-8")
    changed, count = re.subn(r"undo: \{uses.*", f"undo: {undo}", text, count=1)
    assert count == 1
    assert refused(changed) == ["$.steps[0].undo"]


def test_every_key_is_described() -> None:
    schema: dict[str, Any] = editor_schema()
    for name, document in {"model": schema, **schema["$defs"]}.items():
        for key, part in document.get("properties", {}).items():
            referred = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
            assert referred.get("description"), f"{name}.{key}"


def test_the_keys_of_inputs_are_those_that_the_checks_know() -> None:
    assert INPUT_KEYS.keys() == KEYWORDS
    assert OWN_INPUT_KEYS.keys() == OWN_KEYS


def test_it_is_a_schema_for_new_and_old_readers() -> None:
    schema: dict[str, Any] = editor_schema()
    Draft202012Validator.check_schema(schema)
    Draft7Validator.check_schema(schema)
    for part in schemas_in(schema):
        assert part.keys() <= READABLE
        assert "$ref" not in part or part.keys() == {"$ref"}, "draft 7 reads nothing beside a reference"


def test_it_is_written_the_same_each_time() -> None:
    assert json.dumps(editor_schema()) == json.dumps(editor_schema())


@pytest.mark.parametrize(
    "text",
    [
        "P",
        "PT",
        "P1D",
        "PT15M",
        "P1DT12H",
        "P2W",
        "PT1.5S",
        "PT1.5M",
        "P1Y",
        "P1M",
        "1D",
        "P1DT",
        "PT5",
        "P1W2D",
        "pt1m",
    ],
)
def test_the_pattern_of_durations_takes_what_is_read_as_one(text: str) -> None:
    try:
        parse_duration(text)
    except DurationError:
        assert re.fullmatch(DURATION_PATTERN, text) is None
    else:
        assert re.fullmatch(DURATION_PATTERN, text) is not None


def test_every_pattern_says_what_it_asks_for() -> None:
    messages = {
        part["pattern"]: part["patternErrorMessage"] for part in schemas_in(editor_schema()) if "pattern" in part
    }
    assert len(messages) == 3
    assert all(message.startswith("Not a ") for message in messages.values())

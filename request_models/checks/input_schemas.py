"""Each input is described by JSON Schema that makes sense, and its default fits it."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from request_models.errors import SchemaTranslationError
from request_models.findings import Finding
from request_models.formats import compiled_pattern
from request_models.inputs import schema_problems
from request_models.json_schema import KEYWORDS, from_json_schema
from request_models.json_values import JsonValue
from request_models.loading import ModelSource
from request_models.model_types import OWN_INPUT_KEYS
from request_models.step_documents import ChoicesDocument
from request_models.yaml_source import Path

SHOWN_TO = ("approvers",)
"""Who else than requester and operators may be told an input; `approvers` alone are shown it in the API."""


def check(source: ModelSource) -> Iterator[Finding]:
    """`input-schema`, `bad-default`; and of `choices` `missing-key`, `unknown-key`, `wrong-shape`."""
    for name, schema in source.document.inputs.items():
        path: Path = ("inputs", name)
        problems = [*_own_keys(schema, path), *_schema(_plain(schema), path)]
        yield from problems or [*_meaning(_plain(schema), path)] or _default(schema, path)


def _plain(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    plain = {key: value for key, value in schema.items() if key not in OWN_INPUT_KEYS}
    titles = plain.get("title")
    if isinstance(titles, dict) and titles and all(isinstance(text, str) for text in titles.values()):
        plain["title"] = next(iter(titles.values()))  # the language takes a map of languages where JSON Schema does not
    return plain


def _own_keys(schema: Mapping[str, JsonValue], path: Path) -> Iterator[Finding]:
    for key in sorted({"required", "secret"} & schema.keys()):
        if not isinstance(schema[key], bool):
            hint = "`required` of an input is true or false" if key == "required" else ""
            yield Finding((*path, key), "input-schema", f"`{key}` must be true or false", hint)
    if "when" in schema and not isinstance(schema["when"], str):
        hint = "a condition is an expression in text: inputs.days > 30"
        yield Finding((*path, "when"), "input-schema", "`when` must be text", hint)
    if "shown_to" in schema and schema["shown_to"] not in SHOWN_TO:
        yield Finding((*path, "shown_to"), "input-schema", f"`shown_to` is {' or '.join(SHOWN_TO)}")
    if "choices" in schema:
        yield from _choices(schema["choices"], (*path, "choices"))


def _choices(written: JsonValue, path: Path) -> Iterator[Finding]:
    try:
        ChoicesDocument.model_validate(written)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            place = (*path, *problem["loc"])
            match problem["type"]:
                case "missing":
                    yield Finding(path, "missing-key", f"`{place[-1]}` is missing here", _CHOICES, on_key=True)
                case "extra_forbidden":
                    yield Finding(place, "unknown-key", f"there is no key `{place[-1]}` here", _CHOICES, on_key=True)
                case _:
                    message = f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"
                    yield Finding(place, "wrong-shape", message, _CHOICES)


_CHOICES = "choices have `uses`, `with`, `target` and `select`"


def _schema(schema: Mapping[str, JsonValue], path: Path) -> Iterator[Finding]:
    known = KEYWORDS | (OWN_INPUT_KEYS if len(path) == 2 else frozenset())
    for key in schema:
        if key not in known:
            near = get_close_matches(key, sorted(known), n=1)
            hint = f"is `{near[0]}` meant?" if near else "inputs are described by JSON Schema 2020-12"
            yield Finding((*path, key), "input-schema", f"there is no key `{key}` here", hint, on_key=True)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and compiled_pattern(pattern) is None:
        yield Finding((*path, "pattern"), "input-schema", "this is not a valid ECMA-262 regular expression")
    for inner, place in _inner(schema, path):
        yield from _schema(inner, place)


def _inner(schema: Mapping[str, JsonValue], path: Path) -> Iterator[tuple[Mapping[str, JsonValue], Path]]:
    for key in ("items", "additionalProperties"):
        if isinstance(part := schema.get(key), dict):
            yield part, (*path, key)
    properties = schema.get("properties")
    for name, part in properties.items() if isinstance(properties, dict) else ():
        if isinstance(part, dict):
            yield part, (*path, "properties", name)
    for key in ("anyOf", "oneOf"):
        branches = schema.get(key)
        for index, part in enumerate(branches) if isinstance(branches, list) else ():
            if isinstance(part, dict):
                yield part, (*path, key, index)


def _meaning(schema: Mapping[str, JsonValue], path: Path) -> Iterator[Finding]:
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        place = (*path, *error.absolute_path)
        yield Finding(place, "input-schema", f"this is not JSON Schema: {error.message[:200]}")
        return
    try:
        from_json_schema(dict(schema))
    except SchemaTranslationError as error:
        yield Finding(path, "input-schema", f"this is not JSON Schema: {error}")


def _default(schema: Mapping[str, JsonValue], path: Path) -> Iterator[Finding]:
    if "default" not in schema:
        return
    if schema.get("secret") is True:
        message = "a secret has no default: it would stand in the model in clear"
        yield Finding((*path, "default"), "bad-default", message)
    for problem in schema_problems(_plain(schema), schema["default"]):
        yield Finding((*path, "default"), "bad-default", f"the default does not fit: {problem.message}")

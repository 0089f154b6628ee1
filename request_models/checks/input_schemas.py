"""Each input is described by JSON Schema that makes sense, and its default fits it."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from jsonschema import Draft202012Validator

from request_models.errors import SchemaTranslationError
from request_models.findings import Finding
from request_models.formats import compiled_pattern
from request_models.inputs import schema_problems
from request_models.json_schema import KEYWORDS, from_json_schema
from request_models.json_values import JsonValue
from request_models.loading import ModelSource
from request_models.yaml_source import Path

OWN_KEYS = frozenset({"required", "secret"})
NOT_YET = frozenset({"when", "choices", "shown_to"})


def check(source: ModelSource) -> Iterator[Finding]:
    """`input-schema`, `bad-default`, `not-yet-runnable`."""
    for name, schema in source.document.inputs.items():
        path: Path = ("inputs", name)
        problems = [*_own_keys(schema, path), *_schema(_plain(schema), path)]
        yield from problems or [*_meaning(_plain(schema), path)] or _default(schema, path)


def _plain(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    plain = {key: value for key, value in schema.items() if key not in OWN_KEYS | NOT_YET}
    titles = plain.get("title")
    if isinstance(titles, dict) and titles and all(isinstance(text, str) for text in titles.values()):
        plain["title"] = next(iter(titles.values()))  # the language takes a map of languages where JSON Schema does not
    return plain


def _own_keys(schema: Mapping[str, JsonValue], path: Path) -> Iterator[Finding]:
    for key in sorted(NOT_YET & schema.keys()):
        message = f"`{key}` is part of the language, but not yet runnable in this version"
        yield Finding((*path, key), "not-yet-runnable", message, on_key=True)
    for key in sorted(OWN_KEYS & schema.keys()):
        if not isinstance(schema[key], bool):
            hint = "`required` of an input is true or false" if key == "required" else ""
            yield Finding((*path, key), "input-schema", f"`{key}` must be true or false", hint)


def _schema(schema: Mapping[str, JsonValue], path: Path) -> Iterator[Finding]:
    known = KEYWORDS | (OWN_KEYS | NOT_YET if len(path) == 2 else frozenset())
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

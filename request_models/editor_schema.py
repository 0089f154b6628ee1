"""The JSON Schema of a model file, made from the documents: what an editor completes, explains and checks from.

It refuses nothing that `orderly check` accepts, except a key with nothing after it (`when:`). What needs the other
parts of a model, its expressions or its actions is left to the checks. Keys of the language that are not yet runnable
are in it: `orderly check` tells. It is JSON Schema 2020-12 that older readers (yaml-language-server takes draft 7)
understand alike: no keyword that came later but `$defs`, and none beside a `$ref`.
"""

from collections.abc import Mapping
from typing import Any

from request_models.durations import DURATION_PATTERN
from request_models.json_values import JsonValue
from request_models.schema import ModelDocument
from request_models.step_documents import ChoicesDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_REF = "#/$defs/"
_INPUT, _INNER = "InputDocument", "InputSchema"


# What editors say where a text is not of its pattern.
_PATTERNS = {
    f"^{DURATION_PATTERN}$": "Not a duration: write weeks, days, hours, minutes and seconds as in P2D or PT15M.",
    "^[a-z][a-z0-9_]*$": "Not a name: write small letters, digits and underscores, a letter first.",
    "^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$": "Not a model's name: write letters and digits, parts joined by hyphens.",
}


def editor_schema() -> dict[str, JsonValue]:
    """The schema of one model file."""
    made = _plain(ModelDocument.model_json_schema(by_alias=True))
    definitions: Schema = made.pop("$defs")
    definitions["ChoicesDocument"] = _plain(ChoicesDocument.model_json_schema(by_alias=True))
    definitions["UndoDocument"] = _undo(definitions["UndoDocument"])
    for name, definition in definitions.items():
        # Editors call a part by its title where they offer the whole of it.
        definition["title"] = name.removesuffix("Document").lower()
    definitions |= {_INPUT: _input_schema(outermost=True), _INNER: _input_schema(outermost=False)}
    made["properties"]["inputs"]["additionalProperties"] = {"$ref": f"{_REF}{_INPUT}"}
    return {"$schema": DIALECT, "title": "Request model of Orderly", **made, "$defs": dict(sorted(definitions.items()))}


def _plain(schema: Schema) -> Schema:
    """The schema as pydantic makes it, without what editors show in vain or read differently."""
    found: Schema = {key: value for key, value in schema.items() if key != "title"}
    for key in ("properties", "$defs"):
        if key in found:
            found[key] = {name: _plain(part) for name, part in found[key].items()}
    if isinstance(found.get("items"), dict):
        found["items"] = _plain(found["items"])
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _plain(found["additionalProperties"])
    for key, mend in (("anyOf", _without_null), ("oneOf", _by_kind), ("allOf", dict)):
        if key in found:
            found = mend({**found, key: [_plain(part) for part in found[key]]})
    if "patternProperties" in found:
        ((pattern, part),) = found.pop("patternProperties").items()
        names = _plain({"pattern": pattern}) | {"title": "name"}
        found |= {"propertyNames": names, "additionalProperties": _plain(part)}
    if "pattern" in found:
        found["pattern"] = _ecma(found["pattern"])
        found["patternErrorMessage"] = _PATTERNS.get(found["pattern"], "This is not of the form that is asked for.")
    if isinstance(found.get("default"), dict) or found.get("default", ()) is None:
        del found["default"]
    if "$ref" in found and len(found) > 1:
        found = {**{key: value for key, value in found.items() if key != "$ref"}, "allOf": [{"$ref": found["$ref"]}]}
    return found


def _without_null(schema: Schema) -> Schema:
    """What may be left out is left out; that it may also be null is no help to an author."""
    kept = [part for part in schema["anyOf"] if part != {"type": "null"}]
    outer = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**kept[0], **outer} if len(kept) == 1 else {**outer, "anyOf": kept}


def _by_kind(schema: Schema) -> Schema:
    """A block is what its keys say: told so, an editor names what is wrong with that kind and no other."""
    step, group, parallel = schema["oneOf"]
    grouped = {"if": {"required": ["steps"]}, "then": group, "else": step}
    return {"if": {"required": ["parallel"]}, "then": parallel, "else": grouped}


def _ecma(pattern: str) -> str:
    """Python's anchors as those of ECMA-262."""
    return pattern.replace(r"\A", "^").replace(r"\z", "$")


def _undo(definition: Schema) -> Schema:
    """The forms of an undo as they are written: an action is a map of its own, and several are a list."""
    properties = definition["properties"]
    action = {"$ref": f"{_REF}UndoActionDocument"}
    several = {"type": "array", "minItems": 1, "items": action}
    ways = [
        {
            "type": "object",
            "title": key,
            "properties": {key: properties[key]},
            "required": [key],
            "additionalProperties": False,
        }
        for key in ("covered_by", "none")
    ]
    return {"description": definition["description"], "anyOf": [action, several, *ways]}


def _input_schema(*, outermost: bool) -> Schema:
    properties = dict(INPUT_KEYS)
    description = "What an input allows, as JSON Schema (2020-12)."
    if outermost:
        description = "One input: JSON Schema (2020-12), with keys of our own. A default makes it optional too."
        properties["title"] = {"description": properties["title"]["description"], **_TEXTS}
        properties |= OWN_INPUT_KEYS
    return {"type": "object", "description": description, "properties": properties, "additionalProperties": False}


_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"anyOf": [_TEXT, {"type": "object", "minProperties": 1, "additionalProperties": _TEXT}]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_YES_NO: Schema = {"type": "boolean"}
_SCHEMA: Schema = {"$ref": f"{_REF}{_INNER}"}
_SCHEMA_OR_NOT: Schema = {"anyOf": [_SCHEMA, _YES_NO]}
_SCHEMAS: Schema = {"type": "array", "minItems": 1, "items": _SCHEMA_OR_NOT}
_KIND: Schema = {"enum": ["string", "integer", "number", "boolean", "array", "object", "null"]}


def _key(description: str, schema: Mapping[str, Any]) -> Schema:
    return {"description": description, **({"allOf": [schema]} if "$ref" in schema else schema)}


INPUT_KEYS: Mapping[str, Schema] = {
    "type": _key("The type of the value.", {"anyOf": [_KIND, {"type": "array", "minItems": 1, "items": _KIND}]}),
    "title": _key("What the form says beside it.", _TEXT),
    "description": _key("What the form explains about it.", _TEXT),
    "default": _key("What it is when it is not given; it need not be given then.", {}),
    "examples": _key("Values that show what is meant.", {"type": "array"}),
    "enum": _key("The values it may have.", {"type": "array"}),
    "const": _key("The one value it may have.", {}),
    "format": _key("The format of a text: `date` and `date-time` become real dates in expressions.", _TEXT),
    "pattern": _key("An ECMA-262 regular expression that is searched in the text; anchor it with `^` and `$`.", _TEXT),
    "minLength": _key("The fewest characters.", _COUNT),
    "maxLength": _key("The most characters.", _COUNT),
    "minimum": _key("The lowest number.", _NUMBER),
    "maximum": _key("The highest number.", _NUMBER),
    "exclusiveMinimum": _key("A number that it must be above.", _NUMBER),
    "exclusiveMaximum": _key("A number that it must be below.", _NUMBER),
    "multipleOf": _key("A number that it must be a multiple of.", {"type": "number", "exclusiveMinimum": 0}),
    "items": _key("What each item of a list allows.", _SCHEMA_OR_NOT),
    "minItems": _key("The fewest items.", _COUNT),
    "maxItems": _key("The most items.", _COUNT),
    "uniqueItems": _key("Whether all items must differ.", _YES_NO),
    "properties": _key("The members of a map.", {"type": "object", "additionalProperties": _SCHEMA_OR_NOT}),
    "required": _key("The members that must be given.", {"type": "array", "items": _TEXT}),
    "additionalProperties": _key("What members allow that are not listed; `false` refuses them.", _SCHEMA_OR_NOT),
    "minProperties": _key("The fewest members.", _COUNT),
    "maxProperties": _key("The most members.", _COUNT),
    "anyOf": _key("Schemas of which the value must fit one at least.", _SCHEMAS),
    "oneOf": _key("Schemas of which the value must fit exactly one.", _SCHEMAS),
    "writeOnly": _key("Whether the value is secret.", _YES_NO),
    "readOnly": _key("Whether the value is only shown.", _YES_NO),
    "deprecated": _key("Whether it should no longer be used.", _YES_NO),
}
"""Each keyword of JSON Schema that inputs may use, described."""

OWN_INPUT_KEYS: Mapping[str, Schema] = {
    "required": _key("`false`: it may be left out; it is then absent, never null.", _YES_NO),
    "when": _key("A condition, an expression without braces: it is asked, and there, only when it holds.", _TEXT),
    "choices": _key("What it may be, read when the form is shown.", {"$ref": f"{_REF}ChoicesDocument"}),
    "shown_to": _key("Who alone is shown it, beside whoever runs the request.", {"enum": ["approvers"]}),
    "secret": _key(
        "Whether it is secret: stored encrypted, and given only to arguments that are kept secret.", _YES_NO
    ),
}
"""The keys of an input that are the language's own."""

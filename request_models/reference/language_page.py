"""The page of the language: every key with its type, default and description, from the schema for editors."""

import json
from collections.abc import Mapping
from typing import Any

from request_models.editor_schema import editor_schema
from request_models.engine_actions import ENGINE_SPECS
from request_models.reference.markdown import code, table
from request_models.yaml_source import MAX_BYTES, MAX_DEPTH, MAX_NODES

Schema = Mapping[str, Any]

_DURATION = "duration"
# What each part of a model is called on the page, in the order in which they are shown.
_TITLES = {
    "OwnersDocument": "Owners",
    "DueDocument": "Due",
    "InputDocument": "An input",
    "InputSchema": "A schema within an input",
    "StepDocument": "A step",
    "RetryDocument": "Retry",
    "UndoDocument": "Undo",
    "UndoActionDocument": "An action of an undo",
    "OutputDocument": "An output",
}


def language_page() -> str:
    """The page."""
    schema: Schema = editor_schema()
    definitions: Schema = schema["$defs"]
    names = [*(name for name in _TITLES if name in definitions), *sorted(definitions.keys() - _TITLES.keys())]
    sections = [_section("The model", schema), *(_section(_title(name), definitions[name]) for name in names)]
    engine = ", ".join(code(name) for name in sorted(ENGINE_SPECS))
    return "\n".join([_INTRODUCTION, *sections, _ACTIONS.format(engine=engine)])


def _title(name: str) -> str:
    return _TITLES.get(name, name.removesuffix("Document"))


def _section(title: str, schema: Schema) -> str:
    lines = [f"## {title}\n", f"{schema['description']}\n"]
    if "properties" not in schema:
        return "\n".join([*lines, "".join(f"- {_type(form)}\n" for form in schema["anyOf"])])
    required = schema.get("required", [])
    rows = [
        [code(key), _type(part), "required" if key in required else _default(part), _description(part)]
        for key, part in schema["properties"].items()
    ]
    lines.append(table(["Key", "Type", "Default", "Description"], rows))
    return "\n".join(lines)


def _description(schema: Schema) -> str:
    if "description" in schema or "$ref" not in schema:
        return str(schema.get("description", ""))
    definition: Schema = editor_schema()["$defs"]  # type: ignore[assignment]  # a map, as every schema's definitions
    return str(definition[schema["$ref"].rpartition("/")[2]]["description"])


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return code(json.dumps(default)) if default not in (None, [], "") else ""


def _type(schema: Schema) -> str:  # noqa: PLR0911 - one case a kind of schema
    match schema:
        case {"$ref": str(name)} | {"allOf": [{"$ref": str(name)}]}:
            title = _title(name.rpartition("/")[2])
            return f"[{title.lower()}](#{title.lower().replace(' ', '-')})"
        case {"if": _, "then": dict(parallel), "else": {"then": dict(group), "else": dict(step)}}:
            return " or ".join(_type(kind) for kind in (step, group, parallel))
        case {"enum": list(values)}:
            return "one of " + ", ".join(code(str(value)) for value in values)
        case {"anyOf": list(forms)}:
            return " or ".join(dict.fromkeys(_type(form) for form in forms))
        case {"type": "array", **rest}:
            return f"list of {_type(rest['items'])}" if "items" in rest else "list"
        case {"type": "object", "required": [str(key)], "properties": dict(parts)} if len(parts) == 1:
            return f"map with {code(key)}: {_type(parts[key])}"
        case {"type": "object", "additionalProperties": dict(values), **rest}:
            keys = "names" if "propertyNames" in rest else "texts"
            return f"map of {keys} to {_type(values)}"
        case {"type": "object"}:
            return "map"
        case {"type": "string", "pattern": str(pattern)}:
            return _DURATION if pattern.startswith("^P(") else f"text like {code(pattern)}"
        case {"type": str(kind)}:
            return _bounded(kind, schema)
        case _:
            return "any"


def _bounded(kind: str, schema: Schema) -> str:
    named = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}[kind]
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{named}, {low:g} to {high:g}" if low is not None and high is not None else named


_INTRODUCTION = f"""\
# The language

A model is one YAML 1.2 file in UTF-8: one document, no tags, each key once. It may have {MAX_BYTES // 1024} KiB,
{MAX_NODES} values (aliases count each time) and {MAX_DEPTH} levels. Keys that are not listed are refused. A duration is
ISO 8601 of weeks, days, hours, minutes and seconds: `PT15M`, `P1DT12H`. Values may hold [expressions](expressions.md)
where the description says so, and in `with`, `target`, `hosts`, `values`, `otherwise`, and the `value` and `url` of
outputs. `orderly schema` gives all this to editors.
"""

_ACTIONS = """\
## Actions

`uses` names an action: `SYSTEM.NAME`. Each connector brings its own: `aws.SERVICE.OPERATION` is any operation of any
AWS service, `runbook.NAME` a playbook, `http.METHOD` a call, `mail.send` a mail. The engine's own are {engine}.
"""

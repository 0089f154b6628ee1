"""The keys of a document as a table, from its JSON Schema."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from request_models.reference.markdown import code, table

Schema = Mapping[str, Any]

_DURATION = "duration"


class SchemaTables:
    """Tables of the parts of one schema; `title_of` names a definition as the page does."""

    def __init__(self, definitions: Mapping[str, Schema], title_of: Callable[[str], str]) -> None:
        self._definitions = definitions
        self._title_of = title_of

    def keys(self, schema: Schema) -> str:
        """The keys of a part, or its forms where it has several."""
        if "properties" not in schema:
            return "".join(f"- {self._type(form)}\n" for form in schema["anyOf"])
        required = schema.get("required", [])
        rows = [
            [
                code(key),
                self._type(part),
                "required" if key in required else _default(part),
                self._description(part),
            ]
            for key, part in schema["properties"].items()
        ]
        return table(["Key", "Type", "Default", "Description"], rows)

    def _description(self, schema: Schema) -> str:
        if "description" in schema or "$ref" not in schema:
            return str(schema.get("description", ""))
        return str(self._definitions[schema["$ref"].rpartition("/")[2]]["description"])

    def _type(self, schema: Schema) -> str:  # noqa: PLR0911 - one case a kind of schema
        match schema:
            case {"$ref": str(name)} | {"allOf": [{"$ref": str(name)}]}:
                title = self._title_of(name.rpartition("/")[2])
                return f"[{title.lower()}](#{title.lower().replace(' ', '-')})"
            case {"if": _, "then": dict(parallel), "else": {"then": dict(group), "else": dict(step)}}:
                return " or ".join(self._type(kind) for kind in (step, group, parallel))
            case {"enum": list(values)}:
                return "one of " + ", ".join(code(str(value)) for value in values)
            case {"anyOf": list(forms)}:
                known = [form for form in forms if form != {"type": "null"}]
                return " or ".join(dict.fromkeys(self._type(form) for form in known))
            case {"type": "array", **rest}:
                return f"list of {self._type(rest['items'])}" if "items" in rest else "list"
            case {"type": "object", "required": [str(key)], "properties": dict(parts)} if len(parts) == 1:
                return f"map with {code(key)}: {self._type(parts[key])}"
            case {"type": "object", "additionalProperties": dict(values), **rest}:
                return f"map of {'names' if 'propertyNames' in rest else 'texts'} to {self._type(values)}"
            case {"type": "object"}:
                return "map"
            case {"type": "string", "pattern": str(pattern)}:
                return _DURATION if pattern.startswith("^P(") else f"text like {code(_ecma(pattern))}"
            case {"type": str(kind)}:
                return _bounded(kind, schema)
            case _:
                return "any"


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return code(json.dumps(default)) if default not in (None, [], "", {}) else ""


def _ecma(pattern: str) -> str:
    return pattern.replace(r"\A", "^").replace(r"\z", "$")


def _bounded(kind: str, schema: Schema) -> str:
    named = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}[kind]
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{named}, {low:g} to {high:g}" if low is not None and high is not None else named

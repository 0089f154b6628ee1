"""A model's form, as react-jsonschema-form renders it: `{schema, uiSchema, defaults}`.

The schema stays in what draft-7 and 2020-12 have in common and carries no `$schema`: the renderer's default validator
refuses the 2020-12 one (findings, ITSM front-ends).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from request_models.json_values import JsonValue
from request_models.plan import Plan

_LONG_TEXT = 200
"""Characters from which on a text gets an area instead of a line."""


@dataclass(frozen=True)
class Form:
    """What a front-end needs to ask for a model's inputs."""

    schema: Mapping[str, JsonValue]
    ui_schema: Mapping[str, JsonValue]
    defaults: Mapping[str, JsonValue]


def form_of(plan: Plan) -> Form:
    """The form of a plan's inputs, in the model's order."""
    schema = {key: value for key, value in plan.inputs.items() if key not in {"$schema", "$id"}}
    properties = cast(Mapping[str, Mapping[str, JsonValue]], schema.get("properties", {}))
    ui_schema: dict[str, JsonValue] = {"ui:order": [*plan.input_order, "*"]} if plan.input_order else {}
    for name, declared in properties.items():
        widget = _widget(declared)
        if widget:
            ui_schema[name] = {"ui:widget": widget}
    defaults = {
        name: declared["default"]
        for name, declared in properties.items()
        if "default" in declared and declared.get("writeOnly") is not True
    }
    return Form(schema, ui_schema, defaults)


def _widget(declared: Mapping[str, JsonValue]) -> str | None:
    if declared.get("writeOnly") is True:
        return "password"
    longest = declared.get("maxLength")
    free_text = declared.get("type") == "string" and "enum" not in declared
    return "textarea" if free_text and isinstance(longest, int) and longest >= _LONG_TEXT else None

"""The arguments of some actions in the JSON Schema of models, for editors that know no more than a schema.

`with:` is described where `uses:` names one of them. It refuses nothing that `orderly check` accepts: any value may be
an expression, and lengths, patterns and what lies deep within an argument are left to the check.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from request_models.actions import ActionSpec
from request_models.type_algebra import options
from request_models.value_types import (
    ArrayType,
    BooleanType,
    IntegerType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
)

DEEPEST = 4
"""How many maps and lists within one another are described."""

Schema = dict[str, Any]
Words = Callable[[str, tuple[str | int, ...]], str]
"""What a system's own documentation says of an argument: of an action, at a path."""

_REF = "#/$defs/"
_EXPRESSION: Schema = {"type": "string", "pattern": r"\{[{%]"}


def with_actions(schema: Schema, specs: Iterable[ActionSpec], words: Words) -> Schema:
    """The schema of models, with the arguments of these actions, and their names to complete `uses:` from."""
    made = list(specs)
    arguments = {f"with {spec.name}": _arguments(spec, words) for spec in made}
    definitions = {**schema["$defs"], **arguments}
    for name, document in schema["$defs"].items():
        if {"uses", "with"} <= document.get("properties", {}).keys():
            definitions[name] = _choosing(document, made)
    return {**schema, "$defs": dict(sorted(definitions.items()))}


def _choosing(document: Schema, specs: list[ActionSpec]) -> Schema:
    uses = document["properties"]["uses"]
    named = [_named(spec) for spec in specs]
    listed = {"description": uses["description"], "anyOf": [*named, {"type": "string", "minLength": 1}]}
    chosen = [
        {
            "if": {"properties": {"uses": {"const": spec.name}}, "required": ["uses"]},
            "then": {"properties": {"with": {"$ref": f"{_REF}with {spec.name}"}}, **_must_have(spec)},
        }
        for spec in specs
    ]
    return {**document, "properties": {**document["properties"], "uses": listed}, "allOf": chosen}


def _named(spec: ActionSpec) -> Schema:
    text = f"{spec.title}. {spec.documentation}" if spec.documentation else spec.title
    return {"const": spec.name, "title": spec.name, "description": f"{text}\n\nEffect: {spec.effect}."}


def _must_have(spec: ActionSpec) -> Schema:
    return {"required": ["with"]} if any(_is_required(member) for member in spec.arguments.members.values()) else {}


def _arguments(spec: ActionSpec, words: Words) -> Schema:
    made = _map(spec.arguments, lambda path: words(spec.name, path), (), 0)
    return {"title": f"Arguments of {spec.name}", "description": spec.documentation or spec.title, **made}


def _is_required(member: Member) -> bool:
    # An alias may stand for it, which a schema cannot say in a way that editors show well.
    return member.required and not member.aliases


def _value(
    kind: ValueType, words: Callable[[tuple[str | int, ...]], str], path: tuple[str | int, ...], depth: int
) -> Schema:
    forms = [form for option in options(kind) for form in _forms(option, words, path, depth)]
    if not forms or {} in forms:
        return {}
    # Any text holds expressions already; of all else, an expression is a form more.
    if {"type": "string"} not in forms:
        forms.append(_EXPRESSION)
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _forms(
    option: ValueType, words: Callable[[tuple[str | int, ...]], str], path: tuple[str | int, ...], depth: int
) -> Iterator[Schema]:
    match option:
        case StringType(enum=tuple() as texts):
            yield {"enum": [*texts]}
        case StringType():
            yield {"type": "string"}
        case IntegerType(enum=tuple() as numbers):
            yield {"enum": [*numbers]}
        case IntegerType(minimum=least, maximum=most):
            yield _given({"type": "integer", "minimum": least, "maximum": most})
        case NumberType(minimum=lowest, maximum=highest):
            yield _given({"type": "number", "minimum": lowest, "maximum": highest})
        case BooleanType():
            yield {"type": "boolean"}
        case NullType():
            yield {"type": "null"}
        case ArrayType() if depth < DEEPEST:
            yield {"type": "array", "items": _value(option.items, words, (*path, 0), depth + 1)}
        case ArrayType():
            yield {"type": "array"}
        case ObjectType() if depth < DEEPEST:
            yield _map(option, words, path, depth + 1)
        case ObjectType():
            yield {"type": "object"}
        case _:
            yield {}


def _map(
    kind: ObjectType, words: Callable[[tuple[str | int, ...]], str], path: tuple[str | int, ...], depth: int
) -> Schema:
    properties: Schema = {}
    for name, member in kind.members.items():
        made = _value(member.type, words, (*path, name), depth)
        text = words((*path, name)) or member.type.description
        described = {"description": text, **made} if text else made
        properties |= dict.fromkeys((name, *member.aliases), described)
    required = [name for name, member in kind.members.items() if _is_required(member)]
    others: Any = False if kind.others is None else _value(kind.others, words, (*path, ""), depth)
    made = {"type": "object", "properties": properties, "additionalProperties": others}
    return {**made, "required": required} if required else made


def _given(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if value is not None}

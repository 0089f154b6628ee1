"""A type of an argument or result in words, with its limits: what the tables of the actions say."""

import json

from request_models.json_values import JsonValue
from request_models.reference.markdown import code
from request_models.type_algebra import is_any, options
from request_models.value_types import ArrayType, IntegerType, NumberType, ObjectType, StringType, ValueType

_PLAIN = {
    "BooleanType": "true or false",
    "NullType": "null",
    "DateType": "date",
    "DateTimeType": "date and time",
    "DurationType": "duration",
}
_FORMATS = {
    "date": "date as text",
    "date-time": "date and time as text",
    "duration": "duration",
    "email": "mail address",
    "uri": "address (URI)",
    "byte": "Base64 text",
}


def say_fully(value_type: ValueType) -> str:
    """The type in words; limits and patterns included."""
    if is_any(value_type):
        return "anything"
    return " or ".join(dict.fromkeys(_say(option) for option in options(value_type)))


def say_default(value: JsonValue) -> str:
    """A default as it would be written in a model; empty for none."""
    return "" if value is None else code(json.dumps(value, ensure_ascii=False))


def _say(option: ValueType) -> str:
    match option:
        case StringType(enum=tuple() as values) | IntegerType(enum=tuple() as values):
            return f"{'one of ' if len(values) > 1 else ''}{', '.join(code(str(value)) for value in values)}"
        case StringType():
            return _text(option)
        case IntegerType(minimum=low, maximum=high):
            return f"whole number{_range(low, high)}"
        case NumberType(minimum=low, maximum=high):
            return f"number{_range(low, high)}"
        case ArrayType(items=items, min_items=low, max_items=high):
            counted = f" ({_range(low, high).removeprefix(', ')} of them)" if (low, high) != (None, None) else ""
            return f"list of: {say_fully(items)}{counted}"
        case ObjectType():
            return _map(option)
        case _:
            return _PLAIN.get(type(option).__name__, type(option).__name__)


def _text(kind: StringType) -> str:
    said = _FORMATS.get(kind.format, kind.format) if kind.format else "text"
    length = _range(kind.min_length, kind.max_length)
    limits = f"{length} characters" if length and (kind.min_length, kind.max_length) != (1, None) else ""
    pattern = f" like {code(kind.pattern)}" if kind.pattern else ""
    return f"{said}{limits}{pattern}"


def _map(kind: ObjectType) -> str:
    named = [f"{code(name)} ({say_fully(member.type)})" for name, member in kind.members.items()]
    others = [f"any names, each {say_fully(kind.others)}"] if kind.others is not None else []
    if not named and others:
        return "map" if is_any(kind.others or kind) else f"map of names to {say_fully(kind.others or kind)}"
    return f"map with {', '.join([*named, *others])}" if named else "map"


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    if low is None:
        return f", at most {high:,}"
    return f", at least {low:,}" if high is None else f", {low:,} to {high:,}"

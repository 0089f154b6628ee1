"""Values made up for examples: the least that fits a type and holds what is wished for. Never random.

`example_of` makes one, `completed` adds what somebody who wrote a part of one may leave out.
"""

from collections.abc import Mapping
from typing import Final

from request_models.formats import matches_pattern
from request_models.json_values import JsonValue
from request_models.type_algebra import options
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    DurationType,
    IntegerType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
    check_value,
)
from request_models.wishes import NO_WISHES, Wishes

_DEEPEST = 20
"""Recursive types end here."""

_FORMATS: Final[Mapping[str, str]] = {
    "date": "2030-01-07",
    "date-time": "2030-01-07T09:00:00Z",
    "time": "09:00:00Z",
    "duration": "PT1M",
    "email": "anna@example.org",
    "hostname": "host.example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "byte": "",
    "uri": "https://example.org/",
    "uri-reference": "https://example.org/",
    "json-pointer": "/example",
}
_TIMES: Final[Mapping[type[ValueType], str]] = {
    DateType: "date",
    DateTimeType: "date-time",
    DurationType: "duration",
}
_CANDIDATES: Final[tuple[str, ...]] = (
    "example", "Example", "EXAMPLE", "1", "a", "A", "e1", "E1", "1.0", "1.0.0", "example-1", "example/1", "/example",
    "example.org", "a@example.org", "https://example.org/", "12345678", "0123456789", "123456789012",
    "arn:aws:example:eu-west-1:123456789012:example/example", "arn:aws:example:eu-west-1:123456789012:example:example",
    "arn:aws:iam::123456789012:role/example", "arn:aws:example:::example", "eu-west-1", "eu-west-1a",
    "00000000-0000-4000-8000-000000000001", "0123456789abcdef", "i-0123456789abcdef0", "192.0.2.1", "192.0.2.0/24",
    "2030-01-07", "2030-01-07T09:00:00Z", "2030-01-07T09:00:00.000Z", "0123456789abcdef0123456789abcdef",
    "0123456789abcdef" * 4, "s3://example/example", "example=", "#000000", "{}",
)  # fmt: skip
"""Texts tried on a pattern, in this order."""


def example_of(kind: ValueType, wishes: Wishes = NO_WISHES, name: str = "example") -> JsonValue:
    """The least value of a type: required members and those wished for, the first of an enum, the shortest list.

    Texts are the `name`, where that fits. A pattern that none of our texts fits gets the name too: then it does not.
    """
    return _made(kind, wishes, name, 0)


def completed(kind: ValueType, given: JsonValue) -> JsonValue:
    """A value with the required members that it leaves out, at any depth; what it says stays as it is."""
    return _completed(kind, given, 0)


def _made(kind: ValueType, wishes: Wishes, name: str, depth: int) -> JsonValue:
    for value in wishes.values:
        if not check_value(kind, value):
            return value
    if depth > _DEEPEST:
        return None
    match _chosen(kind, wishes):
        case ObjectType() as option:
            return _map(option, wishes, depth)
        case ArrayType() as option:
            count = max(option.min_items or 0, wishes.items)
            return [_item(option, number, name, depth) for number in range(count)]
        case AnyType():
            return _anything(wishes, name, depth)
        case option:
            return _scalar(option, name)


def _anything(wishes: Wishes, name: str, depth: int) -> JsonValue:
    """A value of which no type is known: what is wished for, or its name for what is read without more."""
    if wishes.members:
        return {key: _made(AnyType(), inner, key, depth + 1) for key, inner in wishes.members.items()}
    if wishes.items:
        return [None] * wishes.items
    return name if depth else None


def _scalar(kind: ValueType, name: str) -> JsonValue:
    match kind:
        case StringType():
            return _text(kind, name)
        case IntegerType(enum=(first, *_)):
            return first
        case IntegerType() | NumberType():
            return _number(kind)
        case BooleanType():
            return False
        case DateType() | DateTimeType() | DurationType():
            return _FORMATS[_TIMES[type(kind)]]
        case _:
            return None


def _chosen(kind: ValueType, wishes: Wishes) -> ValueType:
    """The type itself; of several, the first that has what is wished for, null only when there is nothing else."""
    found = sorted(options(kind), key=lambda option: isinstance(option, NullType))
    if wishes.members:
        found = [one for one in found if isinstance(one, ObjectType | AnyType)] or found
    if wishes.items:
        found = [one for one in found if isinstance(one, ArrayType | AnyType)] or found
    return found[0] if found else AnyType()


def _map(kind: ObjectType, wishes: Wishes, depth: int) -> JsonValue:
    made: dict[str, JsonValue] = {}
    for key, member in kind.members.items():
        wished = next((wishes.members[one] for one in (key, *member.aliases) if one in wishes.members), None)
        if member.required or wished is not None:
            made[key] = _made(member.type, wished or NO_WISHES, key, depth + 1)
    known = _names(kind.members)
    for key, wished in wishes.members.items():
        if key not in known and kind.others is not None:
            made[key] = _made(kind.others, wished, key, depth + 1)
    return made


def _names(members: Mapping[str, Member]) -> frozenset[str]:
    return frozenset(name for key, member in members.items() for name in (key, *member.aliases))


def _item(kind: ArrayType, number: int, name: str, depth: int) -> JsonValue:
    """An item of a list; where no item may be there twice, those that can be told apart are."""
    made = _made(kind.items, NO_WISHES, name, depth + 1)
    if not kind.unique or number == 0:
        return made
    first = next(iter(options(kind.items)), None)
    texts = first.enum if isinstance(first, StringType) else None
    if texts is not None and number < len(texts):
        return texts[number]
    if isinstance(made, str):
        return f"{made}-{number + 1}"
    return made + number if isinstance(made, int) and not isinstance(made, bool) else made


def _text(kind: StringType, name: str) -> str:
    if kind.enum:
        return kind.enum[0]
    if kind.format is not None and kind.format in _FORMATS:
        return _FORMATS[kind.format]
    if kind.pattern is None:
        return _fitted(kind, name)
    for text in (name, *_CANDIDATES):
        fitted = _fitted(kind, text)
        if matches_pattern(kind.pattern, fitted):
            return fitted
    return _fitted(kind, name)


def _fitted(kind: StringType, text: str) -> str:
    """The text, no shorter and no longer than it may be."""
    least = kind.min_length or 0
    if len(text) < least:
        text += (text[-1:] or "x") * (least - len(text))
    return text if kind.max_length is None else text[: kind.max_length]


def _number(kind: IntegerType | NumberType) -> JsonValue:
    least, most = kind.minimum, kind.maximum
    if least is not None and least > 0:
        return least
    if most is not None and most < 0:
        return most
    return 0


def _completed(kind: ValueType, given: JsonValue, depth: int) -> JsonValue:
    if depth > _DEEPEST:
        return given
    for option in options(kind):
        match option, given:
            case ObjectType(), dict():
                return _completed_map(option, given, depth)
            case ArrayType(), list():
                return [_completed(option.items, item, depth + 1) for item in given]
            case _:
                pass
    return given


def _completed_map(kind: ObjectType, given: dict[str, JsonValue], depth: int) -> JsonValue:
    made = dict(given)
    named = {name: member for key, member in kind.members.items() for name in (key, *member.aliases)}
    for key, value in given.items():
        inner = named[key].type if key in named else kind.others
        made[key] = value if inner is None else _completed(inner, value, depth + 1)
    for key, member in kind.members.items():
        if member.required and not given.keys() & {key, *member.aliases}:
            made[key] = _made(member.type, NO_WISHES, key, depth + 1)
    return made

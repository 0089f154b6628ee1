"""Small questions about value types: their options, how they are called, joining them, what lies under a name."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from request_models.json_values import JsonValue
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    DurationType,
    IntegerType,
    LazyType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    OmitType,
    StringType,
    UnionType,
    ValueType,
)

MOST_OPTIONS = 24
"""A union that grows wider than this is taken for any value."""
MOST_PARTS = 400
"""How many parts a type may have before what is further in it is taken for any value."""
DEEPEST = 24
"""How deep a (perhaps recursive) type is looked into."""

_NAMES: dict[type[ValueType], str] = {
    AnyType: "any value",
    NullType: "null",
    BooleanType: "true or false",
    IntegerType: "a whole number",
    NumberType: "a number",
    StringType: "text",
    DateType: "a date",
    DateTimeType: "a date and time",
    DurationType: "a duration",
    ArrayType: "a list",
    ObjectType: "a map",
    OmitType: "nothing (omit)",
}


def resolved(value_type: ValueType) -> ValueType:
    """The type behind a lazy one; its secrecy is kept."""
    while isinstance(value_type, LazyType):
        inner = value_type.resolved
        value_type = replace(inner, secret=True) if value_type.secret and not inner.secret else inner
    return value_type


def options(value_type: ValueType) -> tuple[ValueType, ...]:
    """The types a value of this type may have, none of them a union or lazy."""
    value_type = resolved(value_type)
    if not isinstance(value_type, UnionType):
        return (value_type,)
    found: list[ValueType] = []
    for option in value_type.options:
        found.extend(with_secrecy(inner, value_type.secret) for inner in options(option))
    return tuple(found)


def is_any(value_type: ValueType) -> bool:
    """Whether nothing at all is known of it."""
    return any(isinstance(option, AnyType) for option in options(value_type))


def say_type(value_type: ValueType) -> str:
    """The type in a few words, for a message."""
    found = options(value_type)
    if len(found) > 1:
        return " or ".join(dict.fromkeys(say_type(option) for option in found))
    match found[0]:
        case StringType(enum=tuple() as enum) | IntegerType(enum=tuple() as enum):
            shown = ", ".join(f"`{item}`" for item in enum[:6]) + (", ..." if len(enum) > 6 else "")
            return f"one of {shown}" if len(enum) > 1 else shown
        case StringType(format=str() as name):
            return f"text of format {name}"
        case ArrayType(items=items) if not is_any(items):
            return f"a list of {say_type(items).removeprefix('a ')}"
        case other:
            return _NAMES.get(type(other), type(other).__name__)


def of_bounded_size(value_type: ValueType) -> ValueType:
    """The type; what lies deeper in it than DEEPEST, or past its first MOST_PARTS parts, is any value.

    A value may stand in another many times, and that in a third: what is known of them grows without bound.
    """
    return value_type if _fits(value_type, 0, [MOST_PARTS]) else _cut(value_type, 0, [MOST_PARTS])


def _fits(value_type: ValueType, depth: int, left: list[int]) -> bool:
    left[0] -= 1
    if left[0] < 0 or depth > DEEPEST:
        return False
    match value_type:
        case UnionType(options=inner):
            return all(_fits(option, depth, left) for option in inner)
        case ArrayType(items=items):
            return _fits(items, depth + 1, left)
        case ObjectType(members=members, others=others):
            known = all(_fits(member.type, depth + 1, left) for member in members.values())
            return known and (others is None or _fits(others, depth + 1, left))
        case _:
            return True


def _cut(value_type: ValueType, depth: int, left: list[int]) -> ValueType:
    left[0] -= 1
    if left[0] < 0 or depth > DEEPEST:
        return AnyType(secret=any_secret(value_type))
    match value_type:
        case UnionType(options=inner):
            return replace(value_type, options=tuple(_cut(option, depth, left) for option in inner))
        case ArrayType(items=items):
            return replace(value_type, items=_cut(items, depth + 1, left))
        case ObjectType(members=members, others=others):
            kept = {name: replace(part, type=_cut(part.type, depth + 1, left)) for name, part in members.items()}
            return replace(value_type, members=kept, others=None if others is None else _cut(others, depth + 1, left))
        case _:
            return value_type


def constant_text(value_type: ValueType | None) -> str | None:
    """The text, when the type allows one text only: so arguments such as `attribute='VpcId'` are known."""
    if isinstance(value_type, StringType) and value_type.enum is not None and len(value_type.enum) == 1:
        return value_type.enum[0]
    return None


def with_secrecy(value_type: ValueType, secret: bool) -> ValueType:
    """The type, secret if it was or `secret` says so."""
    return replace(value_type, secret=True) if secret and not value_type.secret else value_type


def without_literal(value_type: ValueType) -> ValueType:
    """The type without what is known of single values: the type of something made from it."""
    match value_type:
        case StringType():
            return StringType(secret=value_type.secret)
        case IntegerType():
            return IntegerType(secret=value_type.secret)
        case NumberType():
            return NumberType(secret=value_type.secret)
        case UnionType():
            return join(without_literal(option) for option in options(value_type))
        case _:
            return value_type


def family(value_type: ValueType) -> type[ValueType]:
    """What a value counts as when it is compared: whole numbers are numbers."""
    return NumberType if isinstance(value_type, IntegerType) else type(value_type)


ORDERED = frozenset({NumberType, StringType, DateType, DateTimeType, DurationType})
"""The families whose values have an order, each among themselves."""


def join(types: Iterable[ValueType]) -> ValueType:
    """The smallest type here that holds every value of the given ones; AnyType for none."""
    found: list[ValueType] = []
    secret = False
    for value_type in types:
        for option in options(value_type):
            secret = secret or option.secret
            # Past the limit nothing but secrecy counts; comparing on would cost the square of a long list's length.
            if len(found) <= MOST_OPTIONS and option not in found:
                found.append(option)
    if not found:
        return AnyType()
    if any(isinstance(option, AnyType) for option in found) or len(found) > MOST_OPTIONS:
        return AnyType(secret=secret)
    merged = _merge_enums(found)
    return with_secrecy(merged[0], secret) if len(merged) == 1 else UnionType(options=tuple(merged), secret=secret)


def _merge_enums(found: list[ValueType]) -> list[ValueType]:
    texts = [option for option in found if isinstance(option, StringType) and option.enum is not None]
    if len(texts) < 2 or any(pair[0].format != pair[1].format for pair in pairwise(texts)):
        return found
    enum = tuple(dict.fromkeys(item for option in texts for item in option.enum or ()))
    merged = StringType(enum=enum, format=texts[0].format, secret=any(option.secret for option in texts))
    return [merged, *(option for option in found if option not in texts)]


def member_of(value_type: ValueType, name: str) -> Member | None:
    """What lies under a name: None when no value of the type can have it.

    A member that only some options have is not required; a secret whole makes its members secret.
    """
    found: list[Member] = []
    complete = True
    for option in options(value_type):
        member = _member(option, name)
        if member is None:
            complete = False
        else:
            found.append(member)
    if not found:
        return None
    joined = join(member.type for member in found)
    return Member(type=joined, required=complete and all(member.required for member in found))


def _member(option: ValueType, name: str) -> Member | None:
    match option:
        case AnyType():
            return Member(type=AnyType(secret=option.secret), required=True)
        case ObjectType(members=members) if name in members:
            member = members[name]
            return replace(member, type=with_secrecy(member.type, option.secret))
        case ObjectType(others=ValueType() as others):
            return Member(type=with_secrecy(others, option.secret), required=True)
        case DateType() if name in {"year", "month", "day"}:
            return Member(type=IntegerType(), required=True)
        case DateTimeType() if name in {"year", "month", "day", "hour", "minute", "second"}:
            return Member(type=IntegerType(), required=True)
    return None


def member_names(value_type: ValueType) -> list[str]:
    """The names known under a type, for suggestions."""
    return [name for option in options(value_type) if isinstance(option, ObjectType) for name in option.members]


def item_of(value_type: ValueType) -> ValueType | None:
    """The type of the items of a list; None when the type has no items."""
    found: list[ValueType] = []
    for option in options(value_type):
        match option:
            case ArrayType(items=items):
                found.append(with_secrecy(items, option.secret))
            case AnyType():
                found.append(AnyType(secret=option.secret))
            case _:
                return None
    return join(found)


def is_secret(value_type: ValueType) -> bool:
    """Whether the value as a whole is secret: how long it is, and whether it is there, then is too."""
    return any(option.secret for option in options(value_type))


def any_secret(value_type: ValueType) -> bool:
    """Whether a value of the type may hold a secret anywhere."""
    return value_type.holds_secret


def type_of(value: JsonValue) -> ValueType:
    """The type of one known value; of text and whole numbers the value itself is known."""
    match value:
        case None:
            return NullType()
        case bool():
            return BooleanType()
        case int():
            return IntegerType(enum=(value,))
        case float():
            return NumberType(minimum=value, maximum=value)
        case str():
            return StringType(enum=(value,))
        case list():
            return ArrayType(items=join(type_of(item) for item in value), min_items=len(value), max_items=len(value))
        case dict():
            return ObjectType(members={key: Member(type=type_of(item), required=True) for key, item in value.items()})


def broad_type_of(value: JsonValue) -> ValueType:
    """The type of a value that may be another one next time (a setting): its kind, not the value itself."""
    match value:
        case list():
            return ArrayType(items=join(broad_type_of(item) for item in value))
        case dict():
            members = {key: Member(type=broad_type_of(item), required=True) for key, item in value.items()}
            return ObjectType(members=members)
        case float():
            return NumberType()
        case _:
            return without_literal(type_of(value))

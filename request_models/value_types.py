"""The lattice of value types: what an expression yields, what an argument takes, and what is secret.

Connectors translate the types of their systems (JSON Schema, botocore shapes, Ansible argument specs) into these.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from request_models.formats import FORMATS, matches_pattern
from request_models.json_values import JsonValue, canonical_json, escape_pointer


@dataclass(frozen=True, kw_only=True)
class ValueType:
    """Any type. `secret` values are shown nowhere and stored encrypted; a type is secret if any value of it may be."""

    secret: bool = False
    description: str = ""

    @cached_property
    def holds_secret(self) -> bool:
        """Whether a value of the type may hold a secret anywhere, however deep."""
        # Shapes of AWS hold themselves and are shared, so each part is looked at once, and what is known is kept.
        seen: dict[int, ValueType] = {}
        pending: list[ValueType] = [self]
        while pending:
            found = pending.pop()
            known: bool | None = vars(found).get("holds_secret")
            if found.secret or known:
                return True
            if known is None and id(found) not in seen:
                seen[id(found)] = found
                pending.extend(_parts(found))
        return False


@dataclass(frozen=True, kw_only=True)
class AnyType(ValueType):
    """Nothing is known when compiling; what is read from it is checked at run time."""


@dataclass(frozen=True, kw_only=True)
class NullType(ValueType):
    """JSON null."""


@dataclass(frozen=True, kw_only=True)
class BooleanType(ValueType):
    """true or false; never an integer."""


@dataclass(frozen=True, kw_only=True)
class IntegerType(ValueType):
    """A whole number within inclusive bounds."""

    minimum: int | None = None
    maximum: int | None = None
    enum: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class NumberType(ValueType):
    """A whole or fractional number within inclusive bounds."""

    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class StringType(ValueType):
    """Text. `format` is JSON Schema's (`date`, `date-time`, `email`, `uri`), or `byte` for Base64.

    `pattern` is ECMA-262 and searches, as JSON Schema says: it is not anchored.
    """

    enum: tuple[str, ...] | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    format: str | None = None


@dataclass(frozen=True, kw_only=True)
class DateType(ValueType):
    """A real date in an expression (an input of format `date`); JSON text everywhere else."""


@dataclass(frozen=True, kw_only=True)
class DateTimeType(ValueType):
    """A real moment in an expression (an input of format `date-time`); JSON text everywhere else."""


@dataclass(frozen=True, kw_only=True)
class DurationType(ValueType):
    """A length of time in an expression; ISO 8601 text everywhere else."""


@dataclass(frozen=True, kw_only=True)
class OmitType(ValueType):
    """What `omit` yields in an expression: an argument that is left out."""


@dataclass(frozen=True, kw_only=True)
class ArrayType(ValueType):
    """A list of items of one type."""

    items: ValueType = field(default_factory=AnyType)
    min_items: int | None = None
    max_items: int | None = None
    unique: bool = False


@dataclass(frozen=True, kw_only=True)
class Member:
    """One named member of an object. `default` is what the system takes when it is absent; None: nothing is known."""

    type: ValueType
    required: bool = False
    default: JsonValue = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ObjectType(ValueType):
    """A map with named members; `others` types the members not named, None refuses them; `keys` types their names.

    A member of a *result* counts as present when compiling (AWS output shapes mark almost nothing required) and is
    checked when read; a member of *arguments* must be given if it is required.
    """

    members: Mapping[str, Member] = field(default_factory=dict)
    others: ValueType | None = None
    keys: StringType | None = None


@dataclass(frozen=True, kw_only=True)
class UnionType(ValueType):
    """Any one of several types."""

    options: tuple[ValueType, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LazyType(ValueType):
    """A type looked at only when needed, so that recursive shapes (AWS has many) can be described."""

    name: str = ""
    resolve: Callable[[], ValueType] = field(default=AnyType, compare=False, repr=False)

    @cached_property
    def resolved(self) -> ValueType:
        """The type itself."""
        return self.resolve()


def _parts(value_type: ValueType) -> Iterator[ValueType]:
    """The types right below one."""
    match value_type:
        case LazyType():
            yield value_type.resolved
        case UnionType(options=options):
            yield from options
        case ArrayType(items=items):
            yield items
        case ObjectType(members=members, others=others):
            yield from (member.type for member in members.values())
            yield from () if others is None else (others,)
        case _:
            pass


@dataclass(frozen=True)
class Mismatch:
    """A part of a value that does not fit its type, at an RFC 6901 JSON pointer; no message holds the value."""

    pointer: str
    message: str


MISSING = "is missing"
UNKNOWN = "is not known here"
"""What `check_value` says of a member that must be given and is not, and of one that its map does not have."""


def check_value(value_type: ValueType, value: JsonValue) -> list[Mismatch]:
    """Everything about a value that does not fit a type; empty when it fits.

    true is no number, `1.0` is no whole number, and a member that is not known is refused. Patterns are ECMA-262;
    one that is not valid ECMA-262 refuses nothing.
    """
    return list(_mismatches(value_type, value, ""))


def _mismatches(value_type: ValueType, value: JsonValue, pointer: str) -> Iterator[Mismatch]:
    match value_type:
        case LazyType():
            yield from _mismatches(value_type.resolved, value, pointer)
        case UnionType():
            yield from _union_mismatches(value_type, value, pointer)
        case ArrayType() if isinstance(value, list):
            yield from _array_mismatches(value_type, value, pointer)
        case ObjectType() if isinstance(value, dict):
            yield from _object_mismatches(value_type, value, pointer)
        case StringType() if isinstance(value, str):
            yield from (Mismatch(pointer, why) for why in _text_problems(value_type, value))
        case IntegerType() | NumberType() if type(value) in _PYTHON[type(value_type)]:
            yield from (Mismatch(pointer, why) for why in _number_problems(value_type, value))
        case DateType() | DateTimeType() | DurationType() if isinstance(value, str):
            name = _TIME_FORMATS[type(value_type)]
            if not FORMATS[name](value):
                yield Mismatch(pointer, f"must be a valid {name}")
        case NullType() if value is None:
            pass
        case BooleanType() if isinstance(value, bool):
            pass
        case AnyType():
            pass
        case _:
            yield Mismatch(pointer, f"must be {_KINDS[type(value_type)]}, not {_say_kind(value)}")


def _union_mismatches(union: UnionType, value: JsonValue, pointer: str) -> Iterator[Mismatch]:
    tried = [list(_mismatches(option, value, pointer)) for option in union.options]
    if tried and all(tried):
        # The option that came closest says what is wrong; when none is of this kind, all of them do.
        closest = [found for found in tried if any(mismatch.pointer != pointer for mismatch in found)]
        if closest:
            yield from min(closest, key=lambda found: (_misnamed(found, pointer), len(found)))
        else:
            yield Mismatch(pointer, " or ".join(dict.fromkeys(found[0].message for found in tried)))


def _misnamed(found: list[Mismatch], pointer: str) -> int:
    """How many members right below the pointer are missing or unknown: with none, it is the option that was meant."""
    here = pointer.count("/") + 1
    return sum(wrong.pointer.count("/") == here and wrong.message in {MISSING, UNKNOWN} for wrong in found)


def _array_mismatches(array: ArrayType, value: list[JsonValue], pointer: str) -> Iterator[Mismatch]:
    if array.min_items is not None and len(value) < array.min_items:
        yield Mismatch(pointer, f"must have {array.min_items} items at least")
    if array.max_items is not None and len(value) > array.max_items:
        yield Mismatch(pointer, f"must have {array.max_items} items at most")
    if array.unique and len({canonical_json(item) for item in value}) < len(value):
        yield Mismatch(pointer, "must not hold an item twice")
    for index, item in enumerate(value):
        yield from _mismatches(array.items, item, f"{pointer}/{index}")


def _object_mismatches(found: ObjectType, value: dict[str, JsonValue], pointer: str) -> Iterator[Mismatch]:
    named = {alias: member for name, member in found.members.items() for alias in (name, *member.aliases)}
    for name, member in found.members.items():
        given = value.keys() & {name, *member.aliases}
        if member.required and not given:
            yield Mismatch(f"{pointer}/{escape_pointer(name)}", MISSING)
        if len(given) > 1:
            yield Mismatch(f"{pointer}/{escape_pointer(name)}", said_twice(given))
    for key, item in value.items():
        inner = named[key].type if key in named else found.others
        place = f"{pointer}/{escape_pointer(key)}"
        if inner is None:
            yield Mismatch(place, UNKNOWN)
            continue
        if key not in named:
            yield from (Mismatch(place, why) for why in key_problems(found, key))
        yield from _mismatches(inner, item, place)


def said_twice(given: Iterable[str]) -> str:
    """What is wrong with a member that is given under several of its names."""
    return f"is given more than once, as {' and '.join(sorted(given))}: these are names of one thing"


def key_problems(found: ObjectType, key: str) -> Iterator[str]:
    """What is wrong with the name of a member that is not among the named ones."""
    if found.keys is not None:
        yield from (f"has a key that {why}" for why in _text_problems(found.keys, key))


def _text_problems(text: StringType, value: str) -> Iterator[str]:
    if text.enum is not None and value not in text.enum:
        shown = ", ".join(text.enum[:20]) + (", ..." if len(text.enum) > 20 else "")
        yield f"must be one of {shown}"
    if text.min_length is not None and len(value) < text.min_length:
        yield f"must have {text.min_length} characters at least"
    if text.max_length is not None and len(value) > text.max_length:
        yield f"must have {text.max_length} characters at most"
    if text.pattern is not None and not matches_pattern(text.pattern, value):
        yield f"must match the pattern {text.pattern}"
    if text.format is not None and text.format in FORMATS and not FORMATS[text.format](value):
        yield f"must be a valid {text.format}"


def _number_problems(number: IntegerType | NumberType, value: JsonValue) -> Iterator[str]:
    assert isinstance(value, int | float)
    if isinstance(number, IntegerType) and number.enum is not None and value not in number.enum:
        yield f"must be one of {', '.join(map(str, number.enum[:20]))}"
    if number.minimum is not None and value < number.minimum:
        yield f"must be {number.minimum} at least"
    if number.maximum is not None and value > number.maximum:
        yield f"must be {number.maximum} at most"


def _say_kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number with a fraction"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a map"


_PYTHON: Mapping[type[ValueType], tuple[type, ...]] = {IntegerType: (int,), NumberType: (int, float)}
_TIME_FORMATS: Mapping[type[ValueType], str] = {DateType: "date", DateTimeType: "date-time", DurationType: "duration"}
_KINDS: Mapping[type[ValueType], str] = {
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
}

"""The lattice of value types: what an expression yields, what an argument takes, and what is secret.

Connectors translate the types of their systems (JSON Schema, botocore shapes, Ansible argument specs) into these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from request_models.json_values import JsonValue


@dataclass(frozen=True, kw_only=True)
class ValueType:
    """Any type. `secret` values are shown nowhere and stored encrypted; a type is secret if any value of it may be."""

    secret: bool = False
    description: str = ""


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
    """A map with named members; `others` types the members not named, None refuses them.

    A member of a *result* counts as present when compiling (AWS output shapes mark almost nothing required) and is
    checked when read; a member of *arguments* must be given if it is required.
    """

    members: Mapping[str, Member] = field(default_factory=dict)
    others: ValueType | None = None


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

"""The type rules of the operators: reading by a key, calculating."""

from collections.abc import Mapping

from request_models.errors import TypeRuleError
from request_models.type_algebra import any_secret, family, join, options, say_type, with_secrecy
from request_models.value_types import (
    AnyType,
    ArrayType,
    DateTimeType,
    DateType,
    DurationType,
    IntegerType,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
)


def item_type(base: ValueType, key: ValueType) -> ValueType:
    """What is read of a list or a map by a key that is known only at run time."""
    found: list[ValueType] = []
    for option in options(base):
        match option:
            case ArrayType(items=items):
                if not all(isinstance(part, IntegerType | AnyType) for part in options(key)):
                    raise TypeRuleError(f"a list is read by number, not by {say_type(key)}")
                found.append(with_secrecy(items, option.secret))
            case ObjectType(members=members, others=others):
                if not all(isinstance(part, StringType | AnyType) for part in options(key)):
                    raise TypeRuleError(f"a map is read by text, not by {say_type(key)}")
                inner = [member.type for member in members.values()] + ([others] if others is not None else [])
                found.append(with_secrecy(join(inner), option.secret))
            case AnyType():
                found.append(option)
            case _:
                raise TypeRuleError(f"{say_type(option)} has no items to read")
    return join(found)


_SUMS: Mapping[tuple[str, type[ValueType], type[ValueType]], type[ValueType]] = {
    ("+", StringType, StringType): StringType,
    ("+", DateType, DurationType): DateType,
    ("+", DurationType, DateType): DateType,
    ("+", DateTimeType, DurationType): DateTimeType,
    ("+", DurationType, DateTimeType): DateTimeType,
    ("+", DurationType, DurationType): DurationType,
    ("-", DateType, DurationType): DateType,
    ("-", DateTimeType, DurationType): DateTimeType,
    ("-", DurationType, DurationType): DurationType,
    ("-", DateType, DateType): DurationType,
    ("-", DateTimeType, DateTimeType): DurationType,
}


def arithmetic(operator: str, left: ValueType, right: ValueType) -> ValueType:
    """The type of a calculation; raises TypeRuleError where there is none."""
    return join(_calculated(operator, a, b) for a in options(left) for b in options(right))


def _calculated(operator: str, left: ValueType, right: ValueType) -> ValueType:
    secret = any_secret(left) or any_secret(right)
    if isinstance(left, AnyType) or isinstance(right, AnyType):
        return AnyType(secret=secret)
    if family(left) is NumberType and family(right) is NumberType:
        whole = isinstance(left, IntegerType) and isinstance(right, IntegerType) and operator != "/"
        return IntegerType(secret=secret) if whole else NumberType(secret=secret)
    if operator == "+" and isinstance(left, ArrayType) and isinstance(right, ArrayType):
        return ArrayType(items=join([left.items, right.items]), secret=secret)
    found = _SUMS.get((operator, type(left), type(right)))
    if found is not None:
        return found(secret=secret)
    hint = "join texts with `~`" if StringType in {type(left), type(right)} and operator == "+" else ""
    if {type(left), type(right)} & {DurationType} and StringType in {type(left), type(right)}:
        hint = "make the text a date first: `| as_date` or `| as_datetime`"
    raise TypeRuleError(f"`{operator}` does not work between {say_type(left)} and {say_type(right)}", hint=hint)

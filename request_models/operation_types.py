"""The type rules of the operators: reading by a key, comparing, calculating."""

from collections.abc import Mapping

from request_models.errors import TypeRuleError
from request_models.filter_rules import constant_text
from request_models.type_algebra import ORDERED, any_secret, family, is_any, join, options, say_type, with_secrecy
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


def check_comparable(operator: str, left: ValueType, right: ValueType) -> None:
    """Refuse a comparison that makes no sense for its types, or that can never be true."""
    if is_any(left) or is_any(right):
        return
    if operator in {"in", "notin"}:
        _searchable(left, right)
        return
    pairs = [family(a) is family(b) for a in options(left) for b in options(right)]
    if not any(pairs):
        what = f"{say_type(left)} is compared with {say_type(right)}"
        outcome = "they are never equal" if operator in {"eq", "ne"} else "there is no order"
        raise TypeRuleError(f"{what}: {outcome}")
    if operator not in {"eq", "ne"} and not (all(pairs) and family(options(left)[0]) in ORDERED):
        raise TypeRuleError(f"there is no order between {say_type(left)} and {say_type(right)}")
    _refuse_impossible_literal(left, right)


def _refuse_impossible_literal(left: ValueType, right: ValueType) -> None:
    """A comparison with a text that the other side can never be, `inputs.region == 'eu-west-l'`, is a slip."""
    for one, other in ((left, right), (right, left)):
        text = constant_text(one)
        known = options(other)
        enums = [option.enum for option in known if isinstance(option, StringType)]
        if text is None or len(enums) != len(known) or any(enum is None or text in enum for enum in enums):
            continue
        allowed = [item for enum in enums for item in enum or ()]
        if constant_text(other) is None:
            raise TypeRuleError(f"`{text}` is none of {', '.join(f'`{item}`' for item in allowed[:12])}")


def _searchable(left: ValueType, right: ValueType) -> None:
    for option in options(right):
        match option:
            case ArrayType(items=items):
                families = {family(item) for item in options(items)}
                if not is_any(items) and not any(family(option) in families for option in options(left)):
                    raise TypeRuleError(f"{say_type(left)} is looked for in {say_type(option)}: it is never there")
            case StringType() | ObjectType():
                if not all(isinstance(part, StringType) for part in options(left)):
                    raise TypeRuleError(f"only text can be looked for in {say_type(option)}, not {say_type(left)}")
            case AnyType():
                pass
            case _:
                raise TypeRuleError(f"`in` looks into lists, maps and texts, but this is {say_type(option)}")


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

"""The type rules of comparing: what may be compared, and what is known of the outcome before anything is."""

from collections.abc import Callable, Mapping

from request_models.errors import TypeRuleError
from request_models.type_algebra import ORDERED, constant_text, family, is_any, options, say_type
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
)


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
        why = "they are never equal" if operator in {"eq", "ne"} else "there is no order"
        raise TypeRuleError(f"{what}: {why}", hint=_other_kind(left, right))
    if operator not in {"eq", "ne"} and not (all(pairs) and family(options(left)[0]) in ORDERED):
        raise TypeRuleError(f"there is no order between {say_type(left)} and {say_type(right)}")
    _refuse_impossible_literal(left, right)


def _other_kind(left: ValueType, right: ValueType) -> str:
    """What to write where a number or a truth value is compared with text."""
    found = {family(option) for option in (*options(left), *options(right))}
    if found == {StringType, NumberType}:
        return "write the number without quotes, or make text a number: `... | int`"
    if found == {StringType, BooleanType}:
        return "write `true` or `false` without quotes, or nothing: it is true or false already"
    return ""


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


def outcome(operator: str, left: ValueType, right: ValueType) -> bool | None:
    """How a comparison comes out for all values of these types; None where it depends on them."""
    match operator:
        case "eq":
            return _equal(left, right)
        case "ne":
            return _not(_equal(left, right))
        case "lt" | "lteq" | "gt" | "gteq":
            return _ordered(operator, left, right)
        case _:
            return None


def _not(found: bool | None) -> bool | None:
    return None if found is None else not found


def _equal(left: ValueType, right: ValueType) -> bool | None:
    listed, others = _listed(left), _listed(right)
    if listed is not None and others is not None:
        if not listed & others:
            return False
        return True if len(listed) == len(others) == 1 else None
    if isinstance(left, NullType) and isinstance(right, NullType):
        return True
    (low, high), (least, most) = bounds(left), bounds(right)
    if (high is not None and least is not None and high < least) or (
        low is not None and most is not None and low > most
    ):
        return False
    return True if low is not None and low == high == least == most else None


def _ordered(operator: str, left: ValueType, right: ValueType) -> bool | None:
    sure, never = _SURE[operator], _SURE[OPPOSITE[operator]]
    if sure(bounds(left), bounds(right)):
        return True
    return False if never(bounds(left), bounds(right)) else None


Bounds = tuple[float | None, float | None]
"""The least and the largest number; None where there is no bound."""

_SURE: Mapping[str, Callable[[Bounds, Bounds], bool]] = {
    "lt": lambda left, right: left[1] is not None and right[0] is not None and left[1] < right[0],
    "lteq": lambda left, right: left[1] is not None and right[0] is not None and left[1] <= right[0],
    "gt": lambda left, right: left[0] is not None and right[1] is not None and left[0] > right[1],
    "gteq": lambda left, right: left[0] is not None and right[1] is not None and left[0] >= right[1],
}
OPPOSITE = {"lt": "gteq", "lteq": "gt", "gt": "lteq", "gteq": "lt"}
"""The order that holds when another does not."""


def _listed(value_type: ValueType) -> set[str | float] | None:
    """The texts and numbers it may be; None when it may be others, or something that is compared otherwise (dates)."""
    found: set[str | float] = set()
    for option in options(value_type):
        match option:
            case StringType(enum=tuple() as enum, format=None) | IntegerType(enum=tuple() as enum):
                found.update(enum)
            case NumberType(minimum=float() | int() as low, maximum=high) if low == high:
                found.add(low)
            case _:
                return None
    return found


def bounds(value_type: ValueType) -> Bounds:
    """The least and the largest number it may be; None where there is no bound, or it may be no number."""
    lows: list[float | None] = []
    highs: list[float | None] = []
    for option in options(value_type):
        match option:
            case IntegerType(enum=tuple() as enum) if enum:
                lows.append(min(enum))
                highs.append(max(enum))
            case IntegerType(minimum=low, maximum=high) | NumberType(minimum=low, maximum=high):
                lows.append(low)
                highs.append(high)
            case _:
                return (None, None)
    return (
        None if None in lows else min(low for low in lows if low is not None),
        None if None in highs else max(high for high in highs if high is not None),
    )

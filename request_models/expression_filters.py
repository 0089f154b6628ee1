"""The filters of the expression language: `value | FILTER`."""

from collections.abc import Callable, Mapping

from request_models.errors import TypeRuleError
from request_models.expression_functions import Function, Work, text_of
from request_models.filter_functions import (
    as_items,
    as_number,
    as_text,
    by_text,
    choose,
    default,
    end,
    entries,
    extreme,
    flattened,
    in_order,
    joined,
    length,
    parts_of,
    present_item,
    replaced,
    rounded,
    split,
    to_date,
    to_float,
    to_int,
    to_list,
    to_moment,
    total,
    trimmed,
    unique,
    written,
)
from request_models.filter_rules import (
    TEXT,
    attribute_type,
    choose_rule,
    default_rule,
    entries_rule,
    extreme_rule,
    fixed,
    flat_rule,
    item_rule,
    join_rule,
    length_rule,
    list_of_rule,
    list_rule,
    number_rule,
    numeral_rule,
    only,
    order_rule,
    round_rule,
    split_rule,
    sum_rule,
    text_keeping_enum,
    text_rule,
)
from request_models.type_algebra import constant_text, item_of
from request_models.value_types import (
    AnyType,
    ArrayType,
    DateTimeType,
    DateType,
    IntegerType,
    NumberType,
    StringType,
    ValueType,
)


def _map(work: Work, value: object, function: object, attribute: object) -> list[object]:
    items = work.items(as_items(value, "map"))
    if (function is None) == (attribute is None):
        raise TypeRuleError("`map` takes a filter's name or attribute='NAME'")
    if attribute is not None:
        return [present_item(item) for item in parts_of(work, items, attribute, "map")]
    used = _mappable(as_text(function, "map"))
    return [present_item(used.apply(work, item, *used.bind([], {}))) for item in items]


def _mappable(name: str) -> Function:
    used = FILTERS.get(name)
    if used is None or used.required or name == "map":
        raise TypeRuleError("`map` knows no filter of this name that takes no arguments")
    return used


def _map_rule(value: ValueType, function: ValueType | None, attribute: ValueType | None) -> ValueType:
    only(value, (ArrayType,), "map", "a list")
    items = item_of(value) or AnyType()
    if (function is None) == (attribute is None):
        raise TypeRuleError("`map` takes a filter's name or attribute='NAME'")
    if attribute is not None:
        return ArrayType(items=attribute_type(items, attribute))
    name = constant_text(function)
    if name is None:
        raise TypeRuleError("`map` takes the name of a filter as it is: map('upper')")
    used = _mappable(name)
    return ArrayType(items=used.rule(items, *used.bind([], {})))


def _function(
    name: str,
    apply: Callable[..., object],
    rule: Callable[..., ValueType],
    documentation: str,
    parameters: tuple[str, ...] = (),
    required: int = 0,
    takes_absent: bool = False,
) -> Function:
    return Function(name, parameters, required, apply, rule, documentation, takes_absent)


ALL_FILTERS: tuple[Function, ...] = (
    _function("abs", lambda work, value: abs(as_number(value, "abs")), number_rule("abs"), "Without its sign."),
    _function(
        "as_date",
        to_date,
        fixed(DateType(), *TEXT, name="as_date", what="text"),
        "Text, or a moment's day in UTC, as a date.",
    ),
    _function(
        "as_datetime",
        to_moment,
        fixed(DateTimeType(), StringType, DateTimeType, name="as_datetime", what="text"),
        "Text as a date and time.",
    ),
    _function(
        "capitalize",
        by_text("capitalize", str.capitalize),
        text_rule("capitalize"),
        "First letter large, the rest small.",
    ),
    _function(
        "default",
        default,
        default_rule,
        "Something else when it is absent (with `true`: or empty).",
        ("value", "boolean"),
        1,
        takes_absent=True,
    ),
    _function("first", end(0, "first"), item_rule("first"), "The first item."),
    _function("flatten", flattened, flat_rule, "A list of lists as one list; lists in those stay."),
    _function("float", to_float, numeral_rule(NumberType(), "float"), "As a number."),
    _function("int", to_int, numeral_rule(IntegerType(), "int"), "As a whole number; fractions are cut off."),
    _function("items", entries, entries_rule, "A map as a list of `{key, value}`, in the keys' order."),
    _function("join", joined, join_rule, "The items as one text.", ("separator",)),
    _function("last", end(-1, "last"), item_rule("last"), "The last item."),
    _function("length", length, length_rule, "How many characters, items or members."),
    _function("list", to_list, list_of_rule, "As a list; of a map, its keys."),
    _function("lower", by_text("lower", str.lower), text_keeping_enum("lower", str.lower), "In small letters."),
    _function(
        "map",
        _map,
        _map_rule,
        "Each item's attribute, or each item through a filter.",
        ("filter", "attribute"),
    ),
    _function("max", extreme(max, "max"), extreme_rule("max"), "The largest item."),
    _function("min", extreme(min, "min"), extreme_rule("min"), "The smallest item."),
    _function(
        "reject",
        choose(False, False, "reject"),
        choose_rule(False, "reject"),
        "The items that fail a test.",
        ("test", "argument"),
    ),
    _function(
        "rejectattr",
        choose(False, True, "rejectattr"),
        choose_rule(True, "rejectattr"),
        "The items whose attribute fails a test.",
        ("attribute", "test", "argument"),
        1,
    ),
    _function(
        "replace",
        replaced,
        text_rule("replace"),
        "One text for another, everywhere in it.",
        ("old", "new"),
        2,
    ),
    _function("round", rounded, round_rule, "Rounded, to whole numbers or to some digits.", ("digits",)),
    _function(
        "select",
        choose(True, False, "select"),
        choose_rule(False, "select"),
        "The items that pass a test.",
        ("test", "argument"),
    ),
    _function(
        "selectattr",
        choose(True, True, "selectattr"),
        choose_rule(True, "selectattr"),
        "The items whose attribute passes a test.",
        ("attribute", "test", "argument"),
        1,
    ),
    _function(
        "sort",
        in_order,
        order_rule,
        "In order; `reverse`, and by `attribute`.",
        ("reverse", "attribute"),
    ),
    _function(
        "split",
        split,
        split_rule,
        "Text as a list, split at white space or at a text.",
        ("separator",),
    ),
    _function("string", lambda work, value: text_of(value, work), fixed(StringType()), "As text."),
    _function("sum", total, sum_rule, "All numbers added."),
    _function("title", by_text("title", str.title), text_rule("title"), "Each word with a large letter first."),
    _function("tojson", written, fixed(StringType()), "As JSON text, keys in order."),
    _function(
        "trim",
        trimmed,
        text_rule("trim"),
        "Without white space (or the characters given) at both ends.",
        ("characters",),
    ),
    _function("unique", unique, list_rule("unique"), "Each item once."),
    _function("upper", by_text("upper", str.upper), text_keeping_enum("upper", str.upper), "In large letters."),
)  # fmt: skip
"""Every filter of the language."""

FILTERS: Mapping[str, Function] = {function.name: function for function in ALL_FILTERS} | {
    "count": next(function for function in ALL_FILTERS if function.name == "length"),
    "d": next(function for function in ALL_FILTERS if function.name == "default"),
}
"""By name, other names of the same filter included."""

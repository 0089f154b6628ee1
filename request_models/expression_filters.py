"""The filters of the expression language: `value | FILTER`."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from request_models.errors import TypeRuleError
from request_models.expression_functions import Function, Work, identity_key, say_kind, text_of, truth
from request_models.expression_tests import TESTS
from request_models.formats import is_date, is_date_time
from request_models.json_values import canonical_json
from request_models.scope_values import DateText, DateTimeText, Undefined, plain_value, temporal
from request_models.type_algebra import (
    any_secret,
    is_any,
    item_of,
    join,
    member_of,
    options,
    say_type,
    with_secrecy,
    without_literal,
)
from request_models.value_types import (
    AnyType,
    ArrayType,
    DateTimeType,
    DateType,
    IntegerType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
)

_TEXT = (StringType, DateType, DateTimeType)
_NUMBERS = (IntegerType, NumberType)


# what the values are at run time


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise TypeRuleError(f"`{name}` works on text, not on {say_kind(value)}")
    return str(value)


def _items(value: object, name: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeRuleError(f"`{name}` works on a list, not on {say_kind(value)}")
    return list(value)


def _number(value: object, name: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeRuleError(f"`{name}` works on numbers, not on {say_kind(value)}")
    return value


def _whole(value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1000:
        raise TypeRuleError("this argument is a whole number up to 1000")
    return value


def _under(item: object, path: str) -> object:
    for name in path.split("."):
        if not isinstance(item, Mapping) or name not in item:
            return Undefined(path)
        item = item[name]
    return item


def _there(value: object) -> object:
    if isinstance(value, Undefined):
        raise TypeRuleError(f"an item has no `{value.path}`")
    return value


def _length(work: Work, value: object) -> int:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise TypeRuleError(f"{say_kind(value)} has no length")


def _default(work: Work, value: object, other: object, also_empty: object) -> object:
    absent = isinstance(value, Undefined) or (also_empty is True and not truth(value))
    return other if absent else value


def _join(work: Work, value: object, separator: object) -> str:
    parts = [work.text(text_of(item)) for item in _items(value, "join")]
    return work.text(("" if separator is None else _text(separator, "join")).join(parts))


def _replace(work: Work, value: object, old: object, new: object) -> str:
    text, old, new = _text(value, "replace"), _text(old, "replace"), _text(new, "replace")
    if not old:
        raise TypeRuleError("`replace` needs something to look for")
    # Paid for before it is made: a short text may stand many times in a long one.
    work.text(text)
    if len(text) + text.count(old) * (len(new) - len(old)) > 2_097_152:
        raise TypeRuleError("the text grows too long")
    return work.text(text.replace(old, new))


def _split(work: Work, value: object, separator: object) -> list[object]:
    text = work.text(_text(value, "split"))
    if separator is None:
        return work.items([*text.split()])
    if separator == "":
        raise TypeRuleError("`split` needs something to split at")
    return work.items([*text.split(_text(separator, "split"))])


def _int(work: Work, value: object) -> int:
    try:
        if isinstance(value, str) and len(value) <= 40:
            return int(value)
        return math.trunc(_number(value, "int"))
    except (ValueError, OverflowError):
        raise TypeRuleError("this text is no whole number") from None


def _float(work: Work, value: object) -> float:
    try:
        number = float(value) if isinstance(value, str) and len(value) <= 40 else float(_number(value, "float"))
    except (ValueError, OverflowError):
        raise TypeRuleError("this text is no number") from None
    if not math.isfinite(number):
        raise TypeRuleError("this text is no number")
    return number


def _round(work: Work, value: object, digits: object) -> int | float:
    count = _whole(digits, 0)
    number = round(_number(value, "round"), count)
    return math.trunc(number) if count == 0 else number


def _list(work: Work, value: object) -> list[object]:
    match value:
        case list() | tuple():
            return work.items([*value])
        case Mapping():
            return work.items([*value])
        case _:
            raise TypeRuleError(f"`list` works on a list or a map, not on {say_kind(value)}; for text use `split`")


def _unique(work: Work, value: object) -> list[object]:
    seen: dict[bytes, object] = {}
    for item in _items(value, "unique"):
        key = identity_key(item)
        work.spend(1 + len(key) // 64)
        seen.setdefault(key, item)
    return [*seen.values()]


def _sort_key(item: object, attribute: str | None) -> tuple[str, Any]:
    key = item if attribute is None else _there(_under(item, attribute))
    moment = temporal(key)
    if moment is not None:
        return ("time " + type(moment).__name__, moment)
    if isinstance(key, str):
        return ("text", key)
    return ("number", _number(key, "sort"))


def _sorted(work: Work, value: object, reverse: object, attribute: object) -> list[object]:
    items = _items(value, "sort")
    path = None if attribute is None else _text(attribute, "sort")
    work.spend(len(items) * 4 + sum(len(item) // 64 for item in items if isinstance(item, str)))
    keys = [_sort_key(item, path) for item in items]
    if len({kind for kind, _ in keys}) > 1:
        raise TypeRuleError("only items of one kind can be put in order")
    order = sorted(range(len(items)), key=lambda index: keys[index], reverse=reverse is True)
    return [items[index] for index in order]


def _extreme(choose: Callable[[list[tuple[str, Any]]], tuple[str, Any]], name: str) -> Callable[..., object]:
    def apply(work: Work, value: object) -> object:
        items = _items(value, name)
        if not items:
            return Undefined(name)
        work.spend(len(items) * 2)
        keys = [_sort_key(item, None) for item in items]
        if len({kind for kind, _ in keys}) > 1:
            raise TypeRuleError("only items of one kind can be put in order")
        return items[keys.index(choose(keys))]

    return apply


def _total(work: Work, value: object) -> int | float:
    items = _items(value, "sum")
    work.spend(len(items))
    total = sum(_number(item, "sum") for item in items)
    if not -(2**128) <= total <= 2**128:
        raise TypeRuleError("the sum is too large")
    return total


def _end(position: int, name: str) -> Callable[..., object]:
    def apply(work: Work, value: object) -> object:
        items = _items(value, name)
        return items[position] if items else Undefined(name)

    return apply


def _map(work: Work, value: object, function: object, attribute: object) -> list[object]:
    items = work.items(_items(value, "map"))
    if (function is None) == (attribute is None):
        raise TypeRuleError("`map` takes a filter's name or attribute='NAME'")
    if attribute is not None:
        return [_there(_under(item, _text(attribute, "map"))) for item in items]
    used = _mappable(_text(function, "map"))
    return [used.apply(work, item, *used.bind([], {})) for item in items]


def _mappable(name: str) -> Function:
    used = FILTERS.get(name)
    if used is None or used.required or name == "map":
        raise TypeRuleError(f"`map` knows no filter `{name}` without arguments")
    return used


def _choose(keep: bool, by_attribute: bool, name: str) -> Callable[..., object]:
    def apply(work: Work, value: object, *given: object) -> list[object]:
        attribute, test, argument = given if by_attribute else (None, *given)
        items = work.items(_items(value, name))
        subjects = [item if attribute is None else _under(item, _text(attribute, name)) for item in items]
        passed = [_passes(work, subject, test, argument, name) for subject in subjects]
        return [item for item, good in zip(items, passed, strict=True) if good is keep]

    return apply


def _passes(work: Work, subject: object, test: object, argument: object, name: str) -> bool:
    if test is None:
        return not isinstance(subject, Undefined) and truth(subject)
    used = TESTS.get(_text(test, name))
    if used is None:
        raise TypeRuleError(f"there is no test `{test}`")
    if not used.takes_absent:
        _there(subject)
    return truth(used.apply(work, subject, *used.bind([] if argument is None else [argument], {})))


def _entries(work: Work, value: object) -> list[object]:
    if not isinstance(value, Mapping):
        raise TypeRuleError(f"`items` works on a map, not on {say_kind(value)}")
    return work.items([{"key": key, "value": value[key]} for key in sorted(value)])


def _as_date(work: Work, value: object) -> object:
    moment = temporal(value)
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).date()
    if moment is not None and isinstance(value, DateText):
        return value
    if isinstance(value, str) and is_date(value):
        return DateText(value)
    if isinstance(value, str) and is_date_time(value):
        return DateTimeText(value).moment.astimezone(UTC).date()
    raise TypeRuleError("this is no date (2026-11-05) and no date and time")


def _as_moment(work: Work, value: object) -> object:
    if isinstance(value, DateTimeText | datetime):
        return value
    if isinstance(value, str) and is_date_time(value):
        return DateTimeText(value)
    raise TypeRuleError("this is no date and time (2026-11-05T08:00:00Z)")


def _written(work: Work, value: object) -> str:
    return work.text(canonical_json(plain_value(value)).decode())


def _by_text(name: str, change: Callable[[str], str]) -> Callable[..., object]:
    return lambda work, value: work.text(change(work.text(_text(value, name))))


def _trim(work: Work, value: object, characters: object) -> str:
    return work.text(_text(value, "trim").strip(None if characters is None else _text(characters, "trim")))


# what is known of them when compiling


def _only(value: ValueType, kinds: tuple[type[ValueType], ...], name: str, what: str) -> None:
    for option in options(value):
        if not isinstance(option, kinds) and not isinstance(option, AnyType):
            raise TypeRuleError(f"`{name}` works on {what}, but this is {say_type(option)}")


def _text_rule(name: str) -> Callable[..., ValueType]:
    def rule(value: ValueType, *arguments: ValueType | None) -> ValueType:
        _only(value, _TEXT, name, "text")
        return StringType(secret=any_secret(value))

    return rule


def _text_keeping_enum(name: str, change: Callable[[str], str]) -> Callable[..., ValueType]:
    def rule(value: ValueType) -> ValueType:
        _only(value, _TEXT, name, "text")
        known = options(value)
        if len(known) == 1 and isinstance(known[0], StringType) and known[0].enum is not None:
            return StringType(enum=tuple(dict.fromkeys(map(change, known[0].enum))), secret=known[0].secret)
        return StringType(secret=any_secret(value))

    return rule


def _list_rule(name: str) -> Callable[..., ValueType]:
    def rule(value: ValueType, *arguments: ValueType | None) -> ValueType:
        _only(value, (ArrayType,), name, "a list")
        return ArrayType(items=item_of(value) or AnyType(), secret=value.secret)

    return rule


def _item_rule(name: str) -> Callable[..., ValueType]:
    def rule(value: ValueType, *arguments: ValueType | None) -> ValueType:
        _only(value, (ArrayType,), name, "a list")
        return item_of(value) or AnyType()

    return rule


def _fixed(result: ValueType, *kinds: type[ValueType], name: str = "", what: str = "") -> Callable[..., ValueType]:
    def rule(value: ValueType, *arguments: ValueType | None) -> ValueType:
        if kinds:
            _only(value, kinds, name, what)
        return with_secrecy(result, any_secret(value))

    return rule


def _default_rule(value: ValueType, other: ValueType, also_empty: ValueType | None) -> ValueType:
    given = [option for option in options(value) if also_empty is None or not isinstance(option, NullType)]
    return join([*given, other])


def _join_rule(value: ValueType, separator: ValueType | None) -> ValueType:
    _only(value, (ArrayType,), "join", "a list")
    return StringType(secret=any_secret(value))


def _number_rule(name: str) -> Callable[..., ValueType]:
    def rule(value: ValueType) -> ValueType:
        _only(value, _NUMBERS, name, "numbers")
        return without_literal(value) if not is_any(value) else NumberType(secret=value.secret)

    return rule


def _sum_rule(value: ValueType) -> ValueType:
    _only(value, (ArrayType,), "sum", "a list of numbers")
    items = item_of(value) or AnyType()
    _only(items, _NUMBERS, "sum", "a list of numbers")
    whole = all(isinstance(option, IntegerType) for option in options(items))
    return IntegerType(secret=any_secret(value)) if whole else NumberType(secret=any_secret(value))


def _round_rule(value: ValueType, digits: ValueType | None) -> ValueType:
    _only(value, _NUMBERS, "round", "numbers")
    return IntegerType(secret=value.secret) if digits is None else NumberType(secret=value.secret)


def constant_text(value_type: ValueType | None) -> str | None:
    """The text, when the type allows one text only: so arguments such as `attribute='VpcId'` are known."""
    if isinstance(value_type, StringType) and value_type.enum is not None and len(value_type.enum) == 1:
        return value_type.enum[0]
    return None


def _attribute_type(items: ValueType, attribute: ValueType) -> ValueType:
    path = constant_text(attribute)
    if path is None:
        return AnyType(secret=any_secret(items))
    for name in path.split("."):
        member = member_of(items, name)
        if member is None:
            raise TypeRuleError(f"the items have no `{name}`: they are {say_type(items)}")
        items = member.type
    return items


def _map_rule(value: ValueType, function: ValueType | None, attribute: ValueType | None) -> ValueType:
    _only(value, (ArrayType,), "map", "a list")
    items = item_of(value) or AnyType()
    if (function is None) == (attribute is None):
        raise TypeRuleError("`map` takes a filter's name or attribute='NAME'")
    if attribute is not None:
        return ArrayType(items=_attribute_type(items, attribute))
    name = constant_text(function)
    if name is None:
        raise TypeRuleError("`map` takes the name of a filter as it is: map('upper')")
    used = _mappable(name)
    return ArrayType(items=used.rule(items, *used.bind([], {})))


def _choose_rule(by_attribute: bool, name: str) -> Callable[..., ValueType]:
    def rule(value: ValueType, *given: ValueType | None) -> ValueType:
        _only(value, (ArrayType,), name, "a list")
        items = item_of(value) or AnyType()
        attribute, test = given[:2] if by_attribute else (None, given[0])
        if attribute is not None:
            _attribute_type(items, attribute)
        used = constant_text(test)
        if test is not None and (used is None or used not in TESTS):
            raise TypeRuleError(f"`{name}` knows no test of this name", hint=f"tests are {', '.join(sorted(TESTS))}")
        return ArrayType(items=items, secret=value.secret)

    return rule


def _list_of_rule(value: ValueType) -> ValueType:
    _only(value, (ArrayType, ObjectType), "list", "a list or a map")
    if all(isinstance(option, ArrayType) for option in options(value)):
        return _list_rule("list")(value)
    return ArrayType(items=AnyType() if is_any(value) else StringType(), secret=value.secret)


def _entries_rule(value: ValueType) -> ValueType:
    _only(value, (ObjectType,), "items", "a map")
    found: list[ValueType] = []
    for option in options(value):
        if isinstance(option, ObjectType):
            found.extend(member.type for member in option.members.values())
            found.extend([option.others] if option.others is not None else [])
    members = {"key": Member(type=StringType(), required=True), "value": Member(type=join(found), required=True)}
    return ArrayType(items=ObjectType(members=members), secret=value.secret)


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


_LENGTH_RULE = _fixed(IntegerType(minimum=0), *_TEXT, ArrayType, ObjectType, name="length", what="text, lists and maps")

ALL_FILTERS: tuple[Function, ...] = (
    _function("abs", lambda work, value: abs(_number(value, "abs")), _number_rule("abs"), "Without its sign."),
    _function("as_date", _as_date, _fixed(DateType(), *_TEXT, name="as_date", what="text"), "Text, or a moment's day in UTC, as a date."),
    _function("as_datetime", _as_moment, _fixed(DateTimeType(), *_TEXT, name="as_datetime", what="text"), "Text as a date and time."),
    _function("capitalize", _by_text("capitalize", str.capitalize), _text_rule("capitalize"), "First letter large, the rest small."),
    _function("default", _default, _default_rule, "Something else when it is absent (with `true`: or empty).", ("value", "boolean"), 1, takes_absent=True),
    _function("first", _end(0, "first"), _item_rule("first"), "The first item."),
    _function("float", _float, _fixed(NumberType()), "As a number."),
    _function("int", _int, _fixed(IntegerType()), "As a whole number; fractions are cut off."),
    _function("items", _entries, _entries_rule, "A map as a list of `{key, value}`, in the keys' order."),
    _function("join", _join, _join_rule, "The items as one text.", ("separator",)),
    _function("last", _end(-1, "last"), _item_rule("last"), "The last item."),
    _function("length", _length, _LENGTH_RULE, "How many characters, items or members."),
    _function("list", _list, _list_of_rule, "As a list; of a map, its keys."),
    _function("lower", _by_text("lower", str.lower), _text_keeping_enum("lower", str.lower), "In small letters."),
    _function("map", _map, _map_rule, "Each item's attribute, or each item through a filter.", ("filter", "attribute")),
    _function("max", _extreme(max, "max"), _item_rule("max"), "The largest item."),
    _function("min", _extreme(min, "min"), _item_rule("min"), "The smallest item."),
    _function("reject", _choose(False, False, "reject"), _choose_rule(False, "reject"), "The items that fail a test.", ("test", "argument")),
    _function("rejectattr", _choose(False, True, "rejectattr"), _choose_rule(True, "rejectattr"), "The items whose attribute fails a test.", ("attribute", "test", "argument"), 1),
    _function("replace", _replace, _text_rule("replace"), "One text for another, everywhere in it.", ("old", "new"), 2),
    _function("round", _round, _round_rule, "Rounded, to whole numbers or to some digits.", ("digits",)),
    _function("select", _choose(True, False, "select"), _choose_rule(False, "select"), "The items that pass a test.", ("test", "argument")),
    _function("selectattr", _choose(True, True, "selectattr"), _choose_rule(True, "selectattr"), "The items whose attribute passes a test.", ("attribute", "test", "argument"), 1),
    _function("sort", _sorted, _list_rule("sort"), "In order; `reverse`, and by `attribute`.", ("reverse", "attribute")),
    _function("split", _split, _fixed(ArrayType(items=StringType()), *_TEXT, name="split", what="text"), "Text as a list, split at white space or at a text.", ("separator",)),
    _function("string", lambda work, value: work.text(text_of(value)), _fixed(StringType()), "As text."),
    _function("sum", _total, _sum_rule, "All numbers added."),
    _function("title", _by_text("title", str.title), _text_rule("title"), "Each word with a large letter first."),
    _function("tojson", _written, _fixed(StringType()), "As JSON text, keys in order."),
    _function("trim", _trim, _text_rule("trim"), "Without white space (or the characters given) at both ends.", ("characters",)),
    _function("unique", _unique, _list_rule("unique"), "Each item once."),
    _function("upper", _by_text("upper", str.upper), _text_keeping_enum("upper", str.upper), "In large letters."),
)  # fmt: skip
"""Every filter of the language."""

FILTERS: Mapping[str, Function] = {function.name: function for function in ALL_FILTERS} | {
    "count": next(function for function in ALL_FILTERS if function.name == "length"),
    "d": next(function for function in ALL_FILTERS if function.name == "default"),
}
"""By name, other names of the same filter included."""

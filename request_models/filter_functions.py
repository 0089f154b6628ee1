"""What the filters do with values, when an expression is evaluated."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from request_models.errors import TypeRuleError
from request_models.expression_functions import MAX_PRODUCED_TEXT, Work, identity_key, say_kind, text_of, truth
from request_models.expression_tests import TESTS
from request_models.formats import is_date, is_date_time
from request_models.json_values import canonical_json
from request_models.scope_values import DateText, DateTimeText, Undefined, plain_value, temporal

_TOO_LONG = "the text grows too long"


def as_text(value: object, name: str) -> str:
    """The value as text, a date or a moment too; raises TypeRuleError naming the filter."""
    if isinstance(value, date):
        return str(plain_value(value))
    if not isinstance(value, str):
        raise TypeRuleError(f"`{name}` works on text, not on {say_kind(value)}")
    return str(value)


def as_items(value: object, name: str) -> list[Any]:
    """The value as a list; raises TypeRuleError naming the filter."""
    if not isinstance(value, list | tuple):
        raise TypeRuleError(f"`{name}` works on a list, not on {say_kind(value)}")
    return list(value)


def as_number(value: object, name: str) -> int | float:
    """The value as a number; raises TypeRuleError naming the filter."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeRuleError(f"`{name}` works on numbers, not on {say_kind(value)}")
    return value


def as_whole(value: object, default: int) -> int:
    """An argument that is a small whole number, or what stands for it when it is not given."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1000:
        raise TypeRuleError("this argument is a whole number up to 1000")
    return value


def parts_of(work: Work, items: list[object], attribute: object, name: str) -> list[object]:
    """What lies under a dotted path in each item; Undefined where it is not there."""
    path = as_text(attribute, name).split(".")
    work.spend(len(items) * (1 + len(path)) + len(path))
    return [_under(item, path) for item in items]


def _under(item: object, path: list[str]) -> object:
    for name in path:
        if not isinstance(item, Mapping) or name not in item:
            return Undefined(name)
        item = item[name]
    return item


def present_item(value: object) -> object:
    """The value; raises TypeRuleError when it is not there."""
    if isinstance(value, Undefined):
        raise TypeRuleError("an item lacks the attribute asked for")
    return value


def length(_work: Work, value: object) -> int:
    """`length`."""
    if isinstance(value, date):
        return len(as_text(value, "length"))
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise TypeRuleError(f"{say_kind(value)} has no length")


def default(_work: Work, value: object, other: object, also_empty: object) -> object:
    """`default`."""
    absent = isinstance(value, Undefined) or (also_empty is True and not truth(value))
    return other if absent else value


def joined(work: Work, value: object, separator: object) -> str:
    """`join`."""
    parts = [text_of(item, work) for item in as_items(value, "join")]
    between = "" if separator is None else as_text(separator, "join")
    # Paid for before it is made: a long separator may stand many times.
    if sum(map(len, parts)) + len(between) * len(parts) > MAX_PRODUCED_TEXT:
        raise TypeRuleError(_TOO_LONG)
    return work.text(between.join(parts))


def replaced(work: Work, value: object, old: object, new: object) -> str:
    """`replace`."""
    text, old, new = as_text(value, "replace"), as_text(old, "replace"), as_text(new, "replace")
    if not old:
        raise TypeRuleError("`replace` needs something to look for")
    # Paid for before it is made: a short text may stand many times in a long one.
    work.text(text)
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_PRODUCED_TEXT:
        raise TypeRuleError(_TOO_LONG)
    return work.text(text.replace(old, new))


def split(work: Work, value: object, separator: object) -> list[object]:
    """`split`."""
    text = work.text(as_text(value, "split"))
    if separator is None:
        return work.items([*text.split()])
    if separator == "":
        raise TypeRuleError("`split` needs something to split at")
    return work.items([*text.split(as_text(separator, "split"))])


def to_int(_work: Work, value: object) -> int:
    """`int`."""
    try:
        return int(_numeral(value)) if isinstance(value, str) else math.trunc(as_number(value, "int"))
    except (ValueError, OverflowError):
        raise TypeRuleError("this text is no whole number") from None


def _numeral(text: str) -> str:
    if len(text) > 40:
        raise ValueError(text)
    return text


def to_float(_work: Work, value: object) -> float:
    """`float`."""
    try:
        number = float(_numeral(value) if isinstance(value, str) else as_number(value, "float"))
    except (ValueError, OverflowError):
        raise TypeRuleError("this text is no number") from None
    if not math.isfinite(number):
        raise TypeRuleError("this text is no number")
    return number


def rounded(_work: Work, value: object, digits: object) -> int | float:
    """`round`."""
    count = as_whole(digits, 0)
    try:
        number = round(as_number(value, "round"), count)
    except OverflowError:
        raise TypeRuleError("the rounded number is too large") from None
    return math.trunc(number) if count == 0 else number


def to_list(work: Work, value: object) -> list[object]:
    """`list`."""
    match value:
        case list() | tuple():
            return work.items([*value])
        case Mapping():
            return work.items(sorted(value))
        case _:
            raise TypeRuleError(f"`list` works on a list or a map, not on {say_kind(value)}; for text use `split`")


def flattened(work: Work, value: object) -> list[object]:
    """`flatten`."""
    found: list[object] = []
    for item in as_items(value, "flatten"):
        found += work.items([*item]) if isinstance(item, list | tuple) else work.items([item])
    return found


def unique(work: Work, value: object) -> list[object]:
    """`unique`."""
    seen: dict[bytes, object] = {}
    for item in as_items(value, "unique"):
        key = identity_key(item, work)
        seen.setdefault(key, item)
    return [*seen.values()]


def sort_keys(work: Work, keys: list[object]) -> list[tuple[str, Any]]:
    """What to order by, each with the kind of it; raises TypeRuleError, for only items of one kind have an order."""
    work.spend(len(keys) * 4 + sum(len(key) // 16 for key in keys if isinstance(key, str)))
    found = [_sort_key(present_item(key)) for key in keys]
    if len({kind for kind, _ in found}) > 1:
        raise TypeRuleError("only items of one kind can be put in order")
    return found


def _sort_key(key: object) -> tuple[str, Any]:
    moment = temporal(key)
    if moment is not None:
        return (f"time {type(moment).__name__}", moment)
    if isinstance(key, str):
        return ("text", key)
    return ("number", as_number(key, "sort"))


def in_order(work: Work, value: object, reverse: object, attribute: object) -> list[object]:
    """`sort`."""
    items = as_items(value, "sort")
    keys = sort_keys(work, items if attribute is None else parts_of(work, items, attribute, "sort"))
    order = sorted(range(len(items)), key=lambda index: keys[index], reverse=reverse is True)
    return [items[index] for index in order]


def extreme(choose: Callable[[list[tuple[str, Any]]], tuple[str, Any]], name: str) -> Callable[..., object]:
    """`min` and `max`."""

    def apply(work: Work, value: object) -> object:
        items = as_items(value, name)
        if not items:
            return Undefined(name)
        keys = sort_keys(work, items)
        return items[keys.index(choose(keys))]

    return apply


def total(work: Work, value: object) -> int | float:
    """`sum`."""
    items = as_items(value, "sum")
    work.spend(len(items))
    total = sum(as_number(item, "sum") for item in items)
    if not -(2**128) <= total <= 2**128:
        raise TypeRuleError("the sum is too large")
    return total


def end(position: int, name: str) -> Callable[..., object]:
    """`first` and `last`."""

    def apply(_work: Work, value: object) -> object:
        items = as_items(value, name)
        return items[position] if items else Undefined(name)

    return apply


def choose(keep: bool, by_attribute: bool, name: str) -> Callable[..., object]:
    """`select`, `reject` and their forms by attribute."""

    def apply(work: Work, value: object, *given: object) -> list[object]:
        attribute, test, argument = given if by_attribute else (None, *given)
        items = work.items(as_items(value, name))
        subjects = items if attribute is None else parts_of(work, items, attribute, name)
        passed = [passes(work, subject, test, argument, name) for subject in subjects]
        return [item for item, good in zip(items, passed, strict=True) if good is keep]

    return apply


def passes(work: Work, subject: object, test: object, argument: object, name: str) -> bool:
    """Whether an item passes the test asked for; without one, whether it counts as true."""
    if test is None:
        return not isinstance(subject, Undefined) and truth(subject)
    used = TESTS.get(as_text(test, name))
    if used is None:
        raise TypeRuleError(f"`{name}` knows no test of this name")
    if not used.takes_absent:
        present_item(subject)
    # null is a value to compare with; that an argument is missing is told when compiling.
    return truth(used.apply(work, subject, *used.bind([argument] if used.parameters else [], {})))


def entries(work: Work, value: object) -> list[object]:
    """`items`."""
    if not isinstance(value, Mapping):
        raise TypeRuleError(f"`items` works on a map, not on {say_kind(value)}")
    return work.items([{"key": key, "value": value[key]} for key in sorted(value)])


def to_date(_work: Work, value: object) -> object:
    """`as_date`."""
    moment = temporal(value)
    if isinstance(moment, datetime):
        return _day(moment)
    if isinstance(value, DateText | date):
        return value
    if isinstance(value, str) and is_date(value):
        return DateText(value)
    if isinstance(value, str) and is_date_time(value):
        return _day(DateTimeText(value).moment)
    raise TypeRuleError("this is no date (2026-11-05) and no date and time")


def _day(moment: datetime) -> date:
    try:
        return moment.astimezone(UTC).date()
    except OverflowError:
        raise TypeRuleError("the date lies beyond the calendar") from None


def to_moment(_work: Work, value: object) -> object:
    """`as_datetime`."""
    if isinstance(value, DateTimeText | datetime):
        return value
    if isinstance(value, str) and is_date_time(value):
        return DateTimeText(value)
    raise TypeRuleError("this is no date and time (2026-11-05T08:00:00Z)")


def written(work: Work, value: object) -> str:
    """`tojson`."""
    return work.text(canonical_json(plain_value(work.whole(value))).decode())


def by_text(name: str, change: Callable[[str], str]) -> Callable[..., object]:
    """A filter that changes text by a function."""
    return lambda work, value: work.text(change(work.text(as_text(value, name))))


def trimmed(work: Work, value: object, characters: object) -> str:
    """`trim`."""
    return work.text(as_text(value, "trim").strip(None if characters is None else as_text(characters, "trim")))

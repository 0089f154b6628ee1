"""Which types admit only texts that mean nothing more to anything: no space, quote, `$` or other sign of a shell."""

import re
from functools import lru_cache

from request_models.type_algebra import DEEPEST, options
from request_models.value_types import (
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    DurationType,
    IntegerType,
    NullType,
    NumberType,
    ObjectType,
    OmitType,
    StringType,
    ValueType,
)

PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_-]*")
"""Texts that no shell splits, expands or runs."""

_PLAIN_FORMATS = frozenset({"date", "date-time", "time", "duration", "ipv4", "ipv6", "uuid", "hostname", "byte"})
_FIXED = (BooleanType, IntegerType, NumberType, NullType, OmitType)
_TIMES = (DateType, DateTimeType, DurationType)
_CLASS_ITEM = re.compile(r"\\[dw]|(?P<low>\\[./_@%+=:,-]|[A-Za-z0-9@%+=:,./_-])(?:-(?P<high>[A-Za-z0-9]))?")
_ITEM = re.compile(r"\\[dw./_@%+=:,-]|[A-Za-z0-9@%=:,/_-]|\(\?:|\(\?!|\(\?=|\(|\)|\|")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\??")


def is_plain(value_type: ValueType, depth: int = 0) -> bool:
    """Whether every text in a value of this type is `PLAIN`; keys of maps count too."""
    if depth > DEEPEST:
        return False
    return all(_plain(option, depth) for option in options(value_type))


def is_listed(value_type: ValueType) -> bool:
    """Whether the values of this type are written out: an enumeration, true or false, a number."""
    return all(
        isinstance(option, _FIXED)
        or (isinstance(option, StringType) and option.enum is not None)
        or (isinstance(option, ArrayType) and is_listed(option.items))
        for option in options(value_type)
    )


def _plain(option: ValueType, depth: int) -> bool:
    match option:
        case StringType(enum=tuple()):
            return True  # somebody wrote them; the model or the system they are from is trusted
        case StringType(format=name, pattern=pattern):
            return name in _PLAIN_FORMATS or (pattern is not None and pattern_is_plain(pattern))
        case ArrayType(items=items):
            return is_plain(items, depth + 1)
        case ObjectType(members=members, others=None):
            return all(is_plain(member.type, depth + 1) for member in members.values())
        case _:
            return isinstance(option, _FIXED + _TIMES)


@lru_cache(maxsize=2048)
def pattern_is_plain(pattern: str) -> bool:
    """Whether an ECMA-262 pattern admits only plain texts.

    Only patterns of a simple make are understood (`^...$`, classes, groups, repeats); of others this is never said.
    """
    if not pattern.startswith("^") or not pattern.endswith("$") or pattern.endswith("\\$"):
        return False
    body = pattern[1:-1]
    place, groups = 0, 0
    while place < len(body):
        end = _end_of_class(body, place) if body[place] == "[" else None
        if end is None:
            found = _ITEM.match(body, place)
            if found is None or (found[0] == "|" and groups == 0):  # `^a|b$` is not held at both ends
                return False
            groups += found[0].startswith("(") - (found[0] == ")")
            end = found.end()
        quantifier = _QUANTIFIER.match(body, end)
        place = end if quantifier is None else quantifier.end()
    return groups == 0


def _end_of_class(body: str, place: int) -> int | None:
    """Where a class of plain characters ends; None when it is another, or has none."""
    first = place = place + 1
    while place < len(body) and body[place] != "]":
        found = _CLASS_ITEM.match(body, place)
        if found is None or not _plain_range(found["low"], found["high"]):
            return None
        place = found.end()
        if found[0] == "-" and found.start() != first and body[place : place + 1] != "]":
            return None  # a range between two signs, `%-/`, holds others
    return place + 1 if place < len(body) else None


def _plain_range(low: str | None, high: str | None) -> bool:
    """Whether `a-z` is a range of letters or digits alone; a single character always is."""
    if high is None or low is None:
        return True
    kinds = (str.isdigit, str.islower, str.isupper)
    return any(kind(low) and kind(high) for kind in kinds)

"""The formats of JSON Schema that are checked, and ECMA-262 patterns; one answer for inputs, literals and arguments."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from uuid import UUID

import regress

from request_models.durations import parse_duration
from request_models.errors import DurationError
from request_models.pattern_judging import judge_pattern, surely_ends

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII)
_HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
    re.ASCII,
)
_JSON_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*", re.DOTALL)


def is_date(text: str) -> bool:
    """A full date of RFC 3339: `2026-11-05`."""
    return _DATE.fullmatch(text) is not None and _parses(date.fromisoformat, text)


def is_date_time(text: str) -> bool:
    """A date-time of RFC 3339 with its offset: `2026-11-05T08:00:00Z`. Leap seconds are refused: no clock has them."""
    return (
        len(text) > 11
        and text[10] in "Tt"
        and is_date(text[:10])
        and _TIME.fullmatch(text[11:]) is not None
        and _parses(_utc, text.upper())
    )


def _utc(text: str) -> datetime:
    """Raises ValueError, or OverflowError for moments before the year 1 or after 9999 in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None and _parses(time.fromisoformat, text.upper())


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except DurationError:
        return False
    return True


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_uuid(text: str) -> bool:
    return _parses(UUID, text) and len(text) == 36


def _is_uri(text: str, rule: str) -> bool:
    from rfc3986_validator import validate_rfc3986  # noqa: PLC0415 - it compiles long patterns; few models have URIs

    # The library's pattern ends in `$`, which lets a final line end pass.
    return not text.endswith("\n") and validate_rfc3986(text, rule=rule) is not None


def _parses(parser: Callable[[str], object], text: str) -> bool:
    try:
        parser(text)
    except (ValueError, OverflowError):
        return False
    return True


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date": is_date,
    "date-time": is_date_time,
    "time": _is_time,
    "duration": _is_duration,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": lambda text: _HOSTNAME.fullmatch(text) is not None,
    "ipv4": lambda text: _parses(ipaddress.IPv4Address, text),
    "ipv6": lambda text: _parses(ipaddress.IPv6Address, text) and "%" not in text,
    "uuid": _is_uuid,
    "byte": _is_base64,
    "uri": lambda text: _is_uri(text, "URI"),
    "uri-reference": lambda text: _is_uri(text, "URI_reference"),
    "json-pointer": lambda text: _JSON_POINTER.fullmatch(text) is not None,
}
"""Every format that is checked; other names of formats say nothing."""


@lru_cache(maxsize=8192)
def compiled_pattern(pattern: str) -> regress.Regex | None:
    """The ECMA-262 pattern, in Unicode mode as JSON Schema asks; None when it is not valid ECMA-262."""
    try:
        return regress.Regex(pattern, "u")
    except regress.RegressError:
        return None


def is_soon_matched(pattern: str, length: int) -> bool:
    """Whether looking for a pattern in a text of a length ends soon; the engine itself knows no limit."""
    if compiled_pattern(pattern) is None:
        return True
    return (length <= _SHORT and surely_ends(pattern)) or judge_pattern(pattern).is_bounded(length)


def matches_pattern(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text.

    One that is not ECMA-262 refuses nothing: no engine here knows it. Nor does one that could run away on so long a
    text (`is_soon_matched`): services have such patterns, and judge what they are sent themselves.
    """
    compiled = compiled_pattern(pattern)
    return compiled is None or not is_soon_matched(pattern, len(text)) or compiled.find(text) is not None


_SHORT = 16
"""So many characters are soon looked through by any pattern that ends."""

"""ISO 8601 durations of a fixed length: weeks, days, hours, minutes, seconds. Months and years have none."""

import re
from datetime import timedelta

from request_models.errors import DurationError

DURATION_PATTERN = (
    r"P(?=[0-9T])([0-9]{1,6}W)?([0-9]{1,9}D)?"
    r"(T(?=[0-9])([0-9]{1,8}H)?([0-9]{1,8}M)?([0-9]{1,10}(\.[0-9]{1,6})?S)?)?"
)
"""What `parse_duration` reads, as an ECMA-262 pattern without anchors, for editors."""

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,8})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,10}(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """The length a text such as `PT15M` or `P1DT12H` stands for.

    Raises DurationError for anything else, an empty duration (`P`) included.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not any(part is not None for part in found.groupdict().values()):
        raise DurationError(text)
    try:
        return timedelta(**{unit: float(part) for unit, part in found.groupdict().items() if part is not None})
    except OverflowError:
        raise DurationError(text) from None


def write_duration(length: timedelta) -> str:
    """The duration as ISO 8601 text, in days and seconds: what `parse_duration` reads back."""
    sign, length = ("-", -length) if length < timedelta(0) else ("", length)
    days = f"{length.days}D" if length.days else ""
    seconds = f"{length.seconds + length.microseconds / 1_000_000:.6f}".rstrip("0").rstrip(".")
    time = f"T{seconds}S" if seconds != "0" or not days else ""
    return f"{sign}P{days}{time}"


def say_duration(seconds: float) -> str:
    """A length in words for people: `1 h 30 min`, `45 s`."""
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole % 86400 // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"

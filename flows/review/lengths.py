"""Lengths of time as a model writes them: rounded to what a person would write."""

import math
from datetime import timedelta

from request_models.durations import parse_duration

_STEPS = (
    (10, 1),
    (60, 5),
    (300, 15),
    (1800, 60),
    (3600, 300),
    (14_400, 600),
    (36_000, 1800),
    (86_400, 3600),
    (864_000, 21_600),
)


def rounded_up(seconds: float) -> float:
    """The length, rounded up to a step that suits its size."""
    step = next((step for limit, step in _STEPS if seconds <= limit), 86_400)
    return float(max(1, math.ceil(seconds / step - 1e-9) * step))


def write_length(seconds: float) -> str:
    """ISO 8601, in the units a person would take: `PT1M30S`, `P2DT6H`."""
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    time = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (left, "S")) if count)
    date = f"P{days}D" if days else "P"
    return f"{date}T{time}" if time else (date if days else "PT0S")


def read_length(text: str) -> float:
    """Seconds of what `write_length` wrote. Raises DurationError."""
    return parse_duration(text) / timedelta(seconds=1)

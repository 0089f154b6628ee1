"""Waiting in tests: for a described condition, with a deadline; no test sleeps for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY = 0.05  # seconds


class StillWaitingError(AssertionError):
    """The condition did not come true in time; the message says which, and what the last look gave."""


def wait_until(description: str, look: Callable[[], T], deadline: float = 10.0, every: float = LOOK_EVERY) -> T:
    """Return the first truthy answer of `look`, or fail after `deadline` seconds.

    An exception of `look` counts as "not yet" and is shown if the deadline passes: servers refuse connections while
    they start.
    """
    end = time.monotonic() + deadline
    last: object = None
    while True:
        try:
            answer = look()
            if answer:
                return answer
            last = answer
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported below when time is up
            last = error
        if time.monotonic() >= end:
            raise StillWaitingError(f"not after {deadline:g} s: {description}; the last look gave {last!r}")
        time.sleep(every)

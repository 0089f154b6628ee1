"""How often one caller may call: a token bucket for each, in this process."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from flows.identity_settings import RateSettings

_MOST_BUCKETS = 10_000
"""Callers remembered; those who did not call for the longest are forgotten, with a full bucket again."""


class RateLimits:
    """Buckets of `burst` calls that fill at `per_second`. Thread-safe. `seconds` is a monotonic clock."""

    def __init__(self, rate: RateSettings, seconds: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._seconds = seconds
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_for(self, caller: str) -> float:
        """Count a call of this caller. 0 if it may be; else the seconds until the next may be, uncounted."""
        if self._rate.per_second == 0:
            return 0.0
        now = self._seconds()
        with self._lock:
            left, since = self._buckets.pop(caller, (float(self._rate.burst), now))
            left = min(float(self._rate.burst), left + (now - since) * self._rate.per_second)
            allowed = left >= 1.0
            self._buckets[caller] = (left - 1.0 if allowed else left, now)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._rate.per_second

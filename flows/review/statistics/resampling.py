"""Intervals by resampling, seeded by content: the same values give the same interval."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from flows.review.statistics.intervals import Interval

DRAWS = 1_000

Values = np.ndarray[tuple[int], np.dtype[np.float64]]


def seed_of(*parts: object) -> int:
    """A seed made of what something is about."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8])


def bootstrap(
    values: Sequence[float], statistic: Callable[[Values], float], seed: int, confidence: float = 0.95
) -> Interval:
    """A statistic with its percentile interval."""
    given = np.asarray(values, dtype=float)
    draw = np.random.default_rng(seed)
    found = [statistic(given[draw.integers(0, len(given), len(given))]) for _ in range(DRAWS)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(statistic(given), float(low), float(high))


def mean_interval(values: Sequence[float], seed: int, confidence: float = 0.95) -> Interval:
    """The mean with its interval, by the bootstrap-t, which keeps its coverage for skewed values."""
    given = np.asarray(values, dtype=float)
    count, mean = len(given), float(given.mean())
    error = float(given.std(ddof=1)) / np.sqrt(count) if count > 1 else 0.0
    if error == 0:
        return Interval(mean, mean, mean)
    drawn = np.random.default_rng(seed).choice(given, size=(DRAWS, count))
    spread = drawn.std(axis=1, ddof=1) / np.sqrt(count)
    spread[spread == 0] = error
    studied = (drawn.mean(axis=1) - mean) / spread
    tail = (1 - confidence) / 2
    low, high = np.quantile(studied, [tail, 1 - tail])
    return Interval(mean, mean - float(high) * error, mean - float(low) * error)

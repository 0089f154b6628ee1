"""Exact intervals of shares and quantiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """An estimate between its bounds."""

    estimate: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """In another unit, or of so many more; a negative factor turns the bounds round."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Interval(self.estimate * factor, low, high)


def upper_bound(hits: int, of: int, confidence: float = 0.95) -> float:
    """The one-sided Clopper-Pearson upper bound of a share; 1 where nothing was seen."""
    if of <= 0 or hits >= of:
        return 1.0
    return float(stats.beta.ppf(confidence, hits + 1, of - hits))


def lower_bound(hits: int, of: int, confidence: float = 0.95) -> float:
    """The one-sided Clopper-Pearson lower bound of a share; 0 where nothing was seen."""
    if of <= 0 or hits <= 0:
        return 0.0
    return float(stats.beta.ppf(1 - confidence, hits, of - hits + 1))


def share(hits: int, of: int, confidence: float = 0.95) -> Interval:
    """A share with its two-sided Clopper-Pearson interval."""
    tail = 1 - (1 - confidence) / 2
    estimate = hits / of if of else math.nan
    return Interval(estimate, lower_bound(hits, of, tail), upper_bound(hits, of, tail))


def p_at_most(hits: int, of: int, rate: float) -> float:
    """How likely so few hits, or fewer, are when the rate is `rate`: against "it is `rate` or more"."""
    return float(stats.binom.cdf(hits, of, rate)) if of else 1.0


def p_at_least(hits: int, of: int, rate: float) -> float:
    """How likely so many hits, or more, are when the rate is `rate`: against "it is `rate` or less"."""
    return float(stats.binom.sf(hits - 1, of, rate)) if of else 1.0


def p_more_often(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """Fisher's exact test, one-sided: whether the first share is greater than the other."""
    table = [[hits, of - hits], [other_hits, other_of - other_hits]]
    return float(stats.fisher_exact(table, alternative="greater").pvalue) if of and other_of else 1.0


def plain_quantile(values: Sequence[float], q: float) -> float:
    """A quantile of the values as they are, without an interval."""
    return float(np.quantile(np.asarray(values, dtype=float), q))


def mean_above(values: Sequence[float], than: float) -> tuple[float, float]:
    """The one-sided 95% lower bound of a mean, and the p value against "it is `than` or less", by Student's t."""
    given = np.asarray(values, dtype=float)
    mean, error = float(given.mean()), float(given.std(ddof=1)) / len(given) ** 0.5
    if error == 0:
        return mean, float(mean <= than)
    low = mean - float(stats.t.ppf(0.95, len(given) - 1)) * error
    return low, float(stats.t.sf((mean - than) / error, len(given) - 1))


def quantile(values: Sequence[float], q: float, confidence: float = 0.95) -> Interval | None:
    """A quantile with its exact interval by order statistics; None where too few values bound it on both sides."""
    ordered = np.sort(np.asarray(values, dtype=float))
    count = len(ordered)
    tail = (1 - confidence) / 2
    low = int(stats.binom.ppf(tail, count, q)) if count else 0
    high = int(stats.binom.ppf(1 - tail, count, q)) + 1 if count else 1
    # P(X_(low) <= quantile) must be 1 - tail at least, for order statistics counted from 1.
    while low > 0 and stats.binom.cdf(low - 1, count, q) > tail:
        low -= 1
    while high <= count and stats.binom.cdf(high - 1, count, q) < 1 - tail:
        high += 1
    if low < 1 or high > count:
        return None
    return Interval(float(np.quantile(ordered, q)), float(ordered[low - 1]), float(ordered[high - 1]))

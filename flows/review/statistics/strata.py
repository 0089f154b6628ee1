"""Two groups compared within strata, so that neither a shift of the mix nor the weekday looks like an effect."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from flows.review.statistics.intervals import Interval

LEAST_IN_STRATUM = 5

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Numbers = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True)
class Comparison:
    """The ratio of the second group's times to the first's, what is known of it, and how many were compared."""

    ratio: Interval
    p_value: float
    first: int
    second: int
    strata: int


def compare(
    strata: Sequence[str], second: Sequence[bool], times: Sequence[float], clusters: Sequence[int]
) -> Comparison | None:
    """Compare times (greater than 0) of two groups within strata; None where no stratum holds enough of both.

    The ratio is of geometric means, averaged over strata by how much each can tell. Things that happened on one day
    are not independent: the error, and so the interval and the p value (against "the second takes no longer"), are
    those of `clusters` (days).
    """
    logs = np.log(np.asarray(times, dtype=float))
    group = np.asarray(second, dtype=bool)
    _, stratum = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    first_count = np.bincount(stratum[~group], minlength=stratum.max(initial=0) + 1)
    second_count = np.bincount(stratum[group], minlength=len(first_count))
    good = (first_count >= LEAST_IN_STRATUM) & (second_count >= LEAST_IN_STRATUM)
    keep = good[stratum]
    if not keep.any():
        return None
    logs, group, stratum, cluster = logs[keep], group[keep], stratum[keep], cluster[keep]
    estimate, error, freedom = _clustered(logs, group, stratum, cluster)
    z = float(stats.t.ppf(0.975, freedom))
    p_value = float(stats.t.sf(estimate / error, freedom)) if error > 0 else float(estimate <= 0)
    low, high = np.exp([estimate - z * error, estimate + z * error])
    ratio = Interval(float(np.exp(estimate)), float(low), float(high))
    return Comparison(ratio, p_value, int((~group).sum()), int(group.sum()), int(good.sum()))


def _clustered(logs: Values, group: Flags, stratum: Numbers, cluster: Numbers) -> tuple[float, float, int]:
    """The weighted difference of means within strata, its error by clusters (sandwich), and degrees of freedom."""
    count = int(stratum.max()) + 1
    n1 = np.bincount(stratum[~group], minlength=count).astype(float)
    n2 = np.bincount(stratum[group], minlength=count).astype(float)
    weight = np.where((n1 > 0) & (n2 > 0), n1 * n2 / np.maximum(n1 + n2, 1), 0.0)
    weight /= weight.sum()
    mean1 = np.bincount(stratum[~group], logs[~group], minlength=count) / np.maximum(n1, 1)
    mean2 = np.bincount(stratum[group], logs[group], minlength=count) / np.maximum(n2, 1)
    estimate = float((weight * (mean2 - mean1)).sum())
    rest = logs - np.where(group, mean2[stratum], mean1[stratum])
    part = weight[stratum] / np.where(group, n2[stratum], -n1[stratum])
    scores = np.bincount(cluster, part * rest)
    days = min(len(np.unique(cluster[~group])), len(np.unique(cluster[group])))
    clusters = len(np.unique(cluster))
    error = float(np.sqrt((scores**2).sum() * clusters / max(1, clusters - 1)))
    return estimate, error, max(1, days - 1)


def rank_correlation(
    strata: Sequence[str], first: Sequence[float], second: Sequence[float]
) -> tuple[float, float, int] | None:
    """Spearman's correlation within strata, its one-sided p value against "not negative", and how many are in it."""
    _, stratum = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    ranks_x, ranks_y, compared, used = np.zeros(len(x)), np.zeros(len(y)), 0, 0
    for one in range(int(stratum.max(initial=-1)) + 1):
        here = stratum == one
        if here.sum() < LEAST_IN_STRATUM:
            continue
        ranks_x[here] = stats.rankdata(x[here]) / here.sum() - (here.sum() + 1) / (2 * here.sum())
        ranks_y[here] = stats.rankdata(y[here]) / here.sum() - (here.sum() + 1) / (2 * here.sum())
        compared += int(here.sum())
        used += 1
    norm = float(np.sqrt((ranks_x**2).sum() * (ranks_y**2).sum()))
    freedom = compared - used - 1
    if norm == 0 or freedom < 3:
        return None
    rho = float((ranks_x * ranks_y).sum() / norm)
    t = rho * np.sqrt(freedom / max(1e-12, 1 - rho**2))
    return rho, float(stats.t.cdf(t, freedom)), compared

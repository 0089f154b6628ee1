"""Times that may not be over yet: Kaplan and Meier (1958), so that what is unfinished counts too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from flows.review.statistics.intervals import Interval


@dataclass(frozen=True)
class Survival:
    """The share still unfinished after each time (a step function), with its standard error by Greenwood."""

    times: tuple[float, ...]
    unfinished: tuple[float, ...]
    errors: tuple[float, ...]
    count: int
    ended: int

    def at(self, time: float) -> float:
        """The share still unfinished after `time`."""
        index = int(np.searchsorted(self.times, time, side="right"))
        return 1.0 if index == 0 else self.unfinished[index - 1]

    def quantile(self, q: float, confidence: float = 0.95) -> Interval | None:
        """After what time the share `q` is finished; None where it cannot be told: too many are unfinished still.

        The interval is Brookmeyer and Crowley's, with log-log bounds; a bound that is not reached makes it None too.
        """
        if not self.times:
            return None
        survival = np.asarray(self.unfinished)
        reached = np.flatnonzero(survival <= 1 - q + 1e-12)
        if len(reached) == 0:
            return None
        low, high = self._bounds(confidence)
        first = np.flatnonzero(low <= 1 - q)
        last = np.flatnonzero(high <= 1 - q)
        if len(last) == 0:
            return None
        times = np.asarray(self.times)
        return Interval(float(times[reached[0]]), float(times[first[0]]), float(times[last[0]]))

    def _bounds(self, confidence: float) -> tuple["np.ndarray[tuple[int], np.dtype[np.float64]]", ...]:
        survival = np.asarray(self.unfinished, dtype=float)
        error = np.asarray(self.errors, dtype=float)
        inner = (survival > 0) & (survival < 1)
        z = float(stats.norm.ppf(1 - (1 - confidence) / 2))
        low, high = survival.copy(), survival.copy()
        logs = np.log(survival[inner])
        theta = z * error[inner] / (survival[inner] * logs)
        low[inner] = survival[inner] ** np.exp(-theta)
        high[inner] = survival[inner] ** np.exp(theta)
        # At the end all are finished: of n that ended the bound is the exact one, by the rule of three.
        low = np.minimum(low, high)
        high = np.where(survival <= 0, 1 - (1 - confidence) ** (1 / max(1, self.ended)), np.maximum(low, high))
        return low, high


def kaplan_meier(durations: Sequence[float], ended: Sequence[bool]) -> Survival:
    """The survival curve of durations, of which those that have not `ended` are as long at least."""
    time = np.asarray(durations, dtype=float)
    over = np.asarray(ended, dtype=bool)
    if len(time) == 0:
        return Survival((), (), (), 0, 0)
    moments, index = np.unique(time, return_inverse=True)
    events = np.bincount(index, weights=over, minlength=len(moments))
    leaving = np.bincount(index, minlength=len(moments))
    at_risk = len(time) - np.concatenate(([0], np.cumsum(leaving)[:-1]))
    seen = events > 0
    steps = 1 - events / at_risk
    survival = np.cumprod(steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(at_risk > events, events / (at_risk * (at_risk - events)), 0.0)
    error = survival * np.sqrt(np.cumsum(terms))
    return Survival(
        tuple(moments[seen].tolist()),
        tuple(survival[seen].tolist()),
        tuple(error[seen].tolist()),
        len(time),
        int(over.sum()),
    )

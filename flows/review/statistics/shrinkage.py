"""What was chosen because it looked large is reported smaller: rates are drawn to those of their kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from flows.review.statistics.intervals import Interval


@dataclass(frozen=True)
class BetaPrior:
    """How rates of a kind are spread: `mean`, and `weight` as of so many observations."""

    mean: float
    weight: float

    def posterior(self, hits: int, of: int, confidence: float = 0.95) -> Interval:
        """A rate drawn to the prior's mean, with its credible interval."""
        first, second = self.mean * self.weight + hits, (1 - self.mean) * self.weight + of - hits
        tail = (1 - confidence) / 2
        low, high = stats.beta.ppf([tail, 1 - tail], first, second)
        return Interval(first / (first + second), float(low), float(high))


JEFFREYS = BetaPrior(0.5, 1.0)
"""Where nothing is known of the kind."""


def prior_of(counts: Sequence[tuple[int, int]]) -> BetaPrior:
    """The prior that rates of a kind give, as (hits, of), by moments; Jeffreys' where fewer than three are known."""
    known = [(hits, of) for hits, of in counts if of > 0]
    if len(known) < 3:
        return JEFFREYS
    hits, of = np.array(known, dtype=float).T
    mean = float(hits.sum() / of.sum())
    if mean in {0.0, 1.0}:
        return BetaPrior((hits.sum() + 0.5) / (of.sum() + 1), float(of.mean()))
    between = float(np.average((hits / of - mean) ** 2, weights=of))
    expected = mean * (1 - mean)
    noise = expected * float(np.average(1 / of, weights=of))
    spread = max(between - noise, 1e-6)
    return BetaPrior(mean, float(np.clip(expected / spread - 1, 1.0, 1000.0)))

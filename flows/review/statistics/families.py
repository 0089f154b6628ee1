"""Many tests at once, review after review: false discoveries are kept to the share that was allowed."""

import math
from collections.abc import Sequence


def discoveries(p_values: Sequence[float], rate: float) -> list[bool]:
    """Which of a family of tests are discoveries, by Benjamini and Hochberg (1995), at a false-discovery rate."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    last = 0
    for place, index in enumerate(order, start=1):
        if p_values[index] <= rate * place / len(p_values):
            last = place
    accepted = set(order[:last])
    return [index in accepted for index in range(len(p_values))]


def spent(rate: float, review: int) -> float:
    """What review number `review` (from 1) may spend of a rate, so that all reviews together spend no more than it.

    The shares are 6/(pi * n)^2, which sum to 1: the first review has 61% of it.
    """
    if review < 1:
        raise ValueError("reviews are counted from 1")
    return rate * 6 / (math.pi * review) ** 2

"""Intervals hold what they promise: known values, and coverage by simulation with a fixed seed."""

import math

import numpy as np
import pytest

from flows.review.statistics.families import discoveries, spent
from flows.review.statistics.holdout import by_time
from flows.review.statistics.intervals import (
    lower_bound,
    p_at_least,
    p_at_most,
    p_more_often,
    quantile,
    share,
    upper_bound,
)
from flows.review.statistics.resampling import mean_interval, seed_of
from flows.review.statistics.shrinkage import JEFFREYS, prior_of
from flows.review.statistics.strata import compare, rank_correlation
from flows.review.statistics.survival import kaplan_meier


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# shares


def test_299_grants_without_a_refusal_bound_refusals_below_one_percent() -> None:
    assert upper_bound(0, 299) < 0.01 < upper_bound(0, 298)
    assert upper_bound(0, 59) > 0.049
    assert upper_bound(0, 60) < 0.0488


def test_clopper_pearson_gives_the_published_interval() -> None:
    # 4 of 20: 0.0573, 0.4366 (Newcombe 1998 and every textbook table)
    found = share(4, 20)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0573, 0.4366)
    assert (lower_bound(0, 10), upper_bound(10, 10), upper_bound(0, 0), lower_bound(3, 0)) == (0.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize("rate", [0.005, 0.05, 0.5, 0.98])
def test_one_sided_bounds_cover_95_percent_at_least(rate: float) -> None:
    hits = draw(1).binomial(200, rate, 4000)
    assert np.mean([upper_bound(int(k), 200) >= rate for k in hits]) >= 0.95 - 0.01
    assert np.mean([lower_bound(int(k), 200) <= rate for k in hits]) >= 0.95 - 0.01


def test_binomial_p_values_are_exact() -> None:
    assert math.isclose(p_at_most(0, 10, 0.5), 0.5**10)
    assert math.isclose(p_at_least(10, 10, 0.5), 0.5**10)
    assert p_at_most(0, 0, 0.5) == p_at_least(0, 0, 0.5) == 1.0
    assert math.isclose(p_more_often(4, 4, 0, 4), 1 / 70)


def test_the_interval_of_a_quantile_covers_and_is_none_where_it_cannot_be_told() -> None:
    assert quantile([1.0] * 3, 0.95) is None
    truth, covered = -math.log(0.1), 0
    for seed in range(600):
        found = quantile(draw(seed).exponential(size=120).tolist(), 0.9)
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered / 600 >= 0.94


# families


def test_benjamini_hochberg_finds_what_the_paper_finds() -> None:
    # The example of Benjamini and Hochberg (1995): 4 of 15 at 0.05
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    assert sum(discoveries(p, 0.05)) == 4
    assert discoveries([], 0.05) == []
    assert discoveries([0.9, 0.001], 0.05) == [False, True]


def test_the_false_discovery_rate_is_kept() -> None:
    rates = []
    for seed in range(400):
        nulls, real = draw(seed).uniform(size=40), draw(seed + 1000).uniform(size=10) * 1e-4
        found = discoveries([*nulls, *real], 0.05)
        rates.append(sum(found[:40]) / max(1, sum(found)))
    assert np.mean(rates) <= 0.055


def test_all_reviews_together_spend_no_more_than_the_rate() -> None:
    assert math.isclose(sum(spent(0.05, review) for review in range(1, 100_000)), 0.05, rel_tol=1e-4)
    assert spent(0.05, 1) > spent(0.05, 2)
    with pytest.raises(ValueError, match="from 1"):
        spent(0.05, 0)


# survival


def test_kaplan_meier_gives_the_published_curve() -> None:
    # Remission times of 6-MP (Freireich 1963), as in every textbook
    times = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    ended = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    curve = kaplan_meier([float(t) for t in times], [bool(e) for e in ended])
    assert [round(curve.at(t), 3) for t in (5, 6, 7, 10, 13, 16, 22, 23)] == [
        1,
        0.857,
        0.807,
        0.753,
        0.69,
        0.627,
        0.538,
        0.448,
    ]
    assert round(curve.errors[0], 4) == 0.0764
    median = curve.quantile(0.5)
    assert median is None or median.estimate == 23  # its upper bound is not reached: it cannot be told


def test_a_quantile_that_was_not_reached_cannot_be_told() -> None:
    assert kaplan_meier([1.0, 2.0, 3.0], [True, False, False]).quantile(0.95) is None
    assert kaplan_meier([], []).quantile(0.5) is None


def test_the_interval_of_a_censored_p95_covers_the_truth() -> None:
    truth, covered, told = -math.log(0.05), 0, 0
    for seed in range(400):
        time = draw(seed).exponential(size=500)
        limit = draw(seed + 9000).uniform(0, 12, size=500)
        found = kaplan_meier(np.minimum(time, limit).tolist(), (time <= limit).tolist()).quantile(0.95)
        if found is not None:
            told += 1
            covered += found.low <= truth <= found.high
    assert told > 380
    assert 0.92 <= covered / told <= 0.985


# means, shrinkage, strata


def test_the_interval_of_a_skewed_mean_covers_it() -> None:
    covered = sum(
        found.low <= 1 <= found.high
        for seed in range(300)
        for found in [mean_interval(draw(seed).exponential(size=60).tolist(), seed_of("mean", seed))]
    )
    assert 0.92 <= covered / 300 <= 0.985
    assert mean_interval([2.0, 2.0], 1).high == 2.0


def test_the_same_content_gives_the_same_seed() -> None:
    assert seed_of("a", 1, [2.5]) == seed_of("a", 1, [2.5]) != seed_of("a", 1, [2.6])


def test_shrinkage_takes_back_what_selection_added() -> None:
    errors, naive = [], []
    for seed in range(300):
        rates = draw(seed).beta(4, 16, size=20)
        hits = draw(seed + 5000).binomial(40, rates)
        best = int(np.argmax(hits))
        prior = prior_of([(int(k), 40) for k in hits])
        errors.append(prior.posterior(int(hits[best]), 40).estimate - rates[best])
        naive.append(hits[best] / 40 - rates[best])
    assert abs(np.mean(errors)) < 0.02 < np.mean(naive)
    assert prior_of([(1, 10)]) == JEFFREYS


def test_a_shift_of_the_mix_is_no_effect_and_an_effect_within_strata_is() -> None:
    found, missed = 0, 0
    for seed in range(200):
        random = draw(seed)
        second = random.random(600) < 0.5
        slow = random.random(600) < np.where(second, 0.8, 0.2)  # the mix shifts
        times = random.lognormal(np.where(slow, 2.0, 0.0), 0.5)
        days = random.integers(0, 60, 600)
        strata = ["slow" if one else "fast" for one in slow]
        null = compare(strata, second.tolist(), times.tolist(), days.tolist())
        real = compare(strata, second.tolist(), np.where(second, times * 1.3, times).tolist(), days.tolist())
        assert null is not None
        assert real is not None
        found += null.p_value < 0.05
        missed += real.p_value >= 0.05
    assert found / 200 <= 0.085
    assert missed == 0


def test_strata_with_too_few_of_either_are_not_compared() -> None:
    assert compare(["a"] * 8, [True] * 4 + [False] * 4, [1.0] * 8, [0] * 8) is None


def test_rank_correlation_within_strata() -> None:
    strata = ["a"] * 30 + ["b"] * 30
    up = [float(value) for value in range(30)]
    # Within each stratum it falls; over both together it would rise.
    found = rank_correlation(strata, up + [v + 100 for v in up], [-v for v in up] + [100 - v for v in up])
    assert found is not None
    assert (round(found[0], 6), found[2]) == (-1.0, 60)
    assert found[1] < 1e-6
    assert rank_correlation([], [], []) is None


def test_the_newer_part_is_held_out_by_time() -> None:
    older, newer = by_time(["d", "a", "c", "b"], [4, 1, 3, 2])
    assert (older, newer) == (["a", "b"], ["d", "c"])
    assert by_time([], []) == ([], [])

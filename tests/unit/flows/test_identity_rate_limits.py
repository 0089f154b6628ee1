"""Token buckets: a burst at once, then a steady rate, each caller for itself."""

from dataclasses import dataclass

from flows.identity.rate_limits import RateLimits
from flows.identity_settings import RateSettings


@dataclass
class Seconds:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_may_be_at_once_and_then_one_for_each_share_of_a_second() -> None:
    seconds = Seconds()
    limits = RateLimits(RateSettings(per_second=2, burst=3), seconds)

    assert [limits.wait_for("anna") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    seconds.now += 0.25
    assert limits.wait_for("anna") == 0.25
    seconds.now += 0.25
    assert limits.wait_for("anna") == 0.0
    assert limits.wait_for("anna") == 0.5


def test_an_idle_caller_saves_up_no_more_than_the_burst() -> None:
    seconds = Seconds()
    limits = RateLimits(RateSettings(per_second=2, burst=3), seconds)
    limits.wait_for("anna")

    seconds.now += 3600

    assert [limits.wait_for("anna") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_callers_do_not_use_up_each_others_calls() -> None:
    limits = RateLimits(RateSettings(per_second=1, burst=1), Seconds())

    assert [limits.wait_for(name) for name in ("anna", "ben", "anna", "ben")] == [0.0, 0.0, 1.0, 1.0]


def test_no_limit_is_no_limit_and_nothing_is_remembered() -> None:
    limits = RateLimits(RateSettings(per_second=0), Seconds())

    assert not any(limits.wait_for("anna") for _ in range(1000))
    assert not limits._buckets


def test_what_is_remembered_is_bounded() -> None:
    limits = RateLimits(RateSettings(per_second=1, burst=1), Seconds())

    for number in range(12_000):
        limits.wait_for(f"caller-{number}")

    assert len(limits._buckets) == 10_000

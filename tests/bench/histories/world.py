"""How the imagined world behaves: every rate is unremarkable unless a defect makes it otherwise."""

from dataclasses import dataclass, replace

import numpy as np

Z90, Z95, Z99 = 1.2816, 1.6449, 2.3263


@dataclass(frozen=True)
class World:
    """All rates and sizes. Seconds."""

    days: int = 120
    unknown: float = 0.06
    """Share of first attempts of `make` that fail with an unknown outcome; the engine tries again."""
    unknown_recovery: float = 0.6
    transient: float = 0.08
    """Share of first attempts of `fit` that fail; nothing tries again but people."""
    transient_recovery: float = 0.4
    pause: float = 300.0
    tidy_unchanged: float = 0.93
    tell_fails: float = 0.05
    tell_hangs: float = 0.0
    refusal: float = 0.05
    rule_covers: float = 0.0
    """Share of requests from region a, which are then never refused."""
    approval_median: float = 300.0
    approval_p90_of_due: float = 0.12
    due_ratio: float = 1.03
    """The 95th percentile of the time to fulfil, as a multiple of what is due."""
    pair_share: float = 0.0
    """What two steps at the same time would save, as a share of the time to fulfil."""
    zone_fails: float = 0.0
    kind_share: float = 0.9
    note_given: float = 0.04
    ratio: float = 1.0
    """How many times as long work takes with version 2."""
    plus_ratio: float = 1.5
    late: float = 0.012
    supplier_late: float = 0.05
    ad_hoc: float = 0.04
    skipped: float = 0.02
    cleaned: float = 0.1
    stops: float = 0.06
    """Share of requests that end as failed after everything was made."""
    queue_share: float = 0.03
    rho: float = 0.0
    versions: bool = False
    mix_shift: bool = False
    weekends: bool = False
    noise: bool = True
    """Rows told twice, clocks that disagree."""


def number(value: object) -> float:
    """A size of an effect, as the gates file has it."""
    return float(value) if isinstance(value, int | float) else 0.0


def planted(detector: str, size: dict[str, object]) -> World:
    """The world with one defect of that size."""
    world = World()
    match detector:
        case "retry_futile":
            return replace(world, unknown=0.22, unknown_recovery=number(size["recovery"]))
        case "retry_helps":
            return replace(world, transient=0.14, transient_recovery=number(size["recovery"]))
        case "step_changes_nothing":
            return replace(world, tidy_unchanged=number(size["unchanged"]))
        case "timeout_missing":
            return replace(world, tell_hangs=number(size["hung"]))
        case "approval_never_refused":
            return replace(world, refusal=number(size["refusal"]))
        case "approval_follows_rule":
            return replace(world, rule_covers=number(size["share_covered"]), refusal=0.15)
        case "approval_waits":
            return replace(world, approval_p90_of_due=number(size["wait_share"]))
        case "due_wrong":
            return replace(world, due_ratio=number(size["ratio"]))
        case "could_run_in_parallel":
            return replace(world, pair_share=number(size["saving"]))
        case "input_value_fails":
            return replace(world, zone_fails=number(size["rate"]))
        case "input_has_default":
            return replace(world, kind_share=number(size["share"]))
        case "unused":
            return replace(world, note_given=number(size["use"]))
        case "two_models":
            return replace(world, plus_ratio=number(size["ratio"]))
        case "undo_missing":
            return replace(world, cleaned=number(size["cleanup"]))
        case "check_too_late":
            return replace(world, late=number(size["late"]))
        case "ad_hoc_recurs":
            return replace(world, ad_hoc=number(size["share"]))
        case "worse_since_version":
            return replace(world, ratio=number(size["ratio"]), versions=True)
        case "supplier_breaches":
            points = 0.10 if "10 points" in str(size["breaches"]) else 0.25
            return replace(world, supplier_late=0.05 + points)
        case "wait_hurts_satisfaction":
            return replace(world, rho=number(size["rho"]))
        case "queue":
            return replace(world, queue_share=number(size["share"]))
        case "not_followed":
            return replace(world, skipped=number(size["share"]))
        case other:
            raise ValueError(other)


def lognormal(random: np.random.Generator, median: float, sigma: float) -> float:
    return float(median * np.exp(sigma * random.standard_normal()))

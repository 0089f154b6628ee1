"""Histories reviewed and scored on the exact edit: path, operation, and value within tolerance."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.histories.making import Made, approval_p75, make, p95, pause_p75, tell_limit
from bench.histories.model import ZONES
from bench.histories.world import World, planted
from flows.review.findings import Finding
from flows.review.gates import Gates
from flows.review.reviewing import review
from flows.review.warehouse import Warehouse
from request_models.durations import parse_duration

TOLERANCE = 0.3


@dataclass(frozen=True)
class Score:
    """Of histories with one defect each: found with the exact edit, and findings of anything else."""

    histories: int
    found: int
    others: int
    names: tuple[str, ...] = ()

    @property
    def recall(self) -> float:
        return self.found / self.histories

    @property
    def precision(self) -> float:
        return self.found / max(1, self.found + self.others)


def findings_of(made: Made, gates: Gates) -> tuple[Finding, ...]:
    with tempfile.TemporaryDirectory(prefix="orderly-bench-") as folder:
        made.write(Path(folder))
        with Warehouse.open(Path(folder)) as history:
            return review(history, gates).findings


def score(detector: str, size: dict[str, object], count: int, seeds: range, gates: Gates) -> Score:
    """Plant a defect in a history for each seed, and see what is found."""
    world = planted(detector, size)
    found, others = 0, []
    for seed in seeds:
        right = False
        for finding in findings_of(make(world, count, seed), gates):
            if not right and is_right(detector, world, finding):
                right = True
            else:
                others.append(f"{finding.detector}:{finding.edit.path}")
        found += right
    return Score(len(seeds), found, len(others), tuple(sorted(set(others))))


def nulls(count: int, seeds: range, gates: Gates) -> Iterator[tuple[int, tuple[Finding, ...]]]:
    """Findings in histories without a defect, with the traps in turn."""
    worlds = (
        World(),
        World(versions=True),
        World(versions=True, mix_shift=True),
        World(versions=True, weekends=True),
        World(due_ratio=0.93),
        World(refusal=0.03),
    )
    for seed in seeds:
        yield seed, findings_of(make(worlds[seed % len(worlds)], count, seed + 1_000_000), gates)


def is_right(detector: str, world: World, finding: Finding) -> bool:
    edit = finding.edit
    if finding.detector != detector:
        return False
    told = (edit.operation.value, edit.path)
    match detector:
        case "retry_futile":
            return told == ("set", "steps.make.retry.errors") and edit.value == ["transient"]
        case "retry_helps":
            value: Any = edit.value
            return (
                told == ("set", "steps.fit.retry")
                and value["attempts"] >= 2
                and _near(value["delay"], pause_p75(world))
            )
        case "step_changes_nothing":
            return told == ("remove", "steps.tidy")
        case "timeout_missing":
            return told == ("set", "steps.tell.timeout") and _near(edit.value, tell_limit())
        case "approval_never_refused":
            return told == ("remove", "approvals.manager")
        case "approval_follows_rule":
            return told == ("set", "approvals.manager.when") and edit.value == "not (inputs.region == 'a')"
        case "approval_waits":
            return told == ("set", "approvals.manager.remind") and _near(edit.value, approval_p75(world))
        case "due_wrong":
            return told == ("set", "due.within") and _near(edit.value, p95(world))
        case "could_run_in_parallel":
            return told == ("parallel", "steps") and edit.value == ["left", "right"]
        case "input_value_fails":
            return told == ("set", "inputs.zone.enum") and edit.value == [zone for zone in ZONES if zone != "z3"]
        case "input_has_default":
            return told == ("set", "inputs.kind.default") and edit.value == "usual"
        case "unused":
            return told == ("remove", "inputs.note")
        case "two_models":
            return told[0] == "split" and edit.path == "inputs.tier" and edit.value == "plus"
        case "undo_missing":
            return told == ("set", "steps.make.undo")
        case "check_too_late":
            return told == ("move", "steps.late")
        case "ad_hoc_recurs":
            step: Any = edit.value
            return told == ("append", "steps") and step["id"] == "reset_the_badge"
        case "worse_since_version":
            return told[0] == "return" and edit.value == 1
        case "supplier_breaches":
            return told == ("none", "suppliers.acme")
        case "wait_hurts_satisfaction":
            return told[0] == "none"
        case "queue":
            return told[0] == "none"
        case "not_followed":
            return told == ("set", "steps.tidy.on_failure") and edit.value == "continue"
        case _:
            return False


def _near(written: Any, seconds: float) -> bool:
    found = parse_duration(written).total_seconds()
    return abs(found - seconds) <= TOLERANCE * seconds + 1

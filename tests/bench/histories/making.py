"""A history made of a world, request by request."""

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from bench.histories.model import ZONES, plan_of, text_of
from bench.histories.world import Z90, World, lognormal

START = 1_770_000_000
"""2 February 2026, a Monday."""
DAY = 86_400
WORK_MEDIAN = 6_000.0
WORK_SIGMA = 0.28
TELL_MEDIAN = 30.0
TELL_SIGMA = 0.35
TIDY_MEDIAN = 900.0
TIDY_SIGMA = 0.3
PROTOTYPE = 2_000


@dataclass
class Made:
    """Rows by table, and the model's text."""

    text: str = ""
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> None:
        self.tables.setdefault(table, []).append(row)

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def supplier_limit(late: float) -> int:
    """What was agreed on: `late` of the work takes longer. Of the first attempt that succeeds."""
    return max(1, int(TIDY_MEDIAN * np.exp(TIDY_SIGMA * NormalDist().inv_cdf(1 - late))))


@cache
def due_of(world: World) -> int:
    """What is due, so that the 95th percentile of the time to fulfil is `due_ratio` of it in this world."""
    plain = replace(world, noise=False, approval_p90_of_due=world.approval_p90_of_due, queue_share=world.queue_share)
    due = 9_000.0
    for _ in range(5):  # waits are shares of what is due, so it is found turn by turn
        made = simulate(plain, PROTOTYPE, 1, round(due), all_seen=True)
        times = [
            (row["ended"] - row["submitted"]) / 1e6 for row in made.tables["requests"] if row["state"] == "fulfilled"
        ]
        due = float(np.quantile(times, 0.95)) / world.due_ratio
    return round(due)


def make(world: World, count: int, seed: int) -> Made:
    """A history of so many requests."""
    return simulate(world, count, seed, due_of(world))


def simulate(world: World, count: int, seed: int, due: int, *, all_seen: bool = False) -> Made:
    return _Simulation(world, count, np.random.default_rng(seed), due, all_seen=all_seen).run()


class _Simulation:
    def __init__(self, world: World, count: int, random: np.random.Generator, due: int, *, all_seen: bool) -> None:
        self.world, self.count, self.random, self.due = world, count, random, due
        self.all_seen = all_seen
        self.made = Made()
        limit = supplier_limit(world.supplier_late)
        pair = world.pair_share > 0
        self.made.text = text_of(due, pair=pair, within=limit, version=2 if world.versions else 1)
        self.first = plan_of(text_of(due, pair=pair, within=limit, version=1))
        self.plan = plan_of(self.made.text)
        self.pair = pair
        self.horizon = START + world.days * DAY

    def run(self) -> Made:
        moments = np.sort(self._arrivals())
        hours = np.bincount((moments // 3600 - START // 3600).astype(int))
        for index, moment in enumerate(moments):
            self._request(f"r{index:06}", float(moment), int(hours[int(moment // 3600 - START // 3600)]))
        plans = {self.plan.digest: self.plan, **({self.first.digest: self.first} if self.world.versions else {})}
        for digest, plan in sorted(plans.items()):
            self.made.add("plans", digest=digest, plan=plan.to_json())
        if self.world.noise:
            self._disturb()
        return self.made

    def _arrivals(self) -> Any:
        days = self.random.integers(0, self.world.days, 3 * self.count)
        keep = (days % 7 < 5) | (self.random.random(len(days)) < 0.3)
        days = days[keep][: self.count]
        # Mondays are busy: a queue would show it
        hours = self.random.choice([8, 9, 9, 9, 10, 10, 11, 12, 13, 14, 14, 15, 16], len(days))
        return START + days * DAY + hours * 3600 + self.random.random(len(days)) * 3600

    def _chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def _inputs(self, when: float) -> dict[str, Any]:
        world, late = self.world, (when - START) / (self.horizon - START)
        in_a = 0.5
        if world.rule_covers:
            in_a = world.rule_covers
        elif world.mix_shift:
            in_a = 0.75 if late < 0.5 else 0.25
        region = "a" if self._chance(in_a) else str(self.random.choice(["b", "c"]))
        inputs: dict[str, Any] = {
            "region": region,
            "tier": "plus" if self._chance(0.4) else "basic",
            "zone": str(self.random.choice(ZONES)),
            "kind": "usual" if self._chance(world.kind_share) else str(self.random.choice(["x", "y", "z"])),
            "size": int(self.random.integers(1, 1000)),
        }
        if self._chance(world.note_given):
            inputs["note"] = "n"
        return inputs

    def _request(self, key: str, when: float, arrivals: int) -> None:
        world, made = self.world, self.made
        inputs = self._inputs(when)
        second = world.versions and when > START + world.days * DAY / 2
        plan = self.plan if second or not world.versions else self.first
        request = {
            "id": key,
            "model": "bench",
            "model_version": 2 if second else 1,
            "plan_digest": plan.digest,
            "requester_group": "staff",
            "channel": "api",
            "inputs": inputs,
            "submitted": _us(when),
            "due_seconds": self.due,
            "clock_stopped_seconds": 0.0,
        }
        steps: list[dict[str, Any]] = []
        touches: list[dict[str, Any]] = []
        now, state, approval = self._decide(key, when, inputs)
        started = None
        if state is None:
            started = now
            now, state = self._work(key, now, inputs, second, arrivals, when, steps, touches)
            made_something = any(row["outcome"] == "made" for row in steps)
            if state == "failed" and made_something and self._chance(world.cleaned):
                touches.append(_touch(key, "clean_up", "make", now))
        ended: float | None = now
        if not self.all_seen:
            horizon = self.horizon
            steps = [row for row in steps if row["queued"] <= _us(horizon)]
            for row in steps:
                if row["ended"] > _us(horizon):
                    row["ended"], row["outcome"], row["error_class"] = None, None, None
            if now > horizon:
                ended, state = None, "in_progress"
            touches = [row for row in touches if row["ended"] <= _us(horizon)]
        told = {"started": started and _us(started), "ended": ended and _us(ended), "state": state}
        made.add("requests", **request, **told)
        for row in steps:
            made.add("steps", **row)
        for row in touches:
            made.add("touches", **row)
        made.add("approvals", **approval)
        if state == "fulfilled" and ended is not None and self._chance(0.9):
            self._feedback(key, ended, ended - when)

    def _decide(self, key: str, when: float, inputs: dict[str, Any]) -> tuple[float, str | None, dict[str, Any]]:
        world = self.world
        p90 = world.approval_p90_of_due * self.due
        wait = lognormal(self.random, p90 / np.exp(Z90 * 0.5), 0.5)
        refused = self._chance(world.refusal) and not (world.rule_covers and inputs["region"] == "a")
        approver = f"m{self.random.integers(0, 4)}"
        row = {
            "request": key,
            "approval": "manager",
            "approver": approver,
            "asked": _us(when),
            "decided": _us(when + wait),
        }
        row["decision"] = "reject" if refused else "approve"
        return when + wait, "rejected" if refused else None, row

    def _work(
        self,
        key: str,
        now: float,
        inputs: dict[str, Any],
        second: bool,
        arrivals: int,
        when: float,
        steps: list[dict[str, Any]],
        touches: list[dict[str, Any]],
    ) -> tuple[float, str]:
        world = self.world
        scale = (world.ratio if second else 1.0) * {"a": 1.0, "b": 1.5, "c": 1.4}[inputs["region"]]
        if inputs["tier"] == "plus":  # of the work, so that the whole takes `plus_ratio` times as long
            scale *= 1 + (world.plus_ratio - 1) * 1.35
        if world.weekends and int((when - START) // DAY) % 7 >= 5:
            scale *= 2.0
        # the queue grows with the hour's arrivals
        queued = now
        usual = world.queue_share * self.due
        now += usual * (0.25 + 0.5 * min(arrivals - 1, 3)) if world.queue_share > 0.1 else usual * self.random.random()

        def attempt(
            path: str, number: int, began: float, took: float, outcome: str, error: str | None = None, **more: Any
        ) -> float:
            steps.append(
                {
                    "request": key,
                    "path": path,
                    "item_key": "",
                    "attempt": number,
                    "action": "bench.act",
                    "queued": _us(began),
                    "started": _us(began),
                    "ended": _us(began + took),
                    "outcome": outcome,
                    "error_class": error,
                    "touched": False,
                    **more,
                }
            )
            return began + took

        def touch(kind: str, path: str, moment: float, label: str | None = None) -> None:
            touches.append(_touch(key, kind, path, moment, label))

        if self._chance(world.ad_hoc / 0.95):  # the others were refused before
            touch("fix", "", now, f"Reset the badge #{self.random.integers(100, 999)}")
        number = 1
        failing = self._chance(world.unknown)
        while failing:
            now = attempt("make", number, now, lognormal(self.random, 200, 0.3), "failed", "unknown")
            if number == 3:
                return now, "failed"
            now += 30
            number += 1
            failing = not self._chance(world.unknown_recovery)
        now = attempt("make", number, now, lognormal(self.random, WORK_MEDIAN * scale, WORK_SIGMA), "made")
        steps[0]["queued"] = _us(queued)
        if self._chance(world.transient):
            now = attempt("fit", 1, now, 5, "failed", "transient")
            now += lognormal(self.random, world.pause, 0.4)
            touch("retry", "fit", now)
            if not self._chance(world.transient_recovery):
                now = attempt("fit", 2, now, 5, "failed", "transient", touched=True)
                return now, "failed"
            now = attempt("fit", 2, now, 20, "made", touched=True)
        else:
            now = attempt("fit", 1, now, lognormal(self.random, 20, 0.3), "made")
        if self._chance(world.skipped / 0.86):  # so many come so far
            now = attempt("tidy", 1, now, 10, "failed", "permanent")
            touch("skip", "tidy", now)
        else:
            now = attempt(
                "tidy",
                1,
                now,
                lognormal(self.random, TIDY_MEDIAN, TIDY_SIGMA),
                "already_so" if self._chance(world.tidy_unchanged) else "changed",
            )
        if self.pair:
            # Each takes as much; the one that is saved is `pair_share` of the whole.
            each = world.pair_share * (WORK_MEDIAN * scale * 1.04 + 1500) / (1 - 2 * world.pair_share)
            for path in ("left", "right"):
                now = attempt(path, 1, now, lognormal(self.random, each * 1.08, 0.15), "made")
        if self._chance(world.tell_hangs):
            now = attempt("tell", 1, now, lognormal(self.random, 3600, 0.3), "failed", "transient")
            return now, "failed"
        if self._chance(world.tell_fails):
            now = attempt("tell", 1, now, lognormal(self.random, TELL_MEDIAN / 2, TELL_SIGMA), "failed", "permanent")
            return now, "failed"
        now = attempt("tell", 1, now, lognormal(self.random, TELL_MEDIAN, TELL_SIGMA), "made")
        if self._chance(world.late):
            return attempt("late", 1, now, 2, "failed", "rejected"), "failed"
        now = attempt("late", 1, now, 2, "read")
        fails = world.zone_fails if world.zone_fails and inputs["zone"] == "z3" else world.stops
        if self._chance(fails):
            return now, "failed"
        return now, "fulfilled"

    def _feedback(self, key: str, ended: float, took: float) -> None:
        row: dict[str, Any] = {"request": key, "asked": _us(ended)}
        if self._chance(0.6):
            log = (np.log(took) - np.log(WORK_MEDIAN * 1.6)) / 0.45
            rho = self.world.rho
            latent = rho * log + np.sqrt(1 - rho * rho) * self.random.standard_normal()
            row |= {"given": _us(ended + 600), "rating": float(round(100 * latent))}
        self.made.add("feedback", **row)

    def _disturb(self) -> None:
        for name in ("requests", "steps", "approvals"):
            rows = self.made.tables[name]
            again = self.random.random(len(rows)) < 0.03
            rows += [dict(row) for row, twice in zip(list(rows), again, strict=True) if twice]
        for row in self.made.tables["steps"]:
            if row["ended"] is not None and self._chance(0.01):
                row["started"] = row["ended"] + 5_000_000
        order = self.random.permutation(len(self.made.tables["steps"]))
        self.made.tables["steps"] = [self.made.tables["steps"][index] for index in order]


def _touch(key: str, kind: str, path: str, moment: float, label: str | None = None) -> dict[str, Any]:
    row = {"request": key, "path": path, "kind": kind, "actor": "p", "team": "ops", "minutes": 5.0, "label": label}
    return {**row, "started": _us(moment), "ended": _us(moment)}


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def approval_p75(world: World) -> float:
    return float(world.approval_p90_of_due * due_of(world) * np.exp((0.6745 - Z90) * 0.5))


def tell_limit() -> float:
    return float(1.5 * TELL_MEDIAN * np.exp(2.3263 * TELL_SIGMA))


def pause_p75(world: World) -> float:
    return float(world.pause * np.exp(0.6745 * 0.4))


def p95(world: World) -> float:
    return world.due_ratio * due_of(world)

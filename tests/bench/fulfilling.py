"""How fast requests are fulfilled here, held against the same steps as a flow of Prefect's own, in the same run.

Both start what they need in folders of their own, on free ports, and end it. The baseline is the same work as a flow
written by hand (a task for each step), deployed on Prefect's stock process worker with Prefect's defaults.
"""

import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from bench.installation import Installation, StockPrefect, memory_mb, running
from waiting import wait_until

STEPS = 5
MANY_STEPS = 25
_QUIET_SECONDS = 8.0
_ORDERS_A_SECOND = 50


@dataclass
class Figures:
    """What was measured of one of the two; None: not measured."""

    name: str
    first_effect: list[float] = field(default_factory=list)
    """Seconds from the order's acceptance to the first step's effect, one request at a time."""
    fulfilled: list[float] = field(default_factory=list)
    """Seconds from the order's acceptance to the outcome."""
    processor_seconds: float | None = None
    """Of all processes, for a request of five steps, what they use idly left out."""
    idle_processor_share: float | None = None
    step_seconds: float | None = None
    """From one step's effect to the next one's."""
    requests_a_second: float | None = None
    acknowledged: list[float] = field(default_factory=list)
    """Seconds until an order is answered, at 50 orders a second."""
    start_seconds: float | None = None
    """Of `orderly up`, on a state folder that is there."""
    resident_mb: float | None = None
    proportional_mb: float | None = None
    private_mb_of_a_run: float | None = None


def measure(folder: Path, *, requests: int, baseline: int, burst: int, settings: str) -> tuple[Figures, Figures]:
    """Measure Orderly with so many requests, and the baseline with so many; `burst` are ordered at once."""
    ours = Figures("Orderly")
    installation = Installation(folder / "orderly", [STEPS, MANY_STEPS], settings)
    with running(installation):
        pass  # the first start migrates, and makes Prefect's tables
    with running(installation):
        ours.start_seconds = installation.seconds_to_start
        _one_by_one(installation, ours, requests)
        _memory(installation, ours)
        ours.step_seconds = _step_seconds(installation)
        ours.requests_a_second = _burst(installation, burst, ours)
        _acknowledgements(installation, ours)
    stock = Figures("Prefect's process worker")
    if baseline:
        hand_written = StockPrefect(folder / "stock")
        with running(hand_written):
            _one_by_one(hand_written, stock, baseline)
            stock.step_seconds = _step_seconds(hand_written)
            stock.requests_a_second = _burst(hand_written, max(4, burst // 4), stock)
    return ours, stock


def _one_by_one(what: Installation | StockPrefect, figures: Figures, requests: int) -> None:
    _fulfil(what, "first", STEPS)  # what is read once, and kept
    time.sleep(_QUIET_SECONDS)
    begun, used = time.monotonic(), what.processor_seconds()
    time.sleep(_QUIET_SECONDS)
    idle = (what.processor_seconds() - used) / (time.monotonic() - begun)
    begun, used = time.monotonic(), what.processor_seconds()
    for number in range(requests):
        first, fulfilled = _fulfil(what, f"one-{number}", STEPS)
        figures.first_effect.append(first)
        figures.fulfilled.append(fulfilled)
        time.sleep(0.3)
    time.sleep(3.0)  # processes that have reported their outcome still end
    used = what.processor_seconds() - used - idle * (time.monotonic() - begun)
    figures.processor_seconds = used / requests
    figures.idle_processor_share = idle


def _fulfil(what: Installation | StockPrefect, name: str, steps: int) -> tuple[float, float]:
    run, at = what.order(steps, name)
    wait_until(f"{name} has had its effects", lambda: len(what.marks.of(name)) == steps, 120, every=0.02)
    marks = what.marks.of(name)
    wait_until(f"{name} is fulfilled", lambda: what.state_of(run) == "fulfilled", 60, every=0.02)
    return marks[0].at - at, time.time() - at


def _step_seconds(what: Installation | StockPrefect) -> float:
    gaps: list[float] = []
    for number in range(3):
        _fulfil(what, f"many-{number}", MANY_STEPS)
        marks = what.marks.of(f"many-{number}")
        gaps += [after.at - before.at for before, after in pairwise(marks)]
    return statistics.median(gaps)


def _burst(what: Installation | StockPrefect, count: int, figures: Figures) -> float:
    begun = time.time()
    for number in range(count):
        what.order(STEPS, f"burst-{number}")
    private: list[float] = []

    def done() -> bool:
        if isinstance(what, Installation):
            private.extend(_private_of_runs(what))
        marks = what.marks.all()
        return sum(mark.name.startswith("burst-") for mark in marks) == count * STEPS

    wait_until("all of the burst have had their effects", done, 60 + 15 * count, every=0.25)
    last = max(mark.at for mark in what.marks.all())
    if private:
        figures.private_mb_of_a_run = statistics.median(private)
    return count / (last - begun)


def _private_of_runs(what: Installation) -> list[float]:
    found = []
    for pid in what.processes():
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().startswith("run-"):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                found.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024)
    return found


def _memory(what: Installation, figures: Figures) -> None:
    time.sleep(_QUIET_SECONDS)
    both = [memory_mb(pid) for pid in what.processes()]
    figures.resident_mb, figures.proportional_mb = sum(one[0] for one in both), sum(one[1] for one in both)


def _acknowledgements(what: Installation, figures: Figures, seconds: int = 4) -> None:
    begin = time.monotonic()

    def order(number: int) -> float:
        time.sleep(max(0.0, begin + number / _ORDERS_A_SECOND - time.monotonic()))
        sent = time.monotonic()
        what.order(STEPS, f"acknowledged-{number}")
        return time.monotonic() - sent

    with ThreadPoolExecutor(16) as pool:
        figures.acknowledged = list(pool.map(order, range(_ORDERS_A_SECOND * seconds)))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of them does not exceed; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def as_json(both: Sequence[Figures]) -> list[dict[str, object]]:
    """The figures with their percentiles, to keep."""
    return [
        {
            **asdict(one),
            "first_effect_p50": percentile(one.first_effect, 0.5),
            "first_effect_p95": percentile(one.first_effect, 0.95),
            "fulfilled_p50": percentile(one.fulfilled, 0.5),
            "acknowledged_p50": percentile(one.acknowledged, 0.5),
            "acknowledged_p99": percentile(one.acknowledged, 0.99),
        }
        for one in both
    ]


def show(ours: Figures, stock: Figures) -> None:
    """The table. The ratio says how many times better we are."""
    rows: list[tuple[str, float | None, float | None, bool]] = [
        (
            "accepted to first effect, p50, s",
            percentile(ours.first_effect, 0.5),
            percentile(stock.first_effect, 0.5),
            True,
        ),
        (
            "accepted to first effect, p95, s",
            percentile(ours.first_effect, 0.95),
            percentile(stock.first_effect, 0.95),
            True,
        ),
        ("accepted to outcome, p50, s", percentile(ours.fulfilled, 0.5), percentile(stock.fulfilled, 0.5), True),
        ("processor seconds a request", ours.processor_seconds, stock.processor_seconds, True),
        ("one more step, ms", _milli(ours.step_seconds), _milli(stock.step_seconds), True),
        ("requests a second, all at once", ours.requests_a_second, stock.requests_a_second, False),
        ("idle, share of a processor", ours.idle_processor_share, stock.idle_processor_share, True),
        ("order acknowledged at 50/s, p50, ms", _milli(percentile(ours.acknowledged, 0.5)), None, True),
        ("order acknowledged at 50/s, p99, ms", _milli(percentile(ours.acknowledged, 0.99)), None, True),
        ("start of `orderly up`, s", ours.start_seconds, None, True),
        ("resident memory, idle, MB", ours.resident_mb, None, True),
        ("  shared pages counted once, MB", ours.proportional_mb, None, True),
        ("private memory of a running request, MB", ours.private_mb_of_a_run, None, True),
    ]
    load = os.getloadavg()[0]
    lines = [f"{STEPS} steps a request, {os.cpu_count()} processors, load {load:.1f} at the end"]
    lines.append(f"{'':40} {'Orderly':>9} {'stock':>9} {'ratio':>7}")
    for name, our, theirs, less_is_better in rows:
        ratio = "" if not our or not theirs else f"{theirs / our if less_is_better else our / theirs:7.1f}"
        lines.append(f"{name:40} {_number(our):>9} {_number(theirs):>9} {ratio:>7}")
    sys.stdout.write("\n".join(lines) + "\n")


def _milli(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"

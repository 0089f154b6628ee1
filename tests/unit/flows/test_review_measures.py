"""Figures are those that a plain query gives, and each leads to its rows."""

import json
from pathlib import Path

import pytest

from flows.review.measures import measure, most_asked_for
from flows.review.warehouse import Warehouse
from flows.settings import ReviewSettings

HOUR = 3_600_000_000


@pytest.fixture
def history(tmp_path: Path) -> Path:
    requests: list[dict[str, object]] = [
        {
            "id": f"r{n}",
            "model": "disk",
            "submitted": 0,
            "started": 60_000_000,
            "ended": (n + 1) * HOUR,
            "state": "fulfilled",
            "due_seconds": 4 * 3600,
        }
        for n in range(8)
    ]
    requests += [
        {"id": "open", "model": "disk", "submitted": 7 * HOUR, "state": "in_progress"},
        {"id": "other", "model": "o'brien", "submitted": 8 * HOUR, "state": "in_progress"},
    ]
    times = {"queued": 0, "started": 60_000_000, "ended": 90_000_000}
    steps: list[dict[str, object]] = [
        {"request": f"r{n}", "path": "make", "attempt": 1, "outcome": "made", **times} for n in range(8)
    ]
    steps.append({**steps[0], "attempt": 2})
    touches: list[dict[str, object]] = [
        {"request": "r0", "path": "", "kind": "fix", "started": 0, "ended": 600_000_000, "label": "Reset MFA #1"},
        {
            "request": "r1",
            "path": "",
            "kind": "fix",
            "started": 0,
            "ended": 0,
            "minutes": 20.0,
            "label": "reset mfa (2)",
        },
    ]
    feedback: list[dict[str, object]] = [{"request": "r0", "rating": 4.0}, {"request": "r1", "rating": None}]
    tables: dict[str, list[dict[str, object]]] = {
        "requests": requests,
        "steps": steps,
        "touches": touches,
        "feedback": feedback,
    }
    for name, rows in tables.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_figures_are_counted_and_lead_to_their_rows(history: Path) -> None:
    with Warehouse.open(history) as warehouse:
        found = measure(warehouse, "disk", ReviewSettings(cost_per_minute=2.0, cost_per_request={"disk": 1.0}))
        said = {one.name: one.value for one in found.figures}
        assert said["volume"] == 9
        assert said["due kept"] == 0.5
        assert said["zero touch"] == 0.75
        assert said["rework"] == 0.25
        assert said["retried"] == 0.125
        assert said["minutes of people, a request"] == pytest.approx(30 / 9)
        assert said["cost, a request"] == pytest.approx(2 * 30 / 9 + 1)
        assert (said["satisfaction, mean rating"], said["asked and silent"]) == (4.0, 0.5)
        assert found.by_step["make"] == {
            "requests": 8,
            "work_seconds": 30,
            "wait_seconds": 60,
            "retries": 1,
            "failures": 0,
        }
        assert found.ad_hoc == {"reset_mfa": 2}
        for one in found.figures:
            counted = warehouse.one(f"SELECT count(*) FROM ({one.rows})")[0]
            assert counted >= one.of, one.name


def test_what_cannot_be_told_is_said_so(history: Path) -> None:
    with Warehouse.open(history) as warehouse:
        found = measure(warehouse, "disk")
        assert found.figure("time to fulfil, 95th percentile").said() == "cannot tell"
        median = found.figure("time to fulfil, median")
        assert median.value == 5 * 3600
        none = measure(warehouse, "o'brien")
        assert {one.said() for one in none.figures} >= {"cannot tell", "1 requests"}


def test_models_come_by_how_often_they_are_asked_for(history: Path) -> None:
    with Warehouse.open(history) as warehouse:
        assert most_asked_for(warehouse) == [("disk", 9), ("o'brien", 1)]


def test_a_history_of_nothing_has_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_text("")
    with Warehouse.open(tmp_path) as warehouse:
        assert measure(warehouse, "disk").figure("volume").value == 0

"""The records as history: every row, secrets left out, people under pseudonyms, alike in every database."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.records.records import Records
from flows.records.rows import Holder, Person, RequestRow, Sealed, Touch
from flows.records.states import AttemptOutcome, TouchKind
from flows.review.exporting import export, pseudonym_key, pseudonyms
from flows.review.warehouse import Warehouse
from request_models.actions import ErrorClass
from request_models.plan import Plan

KEY = bytes(32)


@pytest.fixture
def worked_on(records: Records, order: Callable[..., RequestRow], holder: Holder, clock: Any) -> str:
    """A request of which one attempt failed, which a person then put right."""
    ann = Person("ann@example.org", name="Ann", groups=("staff", "engineers"))
    request = order(inputs={"size": 3, "password": None}, requester=ann)
    records.run(lambda tx: tx.claims.take(request.id, "run-1", holder, timedelta(seconds=30)))
    arguments = Sealed("steps/make/arguments", {"size": 3})
    records.run(lambda tx: tx.steps.put_started(request.id, "make", arguments, (), {}, None, 1))
    queued = clock.now
    clock.advance(seconds=1.5)
    records.run(lambda tx: tx.steps.start_attempt(request.id, "make", "disk.make", queued, 1, supplier="acme"))
    clock.advance(seconds=2)
    failed = (AttemptOutcome.FAILED, ErrorClass.TRANSIENT, "timed-out", "no answer", None, 1)
    records.run(lambda tx: tx.steps.finish_attempt(request.id, "make", 1, *failed))
    touch = Touch(
        request_id=request.id,
        path="make",
        item_key="",
        kind=TouchKind.FIX,
        actor="ben",
        team="ops",
        started=queued,
        ended=clock.now,
        minutes=5.0,
        label="disk full",
        why="why",
    )
    records.run(lambda tx: tx.touches.add(touch))
    return request.id


@pytest.mark.parametrize("lines", [False, True], ids=["parquet", "json-lines"])
def test_everything_recorded_is_in_the_history(
    records: Records, worked_on: str, plan: Plan, tmp_path: Path, lines: bool
) -> None:
    counts = export(records, tmp_path / "history", KEY, lines=lines)
    assert {name: count for name, count in counts.items() if count} == {
        "requests": 1,
        "steps": 1,
        "touches": 1,
        "plans": 1,
    }
    who = pseudonyms(KEY)
    with Warehouse.open(tmp_path / "history") as history:
        request = next(history.each("SELECT * FROM requests"))
        assert (request["id"], request["requester"]) == (worked_on, who("ann@example.org"))
        assert (request["requester_group"], request["plan_digest"]) == ("engineers", plan.digest)
        assert request["submitted"] == 1_795_377_600_000_000
        step = next(history.each("SELECT * FROM steps"))
        assert (step["started"] - step["queued"], step["ended"] - step["started"]) == (1_500_000, 2_000_000)
        assert (step["outcome"], step["error_class"], step["supplier"]) == ("failed", "transient", "acme")
        touch = next(history.each("SELECT * FROM touches"))
        assert (touch["actor"], touch["kind"], touch["minutes"]) == (who("ben"), "fix", 5.0)
    written = b"".join(file.read_bytes() for file in (tmp_path / "history").iterdir())
    assert b"ann@example.org" not in written


def test_a_secret_input_is_left_out(records: Records, order: Callable[..., RequestRow], tmp_path: Path) -> None:
    order(inputs={"size": 3, "login": {"name": "x", "password": None}})
    with records._engine.begin() as connection:
        sealed = Sealed("inputs", {"size": 3, "login": {"name": "x", "password": None}}, ("/login/password",))
        from flows.records.tables import requests

        connection.execute(requests.update().values(inputs=sealed))
    export(records, tmp_path / "history", KEY)
    with Warehouse.open(tmp_path / "history") as history:
        assert history.one("SELECT inputs FROM requests") == ('{"size":3}',)


def test_records_that_hold_nothing_give_an_empty_history(records: Records, tmp_path: Path) -> None:
    export(records, tmp_path / "history", KEY)
    with Warehouse.open(tmp_path / "history") as history:
        assert history.one("SELECT count(*) FROM requests") == (0,)
    assert [file for file in (tmp_path / "history").iterdir() if file.is_dir()] == []


def test_an_export_replaces_the_one_before_it_whatever_its_format(records: Records, tmp_path: Path) -> None:
    export(records, tmp_path / "history", KEY, lines=True)
    export(records, tmp_path / "history", KEY)
    assert {file.suffix for file in (tmp_path / "history").iterdir()} == {".parquet"}


def test_the_key_of_pseudonyms_is_made_once_and_private(tmp_path: Path) -> None:
    key = pseudonym_key(tmp_path / "keys" / "pseudonyms")
    assert pseudonym_key(tmp_path / "keys" / "pseudonyms") == key
    assert (tmp_path / "keys" / "pseudonyms").stat().st_mode & 0o777 == 0o600

"""Where records and Prefect differ: what is found amiss, and what is left alone."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.reconciliation import (
    SOON,
    STALE,
    Hold,
    Runner,
    Show,
    StartAgain,
    Wake,
    crashes_without_progress,
    examine,
    runner_of,
)
from flows.records.rows import AuditEvent, Claim, Holder, Person, RequestRow, Sealed, StepRow
from flows.records.states import RequestState, StepState

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    type: str = "RUNNING"
    since: datetime = NOW
    deployed: bool = True
    id: str = "run-1"
    name: str = ""
    message: str = "it broke"

    @property
    def final(self) -> bool:
        return self.type in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def request_in(state: RequestState, **other: Any) -> RequestRow:
    person = Person(id="ada")
    row = RequestRow(
        id="request-1",
        model="m",
        model_version=1,
        plan_digest="d",
        arm=None,
        requester=person,
        requested_for=person,
        caller="key",
        channel="api",
        source_system=None,
        source_id=None,
        source_url=None,
        inputs=Sealed("inputs", {}),
        values=None,
        outputs=None,
        submitted=NOW,
        started=None,
        ended=None,
        closed_at=None,
        state=state,
        state_reason="because",
        state_since=NOW - timedelta(minutes=1),
        wake_at=None,
        not_before=None,
        hold_team=None,
        hold_assignee=None,
        due_at=None,
        due_seconds=None,
        due_calendar=None,
        clock_stops_in=(),
        clock_stopped_seconds=0.0,
        parent=None,
        cancelled_by=None,
        flow_run_id="run-1",
        dispatch_key="key-1",
        dispatches=1,
        version=3,
        audit_count=0,
        audit_head="",
    )
    return replace(row, **other)


@pytest.mark.parametrize("state", list(RequestState))
@pytest.mark.parametrize("run", [None, Run("RUNNING"), Run("CRASHED"), Run("COMPLETED"), Run("CANCELLED")])
def test_a_request_that_a_process_runs_is_left_alone(state: RequestState, run: Run | None) -> None:
    assert examine(request_in(state), run, Runner.MAY_LIVE) is None


@pytest.mark.parametrize("state", list(RequestState))
def test_a_request_whose_dispatch_is_under_way_is_left_alone(state: RequestState) -> None:
    assert examine(request_in(state, flow_run_id=None), None, Runner.NOBODY) is None


@pytest.mark.parametrize("state", [RequestState.SCHEDULED, RequestState.IN_PROGRESS])
def test_a_run_that_will_go_on_is_left_alone(state: RequestState) -> None:
    assert examine(request_in(state), Run("SCHEDULED"), Runner.NOBODY) is None


@pytest.mark.parametrize("state", [RequestState.SCHEDULED, RequestState.IN_PROGRESS])
def test_a_run_that_sleeps_though_its_request_may_go_on_is_woken(state: RequestState) -> None:
    assert examine(request_in(state), Run("PAUSED"), Runner.NOBODY) == Wake()
    assert examine(request_in(state), Run("PAUSED"), Runner.MAY_LIVE) is None


@pytest.mark.parametrize("state", [RequestState.SCHEDULED, RequestState.IN_PROGRESS])
def test_a_lost_run_is_replaced_and_is_no_crash(state: RequestState) -> None:
    found = examine(request_in(state), None, Runner.NOBODY)
    assert isinstance(found, StartAgain)
    assert not found.crashed


def test_a_run_whose_deployment_is_gone_is_replaced_whatever_it_shows() -> None:
    for kind in ("CANCELLED", "SCHEDULED", "FAILED"):
        found = examine(request_in(RequestState.IN_PROGRESS), Run(kind, deployed=False), Runner.NOBODY)
        assert isinstance(found, StartAgain)
        assert not found.crashed


@pytest.mark.parametrize("kind", ["CRASHED", "FAILED"])
def test_a_run_that_ended_without_an_outcome_counts_as_a_crash(kind: str) -> None:
    found = examine(request_in(RequestState.IN_PROGRESS), Run(kind), Runner.NOBODY)
    assert found == StartAgain("its run ended without an outcome: it broke", after=SOON, crashed=True)


def test_a_run_that_ended_before_the_request_was_to_go_on_has_a_retry_on_its_way() -> None:
    retried = request_in(RequestState.IN_PROGRESS, state_since=NOW + timedelta(seconds=5))
    found = examine(retried, Run("FAILED"), Runner.NOBODY)
    assert found is not None
    assert found.after == STALE


def test_completed_in_prefect_is_not_fulfilled() -> None:
    assert isinstance(examine(request_in(RequestState.SCHEDULED), Run("COMPLETED"), Runner.NOBODY), StartAgain)


def test_cancelling_in_prefect_is_told_as_its_users_doing_and_decides_nothing() -> None:
    found = examine(request_in(RequestState.IN_PROGRESS), Run("CANCELLED"), Runner.NOBODY)
    assert isinstance(found, Hold)
    assert found.actor == "prefect-ui"
    assert "reason unknown" in found.why


@pytest.mark.parametrize(("runner", "after"), [(Runner.LEFT, SOON), (Runner.NOBODY, STALE)])
def test_a_run_without_a_process_is_replaced_sooner_when_its_process_is_known_to_have_left(
    runner: Runner, after: float
) -> None:
    found = examine(request_in(RequestState.IN_PROGRESS), Run("RUNNING"), runner)
    assert isinstance(found, StartAgain)
    assert (found.after, found.crashed, found.old_run) == (after, True, "run-1")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (RequestState.ON_HOLD, "failed"),
        (RequestState.FULFILLED, "completed"),
        (RequestState.CANCELLED, "cancelled"),
        (RequestState.FAILED, "failed"),
    ],
)
def test_prefect_is_made_to_show_what_the_record_says(state: RequestState, kind: str) -> None:
    assert examine(request_in(state), Run(kind.upper()), Runner.NOBODY) is None
    crashed = examine(request_in(state), Run("CRASHED"), Runner.NOBODY)
    assert isinstance(crashed, Show)
    assert (crashed.kind, crashed.after) == (kind, SOON)
    about_to_report = examine(request_in(state), Run("RUNNING"), Runner.NOBODY)
    assert isinstance(about_to_report, Show)
    assert about_to_report.after == STALE


def test_a_retry_pressed_on_a_held_request_is_left_to_run() -> None:
    assert examine(request_in(RequestState.ON_HOLD), Run("SCHEDULED"), Runner.NOBODY) is None


def claim(*, taken: datetime = NOW, expires: datetime = NOW + timedelta(seconds=30), released: bool = False) -> Claim:
    return Claim("request-1", 1, "run-1", Holder("host", "boot", 1, 1), taken, expires, released)


def test_who_runs_a_request_is_told_by_its_claim() -> None:
    def runner(held: Claim | None, run: Run | None = None, *, gone: bool = False) -> Runner:
        return runner_of(held, run, NOW, lambda holder: gone)

    expired = claim(taken=NOW - timedelta(minutes=2), expires=NOW - timedelta(minutes=1))
    running = Run("RUNNING", since=NOW - timedelta(minutes=3))
    assert runner(None) is Runner.NOBODY
    assert runner(claim()) is Runner.MAY_LIVE
    assert runner(claim(released=True)) is Runner.NOBODY
    assert runner(claim(), running, gone=True) is Runner.LEFT
    assert runner(expired, running) is Runner.NOBODY
    # It shows a state newer than the claim: another process is starting.
    assert runner(expired, Run("RUNNING", since=NOW), gone=True) is Runner.NOBODY
    assert runner(expired, Run("RUNNING", since=NOW - timedelta(minutes=3), id="run-2"), gone=True) is Runner.NOBODY


def event(name: str, at: datetime, to: RequestState = RequestState.IN_PROGRESS) -> AuditEvent:
    return AuditEvent(
        request_id="request-1",
        sequence=1,
        at=at,
        actor="orderly-keeper",
        event=name,
        from_state=RequestState.IN_PROGRESS,
        to_state=to,
        why="",
        why_digest="",
        hash="",
    )


def step(state: StepState, ended: datetime | None) -> StepRow:
    return StepRow(
        request_id="request-1",
        path="first",
        item_key="",
        state=state,
        arguments=Sealed("steps/first/arguments", {}),
        hosts=(),
        target={},
        when_value=None,
        result=None,
        message="",
        epoch=1,
        started=NOW,
        taken_up=NOW,
        ended=ended,
    )


def test_crashes_count_until_the_request_gets_on() -> None:
    minutes = [NOW + timedelta(minutes=minute) for minute in range(5)]
    crashes = [event("crashed", at) for at in minutes[:3]]
    assert crashes_without_progress(crashes, [], "crashed") == 3
    assert crashes_without_progress([*crashes, event("dispatched_again", minutes[3])], [], "crashed") == 3
    moved = event("moved", minutes[3], RequestState.ON_HOLD)
    assert crashes_without_progress([*crashes, moved], [], "crashed") == 0
    got_on = [step(StepState.DONE, minutes[1]), step(StepState.STARTED, None)]
    assert crashes_without_progress(crashes, got_on, "crashed") == 1
    assert crashes_without_progress(crashes, [step(StepState.FAILED, minutes[4])], "crashed") == 3


@pytest.mark.parametrize(
    ("run", "wake_at", "finding"),
    [
        (Run("PAUSED"), None, Wake()),
        (Run("PAUSED"), NOW + timedelta(minutes=5), None),
        (Run("SCHEDULED"), None, None),
    ],
)
def test_an_undo_that_sleeps_is_left_asleep_until_its_time(
    run: Run, wake_at: datetime | None, finding: Wake | None
) -> None:
    request = request_in(RequestState.UNDOING, wake_at=wake_at)
    assert examine(request, run, Runner.NOBODY) == finding


def test_an_undo_whose_run_crashed_is_started_again_and_one_cancelled_in_prefect_is_held() -> None:
    request = request_in(RequestState.UNDOING)
    crashed = examine(request, Run("CRASHED"), Runner.NOBODY)
    assert isinstance(crashed, StartAgain)
    assert crashed.crashed
    assert isinstance(examine(request, Run("CANCELLED"), Runner.NOBODY), Hold)
    assert isinstance(examine(request, None, Runner.NOBODY), StartAgain)

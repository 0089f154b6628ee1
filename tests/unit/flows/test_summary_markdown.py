"""The artifact an operator reads: what it says, and that nobody's text becomes markup in it."""

from dataclasses import replace
from datetime import UTC, datetime

from flows.execution import End
from flows.records.rows import Person, RequestRow, Sealed
from flows.records.states import RequestState, StepState
from flows.settings import Settings
from flows.summary import summarise
from flows.walk import StepReport
from request_models.actions import EffectClass
from request_models.plan import Due, MapOf, Owners, Plan, Step

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
REQUEST_ID = "11111111-2222-4333-8444-555555555555"


def plan(*steps: str) -> Plan:
    return Plan(
        model="a-model",
        title={"en": "A title"},
        kind="resource",
        service="a-service",
        summary={},
        owners=Owners("owner"),
        inputs={},
        due=Due(60),
        blocks=tuple(
            Step(path=step, uses="memory.make", contract="1", effect=EffectClass.IDEMPOTENT, arguments=MapOf({}))
            for step in steps
        ),
    )


def request(requester: str) -> RequestRow:
    person = Person(id="ada", name=requester)
    return RequestRow(
        id=REQUEST_ID,
        model="a-model",
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
        state=RequestState.IN_PROGRESS,
        state_reason="",
        state_since=NOW,
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
        flow_run_id="run",
        dispatch_key="key",
        dispatches=1,
        version=1,
        audit_count=0,
        audit_head="",
    )


def test_a_failed_request_says_what_is_done_what_failed_and_what_to_do_next() -> None:
    reports = [
        StepReport("one", StepState.DONE, outcome="made"),
        StepReport("two", StepState.FAILED, message="No route to host."),
    ]
    end = End("failed", "Failed", "two: No route to host.")
    text = summarise(plan("one", "two", "three"), request("Ada"), reports, end, Settings())
    assert f"[{REQUEST_ID}](http://127.0.0.1:8220/v1/requests/{REQUEST_ID})" in text
    assert "| one | memory\\.make | done | made |" in text
    assert "| two | memory\\.make | failed |  |" in text
    assert "| three | memory\\.make | not reached |  |" in text
    assert "two\\: No route to host\\." in text
    assert "Press **Retry** on this flow run" in text


def test_a_fulfilled_request_asks_for_nothing() -> None:
    reports = [
        StepReport("one", StepState.DONE, cached=True),
        StepReport("two", StepState.SKIPPED, message="skipped"),
    ]
    end = End("completed", "Completed", "The request is fulfilled.")
    text = summarise(plan("one", "two"), request("Ada"), reports, end, Settings())
    assert "| one | memory\\.make | done before |  |" in text
    assert "| two | memory\\.make | skipped |  |" in text
    assert "What to do next" not in text


def test_nobodys_text_becomes_markup() -> None:
    hostile = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) | `x`\n# heading"
    reports = [StepReport("one", StepState.FAILED, message=hostile)]
    text = summarise(plan("one"), request(hostile), reports, End("failed", "Failed", f"one: {hostile}"), Settings())
    assert "<img" not in text
    assert "](javascript" not in text
    assert "\n# heading" not in text


def test_a_run_that_takes_back_shows_what_it_took_back_and_no_retry() -> None:
    undoing = replace(request("Ada"), state=RequestState.UNDOING)
    back = [StepReport("one.undo.0", StepState.DONE, label="one.undo", outcome="changed")]
    end = End("failed", "Failed and undone", "It broke. What it did was taken back.")
    text = summarise(plan("one", "two"), undoing, back, end, Settings())
    assert "| one\\.undo | | done | |" in text
    assert "not reached" not in text
    assert "order anew" in text
    assert "Retry" not in text

"""Cancel and undo through Prefect: a run of its own takes back what was done, whatever is killed meanwhile."""

import os
import signal
import uuid

import pytest
from prefect.states import AwaitingRetry

from flows.lifecycle import Caller
from flows.records.rows import Person
from flows.records.states import RequestState
from prefect_estate import Estate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

OPERATOR = Caller("key", Person(id="ops"), frozenset({"admin"}))


def test_cancelling_a_running_request_stops_it_and_another_run_takes_back_what_was_done(estate: Estate) -> None:
    target = estate.target()
    target.heed_cancelling()
    target.close_gate("before", "second")
    request_id = estate.order(estate.publish(target))
    target.wait_for_arrival("before", "second")
    forward = estate.flow_run(request_id)
    estate.application.lifecycle.cancel(request_id, OPERATOR, "not needed")
    row = estate.wait_for(request_id, RequestState.CANCELLED)
    assert row.state_reason == "Cancelled by ops: not needed. What it did was taken back."
    assert (row.cancelled_by, row.dispatches) == ("ops", 2)
    assert target.effects() == []
    assert target.undone() == ["first.undo.0"]
    back = estate.wait_for_run(estate.flow_run(request_id).id, "CANCELLED")
    assert back.id != forward.id
    assert back.deployment_id == forward.deployment_id
    assert estate.task_states(back.id) == {"first.undo": "Completed"}
    assert estate.wait_for_run(forward.id, "CANCELLED").state is not None


def test_an_undo_whose_process_is_killed_half_way_is_finished_by_the_keeper(estate: Estate) -> None:
    target = estate.target()
    target.break_step("third")
    target.close_gate("after", "second.undo.0")
    request_id = estate.order(estate.publish(target))
    estate.wait_for(request_id, RequestState.ON_HOLD)
    estate.application.lifecycle.undo(request_id, OPERATOR, "give up")
    os.kill(target.wait_for_arrival("after", "second.undo.0"), signal.SIGKILL)
    target.open_gate("after", "second.undo.0")
    estate.wait_for(request_id, RequestState.FAILED)
    assert target.effects() == []
    assert target.undone() == ["second.undo.0", "second.undo.0", "first.undo.0"], "the same call was sent again"
    run = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    assert run.state is not None
    assert run.state.name == "Failed and undone"
    assert "The world is broken." in (run.state.message or "")


def test_a_failed_and_undone_request_cannot_be_retried_in_prefect(estate: Estate) -> None:
    target = estate.target()
    target.break_step("second")
    request_id = estate.order(estate.publish(target, ["first", "second"]))
    estate.wait_for(request_id, RequestState.ON_HOLD)
    forward = estate.flow_run(request_id)
    estate.application.lifecycle.undo(request_id, OPERATOR, "give up")
    estate.wait_for(request_id, RequestState.FAILED)
    back = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    target.mend_step("second")
    with estate.client() as client:
        for run in (forward, back):
            client.set_flow_run_state(uuid.UUID(str(run.id)), AwaitingRetry(), force=True)
    for run in (forward, back):
        estate.wait_for_log(run.id, "othing was done")
        estate.wait_for_run(run.id, "FAILED")
    assert estate.request(request_id).state is RequestState.FAILED
    assert target.calls() == ["first"]

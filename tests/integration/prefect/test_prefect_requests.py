"""A request runs on Prefect end to end; what an operator presses there continues it, and cannot go round us."""

import os
import signal
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prefect.states import AwaitingRetry, Completed

from flows.lifecycle import Caller
from flows.records.rows import Person
from flows.records.states import RequestState
from prefect_estate import Estate, is_running, wait_a_little_for_nothing
from waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SETTLE_SECONDS = 6.0
"""In which a second process would start and act, if it were let."""


def press_retry(estate: Estate, flow_run_id: str | uuid.UUID) -> None:
    """What the UI's Retry sends."""
    with estate.client() as client:
        client.set_flow_run_state(uuid.UUID(str(flow_run_id)), AwaitingRetry(), force=True)


def create_run(estate: Estate, model: str, request_id: str, job_variables: dict[str, Any] | None = None) -> uuid.UUID:
    """What the UI's Quick run sends."""
    with estate.client() as client:
        deployment = client.read_deployment_by_name(f"{model}/{model}")
        return client.create_flow_run_from_deployment(
            deployment.id, parameters={"request_id": request_id}, job_variables=job_variables
        ).id


def test_a_request_is_fulfilled_and_shown_step_by_step(estate: Estate) -> None:
    target = estate.target()
    plan = estate.publish(target)
    request_id = estate.order(plan)
    estate.wait_for(request_id, RequestState.FULFILLED)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "COMPLETED")
    assert target.effects() == ["first", "second", "third"]
    assert run.name == f"{plan.model} · {request_id[:8]} · Ada Lovelace"
    assert {"service:probing", "kind:resource", "team:probe-team"} <= set(run.tags)
    assert run.parameters == {"request_id": request_id}
    assert estate.task_states(run.id) == {"first": "Completed", "second": "Completed", "third": "Completed"}
    estate.wait_for_log(run.id, f"acting on {target.folder.name} for second")
    with estate.client() as client:
        artifact = client.request(
            "GET", "/artifacts/{key}/latest", path_params={"key": f"request-{request_id[:8]}"}
        ).json()
        deployment = client.read_deployment_by_name(f"{plan.model}/{plan.model}")
    assert f"/v1/requests/{request_id}" in artifact["data"]
    assert deployment.version == plan.digest[:12]
    assert deployment.entrypoint == f"flows.entry.{plan.model}"
    wait_until("the private folder is removed", lambda: not list((estate.settings.state / "runs").iterdir()))


def test_retry_in_prefect_continues_and_a_done_step_is_not_done_again(estate: Estate) -> None:
    target = estate.target()
    target.break_step("second")
    request_id = estate.order(estate.publish(target))
    estate.wait_for(request_id, RequestState.ON_HOLD)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    assert run.state is not None
    assert run.state.message == "second: The world is broken."
    estate.wait_for_log(run.id, "Finished in state Failed('second: The world is broken.')")
    assert "NoneType" not in estate.run_logs(run.id)
    target.mend_step("second")
    press_retry(estate, run.id)
    estate.wait_for(request_id, RequestState.FULFILLED)
    estate.wait_for_run(run.id, "COMPLETED")
    assert estate.task_states(run.id) == {"first": "Cached", "second": "Completed", "third": "Completed"}
    assert target.effects() == ["first", "second", "third"]
    assert target.calls() == ["first", "second", "third"]
    assert estate.request(request_id).flow_run_id == str(run.id)


def test_retry_over_the_api_does_what_retry_in_prefect_does(estate: Estate) -> None:
    target = estate.target()
    target.break_step("first")
    request_id = estate.order(estate.publish(target, ["first"]))
    estate.wait_for(request_id, RequestState.ON_HOLD)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    target.mend_step("first")
    operator = Caller("key", Person(id="ops"), frozenset({"admin"}))
    estate.application.lifecycle.retry(request_id, operator, "the world is mended")
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert estate.wait_for_run(run.id, "COMPLETED").id == run.id
    assert estate.request(request_id).flow_run_id == str(run.id)
    assert estate.request(request_id).dispatches == 1


def test_resuming_a_request_that_waits_for_a_decision_skips_nothing(estate: Estate) -> None:
    target = estate.target()
    target.break_step("first")
    request_id = estate.order(estate.publish(target, ["first"]))
    estate.wait_for(request_id, RequestState.ON_HOLD)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    target.mend_step("first")
    # Approvals come with a later issue; the row is set as they will set it.
    with estate.application.records.transaction() as tx:
        for state in (RequestState.IN_PROGRESS, RequestState.AWAITING_APPROVAL):
            tx.requests.move(request_id, state, actor="test", why="somebody must decide")
    press_retry(estate, run.id)
    suspended = estate.wait_for_run(run.id, "PAUSED")
    assert suspended.state is not None
    assert suspended.state.name == "Suspended"
    assert suspended.state.state_details.pause_timeout is None
    with estate.client() as client:
        client.resume_flow_run(run.id)
    estate.wait_for_run(run.id, "RUNNING", "PENDING", "SCHEDULED")
    again = estate.wait_for_run(run.id, "PAUSED")
    assert again.state is not None
    assert "somebody must decide" in (again.state.message or "")
    assert estate.request(request_id).state is RequestState.AWAITING_APPROVAL
    assert target.calls() == []


def test_a_quick_run_with_somebody_elses_request_is_refused_and_says_why(estate: Estate) -> None:
    target = estate.target()
    target.break_step("second")
    plan = estate.publish(target)
    request_id = estate.order(plan)
    estate.wait_for(request_id, RequestState.ON_HOLD)
    target.mend_step("second")
    refused = estate.wait_for_run(create_run(estate, plan.model, request_id), "FAILED", "CANCELLED")
    assert refused.state is not None
    assert refused.state.name == "Refused"
    assert "Orderly did not start this run" in (refused.state.message or "")
    estate.wait_for_log(refused.id, "Orderly did not start this run")
    assert estate.request(request_id).state is RequestState.ON_HOLD
    assert target.calls() == ["first"]


def test_commands_environments_and_folders_from_prefect_are_ignored_and_told(estate: Estate, tmp_path: Path) -> None:
    target = estate.target()
    target.break_step("first")
    plan = estate.publish(target, ["first"])
    request_id = estate.order(plan)
    estate.wait_for(request_id, RequestState.ON_HOLD)
    trace = tmp_path / "executed"
    hostile = tmp_path / "hostile"
    (hostile / "flows").mkdir(parents=True)
    (hostile / "flows" / "__init__.py").write_text(f"open({str(trace)!r}, 'w').write('imported')\n")
    run_id = create_run(
        estate,
        plan.model,
        request_id,
        job_variables={
            "command": f"/bin/sh -c 'touch {trace}'",
            "env": {"PYTHONPATH": str(hostile), "PREFECT__FLOW_ENTRYPOINT": "os.getcwd"},
            "working_dir": str(hostile),
        },
    )
    refused = estate.wait_for_run(run_id, "FAILED", "CANCELLED")
    assert refused.state is not None
    assert refused.state.name == "Refused"
    assert not trace.exists()
    estate.wait_for_log(run_id, "Ignored: the run's job variable 'command', the run's job variable 'env'")


def test_a_deployment_altered_in_prefect_runs_nothing_of_what_was_put_there(own_estate: Estate, tmp_path: Path) -> None:
    estate = own_estate
    estate.start("keeper")
    target = estate.target()
    plan = estate.publish(target, ["first"])
    request_id = estate.order(plan)
    trace = tmp_path / "executed"
    altered = estate.deployment_of(estate.flow_run(request_id))
    estate.stop("keeper")  # it would mend the deployment
    with estate.client() as client:
        client.request(
            "PATCH",
            "/deployments/{id}",
            path_params={"id": altered},
            json={
                "entrypoint": "os.getcwd",
                "job_variables": {"command": f"touch {trace}"},
                "pull_steps": [
                    {"prefect.deployments.steps.run_shell_script": {"script": f"touch {trace}", "id": "pull"}}
                ],
            },
        )
    estate.start("worker")
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert not trace.exists()
    estate.wait_for_log(estate.flow_run(request_id).id, "Ignored: the deployment's job variable 'command'")
    estate.start("keeper")
    estate.wait_for(estate.order(plan), RequestState.FULFILLED)
    with estate.client() as client:
        mended = client.read_deployment(altered)
    assert (mended.entrypoint, mended.pull_steps) == (f"flows.entry.{plan.model}", [])


def test_a_run_created_already_completed_does_not_keep_the_request_from_running(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper")
    target = estate.target()
    request_id = estate.order(estate.publish(target, ["first"]))
    dispatched = estate.flow_run(request_id)
    with estate.client() as client:
        client.create_flow_run_from_deployment(
            estate.deployment_of(dispatched),
            parameters={"request_id": request_id},
            state=Completed(),
            idempotency_key=f"orderly:{request_id}",
        )
        client.set_flow_run_state(dispatched.id, Completed(), force=True)
    estate.start("worker")
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert target.effects() == ["first"]
    assert estate.request(request_id).dispatches == 2


def test_retry_forced_while_the_first_process_is_frozen_doubles_nothing(estate: Estate) -> None:
    target = estate.target()
    target.close_gate("after", "first")
    request_id = estate.order(estate.publish(target, ["first", "second"]))
    frozen = target.wait_for_arrival("after", "first")
    os.kill(frozen, signal.SIGSTOP)
    run = estate.flow_run(request_id)
    press_retry(estate, run.id)
    target.open_gate("after", "first")
    # Its claim has to run out before the second process takes over.
    estate.wait_for(request_id, RequestState.FULFILLED)
    with suppress(ProcessLookupError):
        os.kill(frozen, signal.SIGCONT)
    estate.wait_for_run(run.id, "COMPLETED")
    wait_a_little_for_nothing(SETTLE_SECONDS)
    assert target.effects() == ["first", "second"]
    assert estate.request(request_id).state is RequestState.FULFILLED
    assert estate.wait_for_run(run.id, "COMPLETED").id == run.id


def test_retry_forced_while_the_first_process_works_waits_for_it(estate: Estate) -> None:
    target = estate.target()
    target.close_gate("after", "first")
    request_id = estate.order(estate.publish(target, ["first", "second"]))
    target.wait_for_arrival("after", "first")
    run = estate.flow_run(request_id)
    press_retry(estate, run.id)
    wait_a_little_for_nothing(SETTLE_SECONDS)
    target.open_gate("after", "first")
    estate.wait_for(request_id, RequestState.FULFILLED)
    estate.wait_for_run(run.id, "COMPLETED")
    assert target.calls() == ["first", "second"]


def test_a_model_taken_away_in_flight_leaves_the_request_its_plan(estate: Estate) -> None:
    target = estate.target()
    target.break_step("second")
    plan = estate.publish(target)
    request_id = estate.order(plan)
    estate.wait_for(request_id, RequestState.ON_HOLD)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    estate.application.records.run(lambda tx: tx.publications.retire(plan.model))
    target.mend_step("second")
    press_retry(estate, run.id)
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert target.effects() == ["first", "second", "third"]


def test_a_model_edited_in_flight_leaves_the_request_its_plan(estate: Estate) -> None:
    target, elsewhere = estate.target(), estate.target()
    target.break_step("second")
    plan = estate.publish(target)
    request_id = estate.order(plan)
    estate.wait_for(request_id, RequestState.ON_HOLD)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    estate.publish(elsewhere, ["other"], model=plan.model)
    target.mend_step("second")
    press_retry(estate, run.id)
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert target.effects() == ["first", "second", "third"]
    assert elsewhere.calls() == []


def test_a_run_cancelled_in_prefect_puts_the_request_on_hold_and_says_who(estate: Estate) -> None:
    target = estate.target()
    target.close_gate("before", "first")
    request_id = estate.order(estate.publish(target, ["first"]))
    working = target.wait_for_arrival("before", "first")
    run = estate.flow_run(request_id)
    with estate.client() as client:
        client.request(
            "POST",
            "/flow_runs/{id}/set_state",
            path_params={"id": run.id},
            json={"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": False},
        )
    row = estate.wait_for(request_id, RequestState.ON_HOLD)
    assert "cancelled in Prefect" in row.state_reason
    events = estate.application.records.read(lambda tx: tx.audit.of(request_id))
    assert events[-1].actor == "prefect-ui"
    assert not is_running(working)
    # On hold is shown as Failed, so that Retry is there.
    estate.wait_for_run(run.id, "FAILED")

"""What Prefect loses, our records bring back: runs, deployments, processes, the server itself."""

from pathlib import Path

import pytest

from flows.dispatch import CRASHED, DISPATCHED_AGAIN
from flows.lifecycle import Caller
from flows.records.rows import Person
from flows.records.states import RequestState
from prefect_estate import Estate, PrefectServer, is_running, make_estate
from waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_deleted_deployment_is_made_again_and_the_request_runs(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper")
    target = estate.target()
    plan = estate.publish(target, ["first"])
    request_id = estate.order(plan)
    run = estate.flow_run(request_id)
    with estate.client() as client:
        client.delete_deployment(estate.deployment_of(run))
    estate.start("worker")
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert estate.flow_run(request_id).id != run.id
    assert target.effects() == ["first"]


def test_a_retry_over_the_api_survives_the_loss_of_run_and_deployment(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper", "worker")
    target = estate.target()
    target.break_step("second")
    request_id = estate.order(estate.publish(target))
    estate.wait_for(request_id, RequestState.ON_HOLD)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")
    with estate.client() as client:
        client.delete_deployment(estate.deployment_of(run))
        client.delete_flow_run(run.id)
    target.mend_step("second")
    estate.application.lifecycle.retry(request_id, Caller("key", Person(id="ops"), frozenset({"admin"})), "mended")
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert target.effects() == ["first", "second", "third"]
    assert target.calls() == ["first", "second", "third"]


def test_a_deleted_run_is_started_again(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper")
    target = estate.target()
    request_id = estate.order(estate.publish(target, ["first"]))
    run = estate.flow_run(request_id)
    with estate.client() as client:
        client.delete_flow_run(run.id)
    estate.start("worker")
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert target.effects() == ["first"]


def test_a_worker_killed_at_work_loses_nothing(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper", "worker")
    target = estate.target()
    target.close_gate("after", "first")
    request_id = estate.order(estate.publish(target, ["first", "second"]))
    working = target.wait_for_arrival("after", "first")
    estate.kill("worker")
    wait_until("the run's process ends with its worker", lambda: not is_running(working))
    target.open_gate("after", "first")
    estate.start("worker")
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert target.effects() == ["first", "second"]
    wait_until("no private folder is left", lambda: not list((estate.settings.state / "runs").iterdir()))


def test_a_process_that_dies_each_time_ends_on_hold_with_the_reason(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper", "worker")
    target = estate.target()
    target.make_fatal("second")
    request_id = estate.order(estate.publish(target))
    row = estate.wait_for(request_id, RequestState.ON_HOLD, deadline=200)
    assert "ended 5 times without getting on by a step" in row.state_reason
    assert target.effects() == ["first"]
    estate.wait_for_run(estate.flow_run(request_id).id, "FAILED")


def events_of(estate: Estate, request_id: str) -> list[str]:
    return [event.event for event in estate.application.records.read(lambda tx: tx.audit.of(request_id))]


def test_two_keepers_do_no_harm(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper")
    first = estate.parts.pop("keeper")
    estate.parts["first keeper"] = first
    estate.start("keeper", "worker")
    target = estate.target()
    plan = estate.publish(target, ["first"])
    requests = [estate.order(plan) for _ in range(4)]
    for request_id in requests:
        row = estate.wait_for(request_id, RequestState.FULFILLED)
        events = events_of(estate, request_id)
        # One dispatch, and one more for each run that Prefect, under load, lost or let crash: none from two keepers.
        assert row.dispatches == 1 + events.count(DISPATCHED_AGAIN) + events.count(CRASHED), estate.logs()
    assert target.effects() == ["first"] * 4


def test_orders_taken_while_prefect_is_down_run_when_it_is_back(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = PrefectServer(tmp_path_factory.mktemp("stopped-prefect"))
    server.start()
    estate = make_estate(tmp_path, server)
    try:
        estate.start("keeper", "worker")
        target = estate.target()
        plan = estate.publish(target, ["first"])
        estate.wait_for(estate.order(plan), RequestState.FULFILLED)
        server.stop()
        request_id = estate.order(plan)
        wait_until(
            "the dispatch was tried and deferred",
            lambda: "trying again" in (estate.folder / "keeper.log").read_text(),
            deadline=30,
        )
        assert estate.request(request_id).state is RequestState.SCHEDULED
        server.start()
        estate.wait_for(request_id, RequestState.FULFILLED)
        assert target.effects() == ["first", "first"]
    finally:
        estate.stop()
        estate.application.close()
        server.stop()


def test_a_prefect_that_lost_its_database_gets_everything_back(tmp_path: Path) -> None:
    server = PrefectServer(tmp_path / "prefect")
    server.start()
    estate = make_estate(tmp_path / "estate", server)
    try:
        estate.start("keeper")
        target = estate.target()
        request_id = estate.order(estate.publish(target, ["first"]))
        estate.flow_run(request_id)
        server.stop()
        for file in server.home.glob("prefect.db*"):
            file.unlink()
        server.start()
        estate.start("worker")
        estate.wait_for(request_id, RequestState.FULFILLED)
        assert target.effects() == ["first"]
    finally:
        estate.stop()
        estate.application.close()
        server.stop()

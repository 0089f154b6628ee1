"""Nothing runs for ever: steps have a timeout though they say none, and a request that runs on and on goes on hold."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from flows.records.states import RequestState
from flows.run_limit import hold_what_runs_too_long
from request_models.actions import ActionCall, ActionFailed, ActionResult, ErrorClass, Outcome
from staging import CALLER, House, plan_of, step
from waiting import wait_until

DAY = timedelta(days=1)


def test_a_step_that_says_no_timeout_has_that_of_the_settings(house: House) -> None:
    action = house.stage.action("work")
    house.run(house.order(plan_of(step("work"))))
    house.run(house.order(plan_of(step("work", timeout_seconds=5.0))))
    assert [call.timeout_seconds for call in action.calls] == [house.settings.step_timeout_seconds, 5.0]


def test_a_request_that_runs_for_longer_than_a_day_goes_on_hold_and_what_it_calls_is_told_to_stop(house: House) -> None:
    began = threading.Event()

    def behave(call: ActionCall) -> ActionResult:
        if len(house.stage.actions["stage.work"].calls) > 1:
            return ActionResult(Outcome.MADE, {})
        began.set()
        wait_until("it is told to stop", call.cancelled, 30)
        raise ActionFailed("stopped", error_class=ErrorClass.TRANSIENT, code="stopped")

    house.stage.action("work", behave=behave)
    request = house.order(plan_of(step("work")))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(house.run, request)
        assert began.wait(timeout=30)
        hold_what_runs_too_long(house.records, house.clock(), DAY)
        assert house.now(request).state is RequestState.IN_PROGRESS
        hold_what_runs_too_long(house.records, house.clock() + DAY, DAY)
        row = house.now(request)
        running.result(timeout=60)
    assert row.state is RequestState.ON_HOLD
    assert "It has run for longer than 1 d at a stretch" in row.state_reason
    assert "keeper.longest_run_seconds" in row.state_reason
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    assert claim.released
    house.lifecycle.retry(request.id, CALLER, "it was slow")
    assert house.run(request) == ["work:done"]


def test_a_request_that_waits_or_that_nobody_runs_is_left_alone(house: House) -> None:
    house.stage.action("work")
    request = house.order(plan_of(step("work")))
    hold_what_runs_too_long(house.records, house.clock() + DAY, DAY)
    assert house.now(request).state is RequestState.SCHEDULED
    house.run(request)
    hold_what_runs_too_long(house.records, house.clock() + DAY, DAY)
    assert house.now(request).state is RequestState.FULFILLED

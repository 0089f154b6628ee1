"""Cancelling a request, in every state."""

import threading

import pytest

from flows.errors import WrongState
from flows.execution import End
from flows.records.rows import RequestRow
from flows.records.states import RequestState
from flows.walk import StepReport, Unit
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    ErrorClass,
)
from request_models.plan import (
    Retry,
)
from staging import CALLER, House, plan_of, run_of, step
from undoing_world import (
    World,
    cancel,
    held,
    making,
    take_back,
)


def test_a_scheduled_request_is_cancelled_at_once_and_never_runs(house: House) -> None:
    world = World(house)
    request = house.order(plan_of(making("one")))
    assert cancel(house, request).state is RequestState.CANCELLED
    entry = house.execution.enter(request.id, run_of(request))
    assert isinstance(entry, End)
    assert entry.kind == "cancelled"
    assert world.things == []


def test_a_held_request_that_did_nothing_is_cancelled_at_once(house: House) -> None:
    request = held(house)
    row = cancel(house, request)
    assert row.state is RequestState.CANCELLED
    assert row.state_reason == "Cancelled by anna: not needed. Nothing had been done."
    moves = [event.to_state for event in house.records.read(lambda tx: tx.audit.of(request.id))]
    assert moves[-2:] == [RequestState.UNDOING, RequestState.CANCELLED]


def test_cancelling_stops_what_runs_and_takes_back_what_was_done(house: House) -> None:
    world = World(house)
    started, stopped = threading.Event(), threading.Event()

    def slow(call: ActionCall) -> ActionResult:
        started.set()
        while not call.cancelled():
            if stopped.wait(0.01):
                raise AssertionError("it was never told to stop")
        raise ActionFailed("stopped", error_class=ErrorClass.TRANSIENT, code="Cancelled")

    house.stage.action("slow", behave=slow)
    request = house.order(plan_of(making("one"), step("slow"), making("never")))
    ran: list[str] = []
    runner = threading.Thread(target=lambda: ran.extend(house.run(request)))
    runner.start()
    assert started.wait(20)
    assert cancel(house, request).state is RequestState.UNDOING
    runner.join(20)
    stopped.set()
    assert not runner.is_alive()
    assert ran == ["one:done", "slow:failed"]
    assert house.now(request).state is RequestState.UNDOING
    assert take_back(house, request) == ["one.undo:done"]
    assert world.things == []
    assert house.now(request).state is RequestState.CANCELLED


def test_a_run_that_lost_its_request_to_a_cancel_does_nothing_more(house: House) -> None:
    World(house)
    request = held(house, making("one"))
    cancel(house, request)
    refused = house.execution.enter(request.id, run_of(request))
    assert isinstance(refused, End)
    assert "is taken back, in a run of its own" in refused.message
    assert house.now(request).state is RequestState.UNDOING


def test_cancelling_twice_at_once_is_one_cancel(house: House) -> None:
    World(house)
    request = held(house, making("one"))
    together = threading.Barrier(2, timeout=20)
    answers: list[RequestRow] = []

    def press(why: str) -> None:
        together.wait()
        answers.append(cancel(house, request, why))

    presses = [threading.Thread(target=press, args=(why,)) for why in ("mine", "yours")]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join(20)
    assert [row.state for row in answers] == [RequestState.UNDOING] * 2
    assert len({row.state_reason for row in answers}) == 1
    moves = [event.to_state for event in house.records.read(lambda tx: tx.audit.of(request.id))]
    assert moves.count(RequestState.UNDOING) == 1
    take_back(house, request)
    assert cancel(house, request).state is RequestState.CANCELLED


def test_what_has_ended_is_not_cancelled_and_what_runs_is_not_undone(house: House) -> None:
    World(house)
    request = house.order(plan_of(making("one")))
    with pytest.raises(WrongState, match="on_hold or fulfilled"):
        house.lifecycle.undo(request.id, CALLER, "at once")
    house.run(request)
    with pytest.raises(WrongState, match="cancelling it is possible only"):
        cancel(house, request)
    house.lifecycle.undo(request.id, CALLER, "after all")
    with pytest.raises(WrongState, match="being taken back"):
        house.lifecycle.undo(request.id, CALLER, "again")


def test_cancelling_what_is_undone_as_failed_waits_for_it_to_end_or_to_be_held(house: House) -> None:
    world = World(house)
    world.broken.add("take one")
    request = held(house, making("one"))
    house.lifecycle.undo(request.id, CALLER, "give up")
    with pytest.raises(WrongState):
        cancel(house, request)
    take_back(house, request)
    assert house.now(request).state is RequestState.ON_HOLD
    world.broken.clear()
    cancel(house, request)
    assert house.run(house.now(request)) == ["one.undo:done"]
    assert house.now(request).state is RequestState.CANCELLED


def test_a_waiting_request_is_cancelled_and_what_it_waits_for_is_not_done(house: House) -> None:
    world = World(house)
    busy = ActionFailed("busy", error_class=ErrorClass.TRANSIENT, code="Busy")

    def later(call: ActionCall) -> ActionResult:
        raise busy

    house.stage.action("later", behave=later)
    request = house.order(plan_of(making("one"), step("later", retry=Retry(attempts=3, delay_seconds=300))))
    house.run(request)
    assert house.now(request).state is RequestState.WAITING
    assert cancel(house, request).wake_at is None
    assert take_back(house, request) == ["one.undo:done"]
    assert world.things == []
    assert house.now(request).state is RequestState.CANCELLED


def test_a_request_that_somebody_holds_while_it_runs_stops_and_stays_on_hold(house: House) -> None:
    World(house)
    request = house.order(plan_of(making("one"), making("two")))
    with house.enter(request) as session:

        def run(unit: Unit) -> StepReport:
            report = session.run_step(unit, lambda line: None)
            if unit.step.path == "one":
                house.lifecycle.hold(request.id, actor="olga", why="wait for the audit")
            return report

        end = session.finish(session.walk(run))
    assert isinstance(end, End)
    assert "wait for the audit" in end.message
    assert house.now(request).state is RequestState.ON_HOLD
    assert house.run(request) == ["one:done*", "two:done"]

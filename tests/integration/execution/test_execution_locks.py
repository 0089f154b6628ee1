"""Locks with the real engine: one request at a time, before dispatch, through holds and kills, to every end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.memory import Killed
from flows.corrections import Correction
from flows.errors import InvalidInputs, NotPossible
from flows.execution import Suspend
from flows.interventions import Act
from flows.lifecycle import Order
from flows.lock_queue import LOCKS_LET_GO, WAITS_FOR_LOCKS, let_go_after_hold, may_be_dispatched, say_who_waits
from flows.outbox_kinds import DISPATCH
from flows.records.locks import LockRow
from flows.records.rows import RequestRow
from flows.records.states import RequestState, TouchKind
from flows.touching import Remark
from flows.waking import deliver_wakes
from request_models.actions import ActionCall, ActionResult, Outcome
from request_models.json_values import JsonValue
from request_models.plan import Literal, Plan, Text
from staging import CALLER, House, expression, plan_of, run_of, step
from undoing_world import World, cancel, fails, let_claim_end, making, take_back

NAME: dict[str, JsonValue] = {"name": {"type": "string"}}
DAY = timedelta(days=1)


def locking(*steps: object, lock: str = "bucket:x", **more: object) -> Plan:
    return plan_of(*(steps or (step("work"),)), locks=(Literal(lock),), **more)  # type: ignore[arg-type]  # tests pass fields by name


def dispatch(house: House, request: RequestRow) -> bool:
    """As the dispatcher does with a message that is due; whether the request would get its flow run."""

    def prepare(tx: object) -> bool:
        row = tx.requests.get_for_update(request.id)  # type: ignore[attr-defined]
        return row is not None and may_be_dispatched(tx, row)  # type: ignore[arg-type]

    return house.records.run(prepare)


def locks(house: House, request: RequestRow) -> list[LockRow]:
    return house.records.read(lambda tx: tx.locks.of(request.id))


def holds(house: House, request: RequestRow) -> bool:
    return all(row.held_since is not None for row in locks(house, request))


def due(house: House, kind: str) -> list[str | None]:
    return [one.request_id for one in house.records.read(lambda tx: tx.outbox.due(kind, house.clock(), 100))]


def events(house: House, request: RequestRow) -> list[str]:
    return [one.event for one in house.records.read(lambda tx: tx.audit.of(request.id))]


def nothing_stands(house: House) -> bool:
    return house.records.read(lambda tx: tx.locks.standing()) == []


def test_the_second_stays_scheduled_and_says_whom_it_waits_for_until_the_first_ends(house: House) -> None:
    house.stage.action("work")
    first, second = house.order(locking()), house.order(locking())
    assert dispatch(house, first)
    assert not dispatch(house, second)
    waiting = house.now(second)
    assert waiting.state is RequestState.SCHEDULED
    assert f"it waits for lock bucket:x, held by request {first.id} since " in waiting.state_reason
    assert WAITS_FOR_LOCKS in events(house, second)
    assert house.run(first) == ["work:done"]
    assert house.now(first).state is RequestState.FULFILLED
    assert holds(house, second)
    assert due(house, DISPATCH).count(second.id) == 2, "the order's, which went by, and the one for its turn"
    assert dispatch(house, second)
    house.run(second)
    assert nothing_stands(house)


def test_requests_that_name_other_things_do_not_wait(house: House) -> None:
    house.stage.action("work")
    plan = replace(locking(inputs=NAME), locks=(Text("bucket:{{ inputs.name }}"),))
    assert all(dispatch(house, house.order(plan, name=name)) for name in ("x", "y"))
    assert not dispatch(house, house.order(plan, name="x"))


def test_a_lock_without_a_name_refuses_the_order(house: House) -> None:
    house.publish(replace(locking(inputs=NAME), locks=(expression("inputs.name"),)))
    for name, why in (("", "not empty"), ("n" * 201, "200 characters")):
        with pytest.raises(InvalidInputs) as refused:
            house.lifecycle.submit(Order("staged", {"name": name}), CALLER)
        assert why in refused.value.problems[0].message


def test_whatever_is_pressed_in_prefect_none_runs_without_its_locks(house: House) -> None:
    house.stage.action("work")
    first, second = house.order(locking()), house.order(locking())
    assert dispatch(house, first)
    entry = house.execution.enter(second.id, run_of(second))
    assert isinstance(entry, Suspend)
    assert "it waits for lock bucket:x" in entry.message
    assert house.now(second).state is RequestState.WAITING
    assert house.stage.actions["stage.work"].calls == []
    house.run(first)
    deliver_wakes(house.records, house.clock())
    assert house.now(second).state is RequestState.IN_PROGRESS
    assert house.run(second) == ["work:done"]


@pytest.mark.parametrize("after", ["before", "half-way"])
def test_a_kill_keeps_the_lock_and_whoever_goes_on_has_it_still(house: House, after: str) -> None:
    def behave(call: ActionCall) -> ActionResult:
        if len(house.stage.actions["stage.work"].calls) == 1:
            raise Killed
        return ActionResult(Outcome.MADE, {})

    house.stage.action("work", behave=behave)
    first, second = house.order(locking()), house.order(locking())
    assert dispatch(house, first)
    if after == "half-way":
        with pytest.raises(Killed):
            house.run(first)
        let_claim_end(house, first)
    assert not dispatch(house, second)
    assert holds(house, first)


def test_a_request_on_hold_keeps_its_locks_for_a_day_and_then_lets_them_go_and_says_so(house: House) -> None:
    house.stage.action("fail", behave=fails)
    house.stage.action("work")
    first, second = house.order(locking(step("fail"))), house.order(locking())
    house.run(first)
    assert house.now(first).state is RequestState.ON_HOLD
    assert not dispatch(house, second)
    house.clock.advance(hours=23)
    let_go_after_hold(house.records, house.clock(), DAY)
    assert not holds(house, second)
    house.clock.advance(hours=2)
    let_go_after_hold(house.records, house.clock(), DAY)
    assert holds(house, second)
    assert "Its locks (bucket:x) were let go after 1 d on hold; a retry takes them again." in (
        house.now(first).state_reason
    )
    assert events(house, first).count(LOCKS_LET_GO) == 1
    let_go_after_hold(house.records, house.clock(), DAY)
    assert events(house, first).count(LOCKS_LET_GO) == 1

    house.stage.action("fail")
    house.lifecycle.retry(first.id, CALLER, "the cause is mended")
    entry = house.execution.enter(first.id, run_of(house.now(first)))
    assert isinstance(entry, Suspend)
    assert f"held by request {second.id}" in house.now(first).state_reason
    house.run(second)
    deliver_wakes(house.records, house.clock())
    assert house.run(first) == ["fail:done"]
    assert house.now(first).state is RequestState.FULFILLED


def test_letting_go_takes_the_claim_so_that_no_old_process_can_write(house: House) -> None:
    house.stage.action("fail", behave=fails)
    first = house.order(locking(step("fail")))
    house.run(first)
    before = house.records.read(lambda tx: tx.claims.get(first.id))
    house.clock.advance(days=2)
    let_go_after_hold(house.records, house.clock(), DAY)
    after = house.records.read(lambda tx: tx.claims.get(first.id))
    assert before is not None
    assert after is not None
    assert after.epoch == before.epoch + 1
    assert after.released


def test_an_operator_frees_the_locks_of_a_hold_at_once(house: House) -> None:
    house.stage.action("fail", behave=fails)
    first, second = house.order(locking(step("fail"))), house.order(locking())
    house.run(first)
    assert not dispatch(house, second)
    act = Act(first.id, CALLER, Remark("the bucket is needed"))
    row = house.interventions.let_go_of_locks(act)
    assert "Its locks (bucket:x) were let go: the bucket is needed; a retry takes them again." in row.state_reason
    assert row.state is RequestState.ON_HOLD
    assert holds(house, second)
    (touch,) = house.records.read(lambda tx: tx.touches.of(first.id))
    assert (touch.kind, touch.actor) == (TouchKind.CLEAN_UP, "anna")
    with pytest.raises(NotPossible, match="holds no locks"):
        house.interventions.let_go_of_locks(act)


def test_locks_are_kept_while_what_was_done_is_undone_and_free_after_that(house: House) -> None:
    World(house)
    house.stage.action("fail", behave=fails)
    first = house.order(locking(making("one"), step("fail")))
    second = house.order(locking())
    house.run(first)
    cancel(house, first)
    assert house.now(first).state is RequestState.UNDOING
    assert holds(house, first)
    assert not dispatch(house, second)
    assert dispatch(house, first)
    assert take_back(house, first) == ["one.undo:done"]
    assert house.now(first).state is RequestState.CANCELLED
    assert holds(house, second)


def test_a_fulfilled_request_is_undone_under_its_locks_and_waits_for_them(house: House) -> None:
    World(house)
    house.stage.action("work")
    first, second = house.order(locking(making("one"))), house.order(locking())
    house.run(first)
    assert dispatch(house, second)
    house.lifecycle.undo(first.id, CALLER, "not needed")
    assert not dispatch(house, first)
    assert house.now(first).state is RequestState.UNDOING
    house.run(second)
    assert holds(house, first)
    assert first.id in due(house, DISPATCH)
    assert dispatch(house, first)
    assert take_back(house, first) == ["one.undo:done"]
    assert nothing_stands(house)


@pytest.mark.parametrize("when", ["waiting", "holding"])
def test_a_request_that_is_cancelled_before_it_ran_leaves_the_queue(house: House, when: str) -> None:
    first, second, third = (house.order(locking()) for _ in range(3))
    assert [dispatch(house, one) for one in (first, second, third)] == [True, False, False]
    gone, next_one = (second, third) if when == "waiting" else (first, second)
    cancel(house, gone)
    assert house.now(gone).state is RequestState.CANCELLED
    if when == "waiting":
        house.stage.action("work")
        house.run(first)
    assert holds(house, next_one)


def test_what_it_waits_for_is_said_anew_when_it_changes(house: House) -> None:
    first, second, third = (house.order(locking()) for _ in range(3))
    assert [dispatch(house, one) for one in (first, second, third)] == [True, False, False]
    assert f"held by request {first.id}" in house.now(third).state_reason
    cancel(house, first)
    say_who_waits(house.records)
    assert f"lock bucket:x, held by request {second.id} since" in house.now(third).state_reason


def test_corrected_inputs_ask_for_the_locks_they_name(house: House) -> None:
    house.stage.action("fail", behave=fails)
    plan = replace(locking(step("fail"), inputs=NAME), locks=(expression("inputs.name"),))
    first, second = house.order(plan, name="x"), house.order(plan, name="x")
    house.run(first)
    assert not dispatch(house, second)
    house.corrections.fix(Act(first.id, CALLER, Remark("it was y")), Correction({"name": "y"}))
    assert holds(house, second)
    assert [row.name for row in locks(house, first)] == ["y"]
    house.stage.action("fail")
    house.run(first)
    assert house.now(first).state is RequestState.FULFILLED

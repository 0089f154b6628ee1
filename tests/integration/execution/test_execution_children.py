"""Cancelling and undoing a request reaches what it ordered, waits for it without a worker, and names what it left."""

from dataclasses import replace

import pytest

from connectors.memory import Killed
from flows.execution import End, Suspend
from flows.outbox_kinds import RETRY
from flows.records.rows import RequestRow
from flows.records.states import EffectState, RequestState
from flows.waking import deliver_wakes
from ordering import child_plan, children, ordering, with_run
from request_models.plan import Group, Literal, OnFailure, Parallel, Plan, Undo
from staging import CALLER, House, plan_of, run_of, step
from undoing_world import World, cancel, fails, let_claim_end, making, states_of, take_back, undo_of


def woken(house: House, parent: RequestRow) -> None:
    """The keeper, and what it has told the flow run of the parent."""
    deliver_wakes(house.records, house.clock())
    due = house.records.read(lambda tx: tx.outbox.due(RETRY, house.clock(), 99))
    assert parent.id in [one.request_id for one in due]


def parked(house: House, request: RequestRow) -> None:
    """Its flow run enters, and sleeps until it has its locks."""
    assert isinstance(house.execution.enter(request.id, run_of(request)), Suspend)
    assert house.now(request).state is RequestState.WAITING


def ordered(house: House, plan: Plan, *steps: object) -> tuple[RequestRow, RequestRow]:
    """A request that waits for what it ordered, and that."""
    house.publish(plan)
    parent = house.order(plan_of(*(steps or (ordering(),))))  # type: ignore[arg-type]  # blocks
    house.run(parent)
    (child,) = children(house, parent)
    return parent, with_run(house, child)


def test_cancelling_a_request_cancels_what_it_ordered_and_that_has_not_run(house: House) -> None:
    parent, child = ordered(house, child_plan(making("one")))
    cancel(house, parent, "wrong project")
    assert take_back(house, parent) == []
    row = house.now(child)
    assert row.state is RequestState.CANCELLED
    assert row.cancelled_by == "anna"
    assert (
        f"request {parent.id}, which ordered it, is taken back (Cancelled by anna: wrong project)" in row.state_reason
    )
    parent_row = house.now(parent)
    assert parent_row.state is RequestState.CANCELLED
    assert "What it did was taken back." in parent_row.state_reason
    assert states_of(house, parent) == {"order": "undone"}


def test_cancelling_a_request_takes_back_what_a_running_child_did_and_waits_for_it(house: House) -> None:
    world = World(house)
    house.stage.action("fail", behave=fails)
    parent, child = ordered(house, child_plan(making("one"), step("fail")), making("before"), ordering())
    house.run(child)
    assert world.things == ["before", "one"]
    cancel(house, parent)
    assert take_back(house, parent) == []
    assert house.now(child).state is RequestState.UNDOING
    waiting = house.now(parent)
    assert (waiting.state, world.things) == (RequestState.UNDOING, ["before", "one"]), "one after the other"
    claim = house.records.read(lambda tx: tx.claims.get(parent.id))
    assert claim is not None
    assert claim.released, "no worker is held"
    assert take_back(house, child) == ["one.undo:done"]
    woken(house, parent)
    assert house.run(house.now(parent)) == ["before.undo:done"]
    assert world.things == []
    assert house.now(parent).state is RequestState.CANCELLED


def test_undoing_a_fulfilled_request_undoes_what_it_ordered(house: House) -> None:
    world = World(house)
    parent, child = ordered(house, child_plan(making("one")))
    house.run(child)
    deliver_wakes(house.records, house.clock())
    house.run(parent)
    assert house.now(parent).state is RequestState.FULFILLED
    house.lifecycle.undo(parent.id, CALLER, "not needed")
    assert take_back(house, parent) == []
    assert house.now(child).state is RequestState.UNDOING
    take_back(house, child)
    assert house.now(child).state is RequestState.CANCELLED
    woken(house, parent)
    house.run(house.now(parent))
    assert world.things == []
    assert house.now(parent).state is RequestState.CANCELLED


def test_what_a_child_left_over_is_named_by_its_parent(house: House) -> None:
    World(house)
    kept = making("kept", Undo(none="It is mailed."))
    parent, child = ordered(house, child_plan(kept), making("before"), ordering(), making("after"))
    house.run(child)
    deliver_wakes(house.records, house.clock())
    house.run(parent)
    house.lifecycle.undo(parent.id, CALLER, "not needed")
    assert take_back(house, parent) == ["after.undo:done"]
    take_back(house, child)
    woken(house, parent)
    house.run(house.now(parent))
    row = house.now(parent)
    assert row.state is RequestState.CANCELLED
    assert f"Left over: kept of request {child.id} (child) (stage.make, made): It is mailed." in row.state_reason
    assert [one.path for one in undo_of(house, parent).left_over] == ["order"]


def test_a_child_whose_undo_is_on_hold_is_waited_for_until_a_person_settled_it(house: House) -> None:
    world = World(house)
    parent, child = ordered(house, child_plan(making("one")))
    house.run(child)
    world.broken.add("take one")
    cancel(house, parent)
    take_back(house, parent)
    take_back(house, child)
    assert house.now(child).state is RequestState.ON_HOLD
    house.run(house.now(parent))
    assert house.now(parent).state is RequestState.UNDOING
    house.lifecycle.undo(child.id, CALLER, "it may stay", leaves=True)
    house.run(house.now(child))
    assert house.now(child).state is RequestState.CANCELLED
    woken(house, parent)
    house.run(house.now(parent))
    assert house.now(parent).state is RequestState.CANCELLED
    assert f"one of request {child.id} (child)" in house.now(parent).state_reason


def test_the_undo_of_a_block_takes_back_what_was_ordered_in_it(house: House) -> None:
    world = World(house)
    house.stage.action("fail", behave=fails)
    block = Group(blocks=(ordering(), step("fail")), path="both", on_failure=OnFailure.UNDO)
    parent, child = ordered(house, child_plan(making("one")), block)
    house.run(child)
    deliver_wakes(house.records, house.clock())
    assert house.run(parent) == ["order:done", "fail:failed"]
    assert house.now(parent).state is RequestState.WAITING
    take_back(house, child)
    deliver_wakes(house.records, house.clock())
    house.run(parent)
    assert world.things == []
    row = house.now(parent)
    assert row.state is RequestState.ON_HOLD
    assert "What it did was taken back" in row.state_reason


def test_a_child_that_runs_beside_other_work_is_stopped_before_anything_is_taken_back(house: House) -> None:
    world = World(house)
    parent, child = ordered(house, child_plan(making("one")), Parallel(branches=(ordering(), making("beside"))))
    assert world.things == ["beside"]
    cancel(house, parent)
    world.broken.add("take beside")
    take_back(house, parent)
    assert house.now(child).state is RequestState.CANCELLED


def test_an_order_that_is_not_to_be_undone_stays(house: House) -> None:
    world = World(house)
    step_ = replace(ordering(), undo=Undo(none="It is theirs now."))
    parent, child = ordered(house, child_plan(making("one")), step_)
    house.run(child)
    deliver_wakes(house.records, house.clock())
    house.run(parent)
    house.lifecycle.undo(parent.id, CALLER, "not needed")
    take_back(house, parent)
    assert house.now(child).state is RequestState.FULFILLED
    assert world.things == ["one"]
    assert "It is theirs now" in house.now(parent).state_reason


@pytest.mark.parametrize("where", ["before the child is told", "after the child is told", "at the end"])
def test_a_kill_anywhere_on_the_way_back_changes_nothing(house: House, where: str) -> None:
    world = World(house)
    parent, child = ordered(house, child_plan(making("one")), making("before"), ordering())
    house.run(child)
    cancel(house, parent)

    if where == "before the child is told":
        with house.enter(house.dispatched(parent)):
            let_claim_end(house, parent)
    house.run(house.now(parent))
    if where == "after the child is told":
        # It heard that it has to wait, and died before it recorded that.
        with house.enter(house.now(parent)) as session:
            assert session.walk(lambda unit: session.run_step(unit, print)).pauses
        let_claim_end(house, parent)
    take_back(house, child)
    woken(house, parent)
    if where == "at the end":
        world.dies.add("after take before")
        with pytest.raises(Killed):
            house.run(house.now(parent))
        let_claim_end(house, parent)
        world.dies.clear()
    house.run(house.now(parent))
    assert house.now(parent).state is RequestState.CANCELLED
    assert house.now(child).state is RequestState.CANCELLED
    assert world.things == []
    assert sorted(world.taken) == ["before", "one"]
    (effect,) = [one for one in house.records.read(lambda tx: tx.effects.all(parent.id)) if one.path == "order"]
    assert effect.state is EffectState.UNDONE


def test_a_child_works_under_the_locks_of_its_parent_which_nobody_gets_meanwhile(house: House) -> None:
    house.stage.action("work")
    bucket = (Literal("bucket:x"),)
    house.publish(replace(child_plan(step("work")), locks=bucket))
    parent = house.order(replace(plan_of(ordering()), locks=bucket))
    stranger = house.order(replace(plan_of(step("work")), locks=bucket))
    house.run(parent)
    parked(house, stranger)
    (child,) = children(house, parent)
    assert house.run(with_run(house, child)) == ["work:done"]
    deliver_wakes(house.records, house.clock())
    assert house.now(stranger).state is RequestState.WAITING, "the parent has it still"
    house.run(parent)
    deliver_wakes(house.records, house.clock())
    assert house.run(stranger) == ["work:done"]


def test_two_that_would_wait_for_each_others_children_are_told_apart_and_the_reason_names_both(house: House) -> None:
    house.stage.action("work")
    parents = []
    for own, other in (("a", "b"), ("b", "a")):
        house.publish(replace(child_plan(step("work")), model=f"wants-{other}", locks=(Literal(other),)))
        order = ordering(model=f"wants-{other}")
        parent = house.order(replace(plan_of(order), locks=(Literal(own),)))
        house.run(parent)
        parents.append(parent)
    first, second = ((children(house, parent))[0] for parent in parents)
    parked(house, with_run(house, first))
    entry = house.execution.enter(second.id, run_of(with_run(house, second)))
    assert isinstance(entry, End)
    row = house.now(second)
    assert row.state is RequestState.ON_HOLD
    assert f"request {second.id} waits for lock a, held by request {parents[0].id}" in row.state_reason
    assert f"request {first.id} waits for lock b, held by request {parents[1].id}" in row.state_reason
    house.lifecycle.cancel(second.id, CALLER, "it would wait for ever")
    deliver_wakes(house.records, house.clock())
    house.run(parents[1])
    assert house.now(parents[1]).state is RequestState.ON_HOLD
    cancel(house, parents[1])
    deliver_wakes(house.records, house.clock())
    assert house.run(house.now(first)) == ["work:done"]

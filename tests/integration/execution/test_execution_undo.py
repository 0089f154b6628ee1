"""Undo: what a request did is taken back in reverse order, by its steps' own undo (invariant 7)."""

import pytest

from flows.errors import WrongState
from flows.execution import End, Proceed
from flows.records.states import EffectState, RequestState, StepState
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    EffectClass,
    ErrorClass,
    Outcome,
)
from request_models.json_values import JsonValue
from request_models.plan import (
    Group,
    Loop,
    Parallel,
    Polling,
    Retry,
    Undo,
    UndoAction,
)
from staging import CALLER, House, expression, plan_of, run_of, text
from undoing_world import (
    World,
    cancel,
    effects_of,
    held,
    left_over,
    making,
    states_of,
    take_back,
    undo_action,
)


def test_what_was_made_is_taken_back_the_latest_first_and_the_request_is_cancelled(house: House) -> None:
    world = World(house)
    request = held(house, making("one"), making("two"), making("three"))
    assert cancel(house, request).state is RequestState.UNDOING
    assert take_back(house, request) == ["three.undo:done", "two.undo:done", "one.undo:done"]
    assert world.things == []
    row = house.now(request)
    assert (row.state, row.cancelled_by) == (RequestState.CANCELLED, "anna")
    assert row.state_reason == "Cancelled by anna: not needed. What it did was taken back."
    assert left_over(house, request) == ()
    known = effects_of(house, request)
    assert known["one", ""].state is EffectState.UNDONE
    assert known["one", ""].outcome is Outcome.MADE
    assert known["one.undo.0", ""].state is EffectState.DONE
    assert states_of(house, request)["one"] is StepState.UNDONE


def test_what_was_there_before_stays(house: House) -> None:
    world = World(house, "one")
    request = held(house, making("one"), making("two"))
    cancel(house, request)
    assert take_back(house, request) == ["two.undo:done"]
    assert world.things == ["one"]
    assert house.now(request).state is RequestState.CANCELLED


def test_undoing_a_held_request_ends_as_failed_with_the_cause(house: House) -> None:
    World(house)
    request = held(house, making("one"))
    house.lifecycle.undo(request.id, CALLER, "give it up")
    entry = house.execution.enter(request.id, run_of(house.dispatched(request)))
    assert isinstance(entry, Proceed)
    with entry.session as session:
        end = session.finish(session.walk(lambda unit: session.run_step(unit, lambda line: None)))
    assert isinstance(end, End)
    assert (end.kind, end.name) == ("failed", "Failed and undone")
    row = house.now(request)
    assert row.state is RequestState.FAILED
    assert row.state_reason == "fail: it is broken. Undone by anna: give it up. What it did was taken back."
    assert row.cancelled_by is None


def test_undoing_a_fulfilled_request_ends_as_cancelled(house: House) -> None:
    world = World(house)
    request = house.order(plan_of(making("one")))
    house.run(request)
    assert house.now(request).state is RequestState.FULFILLED
    house.lifecycle.undo(request.id, CALLER, "its parent is undone")
    assert take_back(house, request) == ["one.undo:done"]
    assert world.things == []
    assert (house.now(request).state, house.now(request).cancelled_by) == (RequestState.CANCELLED, "anna")


def test_the_undo_sees_the_answer_and_the_arguments_of_the_call_it_takes_back(house: House) -> None:
    world = World(house)
    request = held(house, making("one", Undo(actions=(undo_action("result.id"),))))
    cancel(house, request)
    assert take_back(house, request) == ["one.undo:done"]
    assert world.taken == ["one"]


def test_the_actions_of_an_undo_run_in_order_each_if_its_condition_holds(house: House) -> None:
    world = World(house, "extra", "other")
    actions = (
        undo_action("'extra'"),
        undo_action("'other'", when=expression("args.text == 'nothing'")),
        undo_action(),
    )
    request = held(house, making("one", Undo(actions=actions)))
    cancel(house, request)
    assert take_back(house, request) == ["one.undo.0:done", "one.undo.1:skipped", "one.undo.2:done"]
    assert world.things == ["other"]


def test_loops_are_undone_item_by_item_in_reverse(house: House) -> None:
    world = World(house)
    loop = Loop(expression("inputs.members"), expression("item"))
    grouped = Group(
        blocks=(
            making("first", arguments=text(expression("'first-' ~ item"))),
            making(
                "then", Undo(actions=(undo_action("'then-' ~ item"),)), arguments=text(expression("'then-' ~ item"))
            ),
        ),
        path="join",
        loop=loop,
    )
    plain = making("plain", arguments=text(expression("item")), loop=loop)
    request = held(house, grouped, plain, members=["a", "b"])
    cancel(house, request)
    assert take_back(house, request) == [
        "plain[b].undo:done",
        "plain[a].undo:done",
        "join[b].then.undo:done",
        "join[b].first.undo:done",
        "join[a].then.undo:done",
        "join[a].first.undo:done",
    ]
    assert world.things == []


def test_what_the_model_says_cannot_be_undone_is_named_and_the_rest_is_undone(house: House) -> None:
    world = World(house)
    told = making("tell", Undo(none="a mail cannot be unsent"))
    request = held(house, making("one"), told)
    cancel(house, request)
    assert take_back(house, request) == ["one.undo:done"]
    assert world.things == ["tell"]
    row = house.now(request)
    assert row.state is RequestState.CANCELLED
    assert "Left over: tell (stage.make, made): a mail cannot be unsent." in row.state_reason
    assert [(one.path, one.why) for one in left_over(house, request)] == [("tell", "a mail cannot be unsent")]


def test_an_undo_that_fails_holds_the_request_and_a_retry_goes_on_with_the_undo(house: House) -> None:
    world = World(house)
    request = held(house, making("one"), making("two"), making("three"))
    world.broken.add("take two")
    cancel(house, request)
    assert take_back(house, request) == ["three.undo:done", "two.undo:failed"]
    row = house.now(request)
    assert row.state is RequestState.ON_HOLD
    assert "two (stage.make, made): cannot take two" in row.state_reason
    assert [one.path for one in left_over(house, request)] == ["one", "two"]
    world.broken.clear()
    assert house.lifecycle.retry(request.id, CALLER, "mended").state is RequestState.UNDOING
    assert house.run(house.now(request)) == ["two.undo:done", "one.undo:done"]
    assert house.now(request).state is RequestState.CANCELLED
    assert world.taken == ["three", "two", "one"]


def test_retry_pressed_in_prefect_on_an_undo_goes_on_with_the_undo(house: House) -> None:
    world = World(house)
    request = held(house, making("one"))
    world.broken.add("take one")
    cancel(house, request)
    take_back(house, request)
    world.broken.clear()
    assert house.run(house.now(request)) == ["one.undo:done"]
    assert house.now(request).state is RequestState.CANCELLED


def test_a_retry_while_it_is_undone_is_refused(house: House) -> None:
    World(house)
    request = held(house, making("one"))
    cancel(house, request)
    with pytest.raises(WrongState, match="What it did is being taken back"):
        house.lifecycle.retry(request.id, CALLER, "impatience")


def test_items_and_branches_beside_one_that_cannot_be_undone_are_undone(house: House) -> None:
    world = World(house)
    loop = Loop(expression("inputs.members"), expression("item"))
    item = making("item", arguments=text(expression("item")), loop=loop)
    both = Parallel(branches=(making("left"), making("right")))
    request = held(house, making("base"), item, both, members=["a", "b", "c"])
    world.broken |= {"take b", "take left"}
    cancel(house, request)
    ran = take_back(house, request)
    assert set(ran) == {"left.undo:failed", "right.undo:done"}
    assert world.things == ["base", "a", "b", "c", "left"], "the loop came before the branch that is left"
    world.broken.discard("take left")
    house.lifecycle.retry(request.id, CALLER, "mended")
    house.run(house.now(request))
    assert world.things == ["base", "b"]
    assert [one.what for one in left_over(house, request)] == ["base", "item[b]"]


def test_an_undo_retries_by_its_own_policy(house: House) -> None:
    world = World(house)
    tries: list[int] = []

    def take(call: ActionCall) -> ActionResult:
        tries.append(call.attempt)
        if len(tries) < 3:
            raise ActionFailed("busy", error_class=ErrorClass.TRANSIENT, code="Busy")
        return world.take(call)

    request = held(house, making("one", Undo(actions=(undo_action(retry=Retry(attempts=3)),))))
    house.stage.action("take", behave=take)
    cancel(house, request)
    assert take_back(house, request) == ["one.undo:done"]
    assert tries == [1, 2, 3]


def test_an_undo_that_waits_long_holds_no_worker(house: House) -> None:
    world = World(house)
    looks = [False, True]

    def look(call: ActionCall) -> ActionResult:
        return ActionResult(Outcome.READ, {"gone": looks.pop(0)})

    house.stage.action("look", EffectClass.READ_ONLY, look)
    polling = Polling(expression("result.gone"), 40, 600)
    looking = UndoAction(
        uses="stage.look",
        contract="1",
        effect=EffectClass.READ_ONLY,
        arguments=text(expression("args.text")),
        polling=polling,
    )
    request = held(house, making("one", Undo(actions=(undo_action(), looking))))
    cancel(house, request)
    undoing = house.dispatched(request)
    assert house.run(undoing) == ["one.undo.0:done", "one.undo.1:waiting"]
    row = house.now(request)
    assert row.state is RequestState.UNDOING
    assert row.wake_at is not None
    assert [one.id for one in house.records.read(lambda tx: tx.requests.to_wake(row.wake_at, 9))] == [request.id]  # type: ignore[arg-type]  # checked above
    assert world.things == []
    assert house.run(undoing) == ["one.undo.0:done*", "one.undo.1:waiting"], "it keeps its own pause"


def test_an_undo_sees_what_loops_and_earlier_steps_gave(house: House) -> None:
    world = World(house, "x")
    loop = Loop(expression("inputs.members"), expression("item"))
    looped = making("add", Undo(none="kept"), arguments=text(expression("item")), loop=loop)
    seen = "steps.add.items | map(attribute='item') | join('-')"
    one = making("one", Undo(actions=(undo_action(seen),)))
    request = held(house, looped, one, members=["x", "y"])
    cancel(house, request)
    assert take_back(house, request) == ["one.undo:done"]
    assert [call.arguments["text"] for call in house.stage.actions["stage.take"].calls] == ["x-y"]
    assert world.things == ["x", "y", "one"]


def test_what_cannot_be_taken_back_is_left_if_somebody_says_so(house: House) -> None:
    world = World(house)
    world.broken.add("take two")
    request = held(house, making("one"), making("two"), making("three"))
    cancel(house, request)
    take_back(house, request)
    assert house.now(request).state is RequestState.ON_HOLD
    house.lifecycle.undo(request.id, CALLER, "the owner of two keeps it", leaves=True)
    assert house.run(house.now(request)) == ["two.undo:failed", "one.undo:done"]
    row = house.now(request)
    assert row.state is RequestState.CANCELLED
    assert "Undone further by anna: the owner of two keeps it." in row.state_reason
    assert [one.path for one in left_over(house, request)] == ["two"]
    assert world.things == ["two"]


def test_of_much_that_is_left_over_the_reason_names_the_beginning_and_the_record_all(house: House) -> None:
    World(house)
    members: list[JsonValue] = [f"m{number}" for number in range(13)]
    loop = Loop(expression("inputs.members"), expression("item"))
    request = held(
        house, making("add", Undo(none="kept"), arguments=text(expression("item")), loop=loop), members=members
    )
    cancel(house, request)
    assert take_back(house, request) == []
    assert "and 3 more" in house.now(request).state_reason
    assert len(left_over(house, request)) == 13

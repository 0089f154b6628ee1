"""Undo: what a request did is taken back in reverse order; what was there before stays (invariants 5 and 7)."""

import random
import threading
from collections import Counter
from dataclasses import replace
from uuid import UUID

import pytest

from connectors.memory import Killed
from flows.errors import WrongState
from flows.execution import End, Proceed
from flows.records.rows import EffectRow, LeftOver, RequestRow, UndoRow
from flows.records.states import EffectState, RequestState, StepState
from flows.walk import StepReport, Unit
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Finding,
    Outcome,
    Presence,
)
from request_models.json_values import JsonValue
from request_models.plan import (
    Group,
    Literal,
    Loop,
    MapOf,
    OnFailure,
    Parallel,
    Polling,
    Retry,
    Step,
    Undo,
    UndoAction,
)
from request_models.value_types import AnyType, Member, ObjectType, StringType
from staging import CALLER, Behaviour, House, expression, plan_of, run_of, step, text

MEMBERS: dict[str, JsonValue] = {"members": {"type": "array", "items": {"type": "string"}}}


class World:
    """A set of things, that `stage.make` puts a thing into and `stage.take` takes it out of; what was there stays."""

    def __init__(self, house: House, *there: str) -> None:
        self.things = list(there)
        self.taken: list[str] = []
        self.broken: set[str] = set()
        self.dies: set[str] = set()
        house.stage.action("make", behave=self.make)
        house.stage.action("take", behave=self.take)

    def make(self, call: ActionCall) -> ActionResult:
        name = str(call.arguments["text"])
        self._check(f"make {name}")
        if name in self.things:
            return ActionResult(Outcome.ALREADY_SO, {"id": f"id-{name}"})
        self.things.append(name)
        return ActionResult(Outcome.MADE, {"id": f"id-{name}"})

    def take(self, call: ActionCall) -> ActionResult:
        name = str(call.arguments["text"]).removeprefix("id-")
        self._check(f"take {name}")
        if name in self.things:
            self.things.remove(name)
            self.taken.append(name)
        if f"after take {name}" in self.dies:
            raise Killed
        return ActionResult(Outcome.CHANGED, {"id": f"id-{name}"})

    def _check(self, what: str) -> None:
        if what in self.dies:
            raise Killed
        if what in self.broken:
            raise ActionFailed(f"cannot {what}", error_class=ErrorClass.PERMANENT, code="Broken")


def undo_action(source: str = "args.text", **more: object) -> UndoAction:
    given: dict[str, object] = {"arguments": text(expression(source)), **more}
    return UndoAction(uses="stage.take", contract="1", effect=EffectClass.IDEMPOTENT, **given)  # type: ignore[arg-type]  # fields by name


def making(path: str, undo: Undo | None = None, **more: object) -> Step:
    return replace(step(path, **more), uses="stage.make", undo=undo or Undo(actions=(undo_action(),)))  # type: ignore[arg-type]  # fields by name


def effects_of(house: House, request: RequestRow) -> dict[tuple[str, str], EffectRow]:
    rows = house.records.read(lambda tx: tx.effects.all(request.id))
    return {(row.path, row.item_key): row for row in rows}


def states_of(house: House, request: RequestRow) -> dict[str, StepState]:
    rows = house.records.read(lambda tx: tx.steps.all(request.id))
    return {f"{row.path}{f'[{row.item_key}]' if row.item_key else ''}": row.state for row in rows}


def undo_of(house: House, request: RequestRow) -> UndoRow:
    undo = house.records.read(lambda tx: tx.undos.get(request.id))
    assert undo is not None
    return undo


def left_over(house: House, request: RequestRow) -> tuple[LeftOver, ...]:
    return undo_of(house, request).left_over


def cancel(house: House, request: RequestRow, why: str = "not needed") -> RequestRow:
    return house.lifecycle.cancel(request.id, CALLER, why)


def take_back(house: House, request: RequestRow) -> list[str]:
    """Run the undo in the flow run that the dispatcher would make for it."""
    return house.run(house.dispatched(request))


def kill(house: House, request: RequestRow) -> None:
    """Run into a kill, and let the claim end as the death of its process does."""
    with pytest.raises(Killed):
        house.run(request)
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    house.records.run(lambda tx: tx.claims.release(claim))


def held(house: House, *steps: Step | Group | Parallel, **inputs: JsonValue) -> RequestRow:
    """A request whose last step has failed."""
    house.stage.action("fail", behave=_fails)
    schema = MEMBERS if inputs else None
    request = house.order(plan_of(*steps, step("fail"), inputs=schema), **inputs)
    house.run(request)
    assert house.now(request).state is RequestState.ON_HOLD, house.now(request).state_reason
    return request


def _fails(call: ActionCall) -> ActionResult:
    raise ActionFailed("it is broken", error_class=ErrorClass.PERMANENT, code="Broken")


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


def test_what_is_covered_goes_along_when_its_cover_was_made(house: House) -> None:
    world = World(house)
    policy = making("policy", Undo(covered_by="bucket"))
    more = making("more", Undo(covered_by="policy"))
    request = held(house, making("bucket"), policy, more)
    cancel(house, request)
    assert take_back(house, request) == ["bucket.undo:done"]
    assert world.taken == ["bucket"], "the target takes the rest along"
    known = effects_of(house, request)
    assert {known[path, ""].state for path in ("bucket", "policy", "more")} == {EffectState.UNDONE}
    assert left_over(house, request) == ()


def test_what_a_cover_that_was_there_did_not_make_is_put_back(house: House) -> None:
    world = World(house, "bucket")
    restored: list[JsonValue] = []
    changing(house, "set", {"colour": "red"}, restored)
    colour = replace(step("colour", arguments=text(Literal("blue"))), uses="stage.set")
    request = held(house, making("bucket"), replace(colour, undo=Undo(covered_by="bucket")))
    cancel(house, request)
    assert take_back(house, request) == ["colour.undo:done"]
    assert restored == [{"colour": "red"}]
    assert world.things == ["bucket"]


def changing(
    house: House,
    name: str,
    before: JsonValue,
    restored: list[JsonValue] | None = None,
    outcome: Outcome = Outcome.CHANGED,
) -> None:
    """Set up an action that changes something, and can put it back if `restored` is there to take it."""
    staged = house.stage.action(name, behave=lambda call: ActionResult(outcome, {}, before))
    if restored is not None:
        staged.spec = replace(staged.spec, restores=True)

        def restore(call: ActionCall, was: JsonValue) -> ActionResult:
            assert call.arguments["text"] == "blue"
            restored.append(was)
            return ActionResult(Outcome.CHANGED, {})

        staged.restore = restore  # type: ignore[attr-defined]  # an action that also restores


def test_what_was_changed_is_put_back_and_not_undone(house: House) -> None:
    World(house)
    restored: list[JsonValue] = []
    changing(house, "set", {"colour": "red"}, restored)
    colour = replace(making("colour", arguments=text(Literal("blue"))), uses="stage.set")
    request = held(house, colour)
    cancel(house, request)
    assert take_back(house, request) == ["colour.undo:done"]
    assert restored == [{"colour": "red"}]
    assert house.stage.actions["stage.take"].calls == []
    assert effects_of(house, request)["colour.undo.restore", ""].state is EffectState.DONE
    assert house.now(request).state is RequestState.CANCELLED


def test_what_was_made_beside_a_cover_that_was_there_is_put_back_to_nothing(house: House) -> None:
    World(house, "bucket")
    restored: list[JsonValue] = []
    changing(house, "set", None, restored, Outcome.MADE)
    colour = replace(step("colour", arguments=text(Literal("blue"))), uses="stage.set")
    request = held(house, making("bucket"), replace(colour, undo=Undo(covered_by="bucket")))
    cancel(house, request)
    assert take_back(house, request) == ["colour.undo:done"]
    assert restored == [None]


def test_what_was_changed_and_cannot_be_put_back_is_held_for_a_person_by_name_only(house: House) -> None:
    world = World(house)
    changing(house, "set", {"password": "hush-hush"})
    colour = replace(making("colour"), uses="stage.set")
    request = held(house, making("one"), colour)
    cancel(house, request)
    assert take_back(house, request) == []
    row = house.now(request)
    assert row.state is RequestState.ON_HOLD
    assert "(password)" in row.state_reason
    assert "hush" not in row.state_reason
    assert [one.path for one in left_over(house, request)] == ["one", "colour"]
    assert world.things == ["one"], "what was done before it may be what it stands on"


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


def test_an_undo_killed_half_way_is_gone_on_with(house: House) -> None:
    world = World(house)
    request = held(house, making("one"), making("two"), making("three"))
    world.dies.add("after take two")
    cancel(house, request)
    undoing = house.dispatched(request)
    kill(house, undoing)
    assert world.things == ["one"]
    assert house.now(request).state is RequestState.UNDOING
    world.dies.clear()
    assert house.run(undoing) == ["two.undo:done", "one.undo:done"]
    assert house.now(request).state is RequestState.CANCELLED
    assert world.taken == ["three", "two", "one"], "each was taken once"
    calls = [call for call in house.stage.actions["stage.take"].calls if call.step_path == "two.undo.0"]
    assert [call.resent for call in calls] == [False, True]
    assert len({call.token for call in calls}) == 1


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


def probing(house: House, *, reads_before: bool = False) -> Step:
    """A step of the connector `memory`, whose action has a probe; it is undone in the world."""
    arguments = ObjectType(members={"text": Member(type=StringType())})
    spec = ActionSpec(
        "memory.make", "Make", arguments, AnyType(), EffectClass.HAS_PROBE, probes=True, reads_before=reads_before
    )
    house.memory.define(spec)
    return replace(making("made", effect=EffectClass.HAS_PROBE), uses="memory.make")


def test_an_undo_ends_with_the_proof_that_it_is_gone(house: House) -> None:
    World(house)
    request = held(house, probing(house))
    house.memory.find_out("memory.make", Finding(Presence.ABSENT, "No such thing."))
    cancel(house, request)
    assert take_back(house, request) == ["made.undo:done"]
    row = house.records.read(lambda tx: tx.steps.get(request.id, "made"))
    assert row is not None
    assert row.message == "undone; looked for, and gone: No such thing."


def test_an_undo_that_succeeded_and_left_it_there_is_held_and_called_again(house: House) -> None:
    World(house)
    request = held(house, probing(house))
    still = Finding(Presence.OURS, "It is there.", ActionResult(Outcome.MADE, {}))
    house.memory.find_out("memory.make", still)
    cancel(house, request)
    assert take_back(house, request) == ["made.undo:done"]
    assert house.now(request).state is RequestState.ON_HOLD
    assert "still there: It is there." in house.now(request).state_reason
    house.memory.find_out("memory.make", Finding(Presence.ABSENT, "No such thing."))
    house.lifecycle.retry(request.id, CALLER, "look again")
    assert house.run(house.now(request)) == ["made.undo:done"]
    assert house.now(request).state is RequestState.CANCELLED
    assert len({call.token for call in house.stage.actions["stage.take"].calls}) == 2


def test_an_undo_that_failed_though_it_is_gone_has_done_what_it_is_for(house: House) -> None:
    world = World(house)
    request = held(house, probing(house))
    world.broken.add("take made")
    house.memory.find_out("memory.make", Finding(Presence.ABSENT, "No such thing."))
    cancel(house, request)
    assert take_back(house, request) == ["made.undo:failed"]
    assert house.now(request).state is RequestState.CANCELLED


UNKNOWN = [
    pytest.param(None, ["made.undo:done"], RequestState.CANCELLED, id="it was made"),
    pytest.param(Finding(Presence.ABSENT, "Nothing there."), [], RequestState.CANCELLED, id="it did not happen"),
    pytest.param(Finding(Presence.FOREIGN, "Another's."), [], RequestState.ON_HOLD, id="it is another's"),
    pytest.param(
        Finding(Presence.CANNOT_TELL, "Who knows."), ["made.undo:done"], RequestState.CANCELLED, id="nobody knows"
    ),
]


@pytest.mark.parametrize(("finding", "ran", "state"), UNKNOWN)
def test_what_is_unknown_is_looked_for_before_it_is_undone(
    house: House, finding: Finding | None, ran: list[str], state: RequestState
) -> None:
    World(house)
    request = house.order(plan_of(probing(house)))
    house.memory.kill("memory.make", after_effect=True)
    kill(house, request)
    seen = finding or Finding(Presence.OURS, "There.", ActionResult(Outcome.MADE, {"id": "x"}))
    house.memory.find_out("memory.make", seen)
    cancel(house, request)
    if finding is None:
        # once it is undone, the probe finds nothing
        house.stage.action("take", behave=lambda call: _gone(house))
    assert take_back(house, request) == ran
    assert house.now(request).state is state, house.now(request).state_reason


def _gone(house: House) -> ActionResult:
    house.memory.find_out("memory.make", Finding(Presence.ABSENT, "Gone."))
    return ActionResult(Outcome.CHANGED, {})


def test_what_is_unknown_and_may_have_been_there_before_is_left_to_a_person(house: House) -> None:
    World(house)
    request = house.order(plan_of(probing(house, reads_before=True)))
    house.memory.show("memory.make", {"found": "something"})
    house.memory.kill("memory.make", after_effect=True)
    kill(house, request)
    house.memory.find_out("memory.make", Finding(Presence.CANNOT_TELL, "Who knows."))
    cancel(house, request)
    assert take_back(house, request) == []
    assert house.now(request).state is RequestState.ON_HOLD
    assert "A person must look" in house.now(request).state_reason


def test_a_failed_steps_own_undo_runs_without_its_result(house: House) -> None:
    world = World(house)
    house.stage.action("make", EffectClass.NOT_REPEATABLE, lambda call: _lost(world, call))
    request = house.order(plan_of(replace(making("one"), effect=EffectClass.NOT_REPEATABLE)))
    house.run(request)
    assert world.things == ["one"]
    cancel(house, request)
    assert take_back(house, request) == ["one.undo:done"]
    assert world.things == []
    assert effects_of(house, request)["one", ""].state is EffectState.UNDONE


def _lost(world: World, call: ActionCall) -> ActionResult:
    world.make(call)
    raise ActionFailed("no answer", error_class=ErrorClass.UNKNOWN, code="Timeout")


def test_an_undo_that_needs_a_result_there_is_none_of_is_left_to_a_person(house: House) -> None:
    world = World(house)
    house.stage.action("make", EffectClass.NOT_REPEATABLE, lambda call: _lost(world, call))
    planned = making("one", Undo(actions=(undo_action("result.id"),)))
    request = house.order(plan_of(replace(planned, effect=EffectClass.NOT_REPEATABLE)))
    house.run(request)
    cancel(house, request)
    assert take_back(house, request) == ["one.undo:failed"]
    assert house.now(request).state is RequestState.ON_HOLD
    assert [one.outcome for one in left_over(house, request)] == ["unknown"]


def test_a_failing_branch_leaves_no_effect_unaccounted_for(house: House) -> None:
    world = World(house)
    world.broken.add("make left")
    together = Parallel(branches=(Group(blocks=(making("before"), making("left"))), making("right"), making("third")))
    plan = plan_of(together, on_failure=OnFailure.UNDO)
    request = house.order(plan)
    house.run(request)
    row = house.now(request)
    assert (row.state, row.state_reason) == (RequestState.UNDOING, "left: cannot make left")
    assert set(take_back(house, request)) == {"before.undo:done", "right.undo:done", "third.undo:done"}
    assert world.things == []
    assert house.now(request).state is RequestState.FAILED
    accounted = {EffectState.FAILED, EffectState.UNDONE, EffectState.DONE}
    assert all(
        row.state in accounted - ({EffectState.DONE} if ".undo." not in row.path else set())
        for row in effects_of(house, request).values()
    )


# on_failure: undo, of a block


def test_a_failed_group_is_undone_held_and_run_anew_by_a_retry(house: House) -> None:
    world = World(house)
    world.broken.add("make inner")
    group = Group(
        blocks=(making("outer"), Group(blocks=(making("inner"),), when=expression("steps.outer.state == 'done'"))),
        path="both",
        on_failure=OnFailure.UNDO,
    )
    request = house.order(plan_of(making("one"), group, making("last")))
    assert house.run(request) == ["one:done", "outer:done", "inner:failed", "outer.undo:done"]
    row = house.now(request)
    assert row.state is RequestState.ON_HOLD
    assert row.state_reason == ("both: inner: cannot make inner. What it did was taken back; a retry does it again.")
    assert world.things == ["one"]
    world.broken.clear()
    assert house.run(request) == ["one:done*", "outer:done", "inner:done", "last:done"]
    assert world.things == ["one", "outer", "inner", "last"]
    assert house.now(request).state is RequestState.FULFILLED
    known = effects_of(house, request)
    assert (known["outer", ""].generation, known["outer", ""].state) == (2, EffectState.DONE)


def test_what_was_run_anew_is_undone_anew(house: House) -> None:
    world = World(house)
    world.broken.add("make inner")
    group = Group(blocks=(making("outer"), making("inner")), path="both", on_failure=OnFailure.UNDO)
    request = house.order(plan_of(group))
    house.run(request)
    house.run(request)
    assert world.taken == ["outer", "outer"]
    tokens = {call.token for call in house.stage.actions["stage.take"].calls}
    assert len(tokens) == 2
    assert effects_of(house, request)["outer.undo.0", ""].generation == 2
    cancel(house, request)
    assert house.now(request).state is RequestState.CANCELLED, "nothing is left to be taken back"


def test_a_loop_that_failed_is_undone_and_its_list_stays_as_it_was(house: House) -> None:
    world = World(house)
    world.broken.add("make b")
    loop = Loop(expression("inputs.members"), expression("item"))
    looped = making("add", arguments=text(expression("item")), loop=loop, on_failure=OnFailure.UNDO)
    request = house.order(plan_of(looped, inputs=MEMBERS), members=["a", "b", "c"])
    assert house.run(request) == ["add[a]:done", "add[b]:failed", "add[a].undo:done"]
    world.broken.clear()
    assert house.run(request) == ["add[a]:done", "add[b]:done", "add[c]:done"]
    assert world.things == ["a", "b", "c"]


def test_a_group_in_a_loop_is_undone_for_its_own_item_only(house: House) -> None:
    world = World(house)
    world.broken.add("make then-b")
    inner = Group(
        blocks=(
            making("first", arguments=text(expression("'first-' ~ item"))),
            making("then", arguments=text(expression("'then-' ~ item"))),
        ),
        path="pair",
        on_failure=OnFailure.UNDO,
    )
    outer = Group(
        blocks=(inner,),
        path="each",
        loop=Loop(expression("inputs.members"), expression("item")),
        on_failure=OnFailure.CONTINUE,
    )
    request = house.order(plan_of(outer, inputs=MEMBERS), members=["a", "b", "B"])
    house.run(request)
    assert world.things == ["first-a", "then-a", "first-B", "then-B"]
    assert house.now(request).state is RequestState.FULFILLED


def test_an_undo_of_a_block_that_was_killed_is_gone_on_with_before_anything_else(house: House) -> None:
    world = World(house)
    world.broken.add("make third")
    world.dies.add("take one")
    group = Group(blocks=(making("one"), making("two"), making("third")), path="all", on_failure=OnFailure.UNDO)
    request = house.order(plan_of(group))
    kill(house, request)
    assert world.things == ["one"]
    world.dies.clear()
    world.broken.clear()
    assert house.run(request) == ["one.undo:done"]
    assert "cannot make third" in house.now(request).state_reason
    assert house.now(request).state is RequestState.ON_HOLD
    assert world.things == []
    assert house.run(request) == ["one:done", "two:done", "third:done"]


def test_what_stands_is_not_done_again_when_its_block_is(house: House) -> None:
    world = World(house, "there")
    world.broken.add("make last")
    blocks = (making("there"), making("tell", Undo(none="said is said")), making("one"), making("last"))
    request = house.order(plan_of(Group(blocks=blocks, path="all", on_failure=OnFailure.UNDO)))
    house.run(request)
    assert world.things == ["there", "tell"]
    said = "What it did was taken back, but for tell (stage.make, made): said is said; a retry does it again."
    assert said in house.now(request).state_reason
    world.broken.clear()
    assert house.run(request) == ["there:done*", "tell:done*", "one:done", "last:done"]


# cancelling, by state


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


def test_no_secret_of_the_request_is_named_in_what_is_left_over(house: House) -> None:
    World(house)
    secret: dict[str, JsonValue] = {"password": {"type": "string", "writeOnly": True}}
    house.memory.define(
        ActionSpec("memory.make", "Make", ObjectType(members={}), AnyType(), EffectClass.HAS_PROBE, probes=True)
    )
    planned = replace(making("made", arguments=MapOf({}), effect=EffectClass.HAS_PROBE), uses="memory.make")
    house.memory.fail("memory.make", "no answer", error_class=ErrorClass.UNKNOWN, after_effect=True)
    house.memory.find_out("memory.make", Finding(Presence.FOREIGN, "There is one with hush-hush."))
    request = house.order(plan_of(planned, inputs=secret), password="hush-hush")
    house.run(request)
    cancel(house, request)
    assert take_back(house, request) == []
    assert house.now(request).state is RequestState.ON_HOLD
    assert "There is one with ********." in house.now(request).state_reason
    assert "hush" not in left_over(house, request)[0].why


class Mortal(World):
    """A world in which the process dies at some calls, before or after their effect."""

    def __init__(self, house: House, *there: str) -> None:
        self.deaths: dict[int, bool] = {}
        self.answers: dict[UUID, ActionResult] = {}
        self.called = 0
        super().__init__(house, *there)

    def make(self, call: ActionCall) -> ActionResult:
        return self._mortal(super().make, call)

    def take(self, call: ActionCall) -> ActionResult:
        return self._mortal(super().take, call)

    def _mortal(self, act: Behaviour, call: ActionCall) -> ActionResult:
        self.called += 1
        after = self.deaths.pop(self.called, None)
        if after is False:
            raise Killed
        # whoever resends a call gets the answer that was lost, as from a system that honours tokens
        answer = act(call) if call.token not in self.answers else self.answers[call.token]
        self.answers[call.token] = answer
        if after is True:
            raise Killed
        return answer


def _until_it_rests(house: House, request: RequestRow, states: set[RequestState]) -> None:
    while house.now(request).state not in states:
        try:
            house.run(house.now(request))
        except Killed:
            claim = house.records.read(lambda tx: tx.claims.get(request.id))
            assert claim is not None
            house.records.run(lambda tx: tx.claims.release(claim))


@pytest.mark.parametrize("seed", range(12))
def test_whenever_the_process_dies_all_is_taken_back_and_all_else_stays(house: House, seed: int) -> None:
    chance = random.Random(seed)
    there = ["b", "second", "left"]
    world = Mortal(house, *(name for name in there if chance.random() < 0.5))
    before = list(world.things)
    loop = Loop(expression("inputs.members"), expression("item"))
    steps = (
        making("first"),
        Group(blocks=(making("second"), making("add", arguments=text(expression("item")), loop=loop))),
        Parallel(branches=(making("left"), Group(blocks=(making("right"), making("under", Undo(covered_by="right")))))),
    )
    house.stage.action("fail", behave=_fails)
    request = house.order(plan_of(*steps, step("fail"), inputs=MEMBERS), members=["a", "b", "c"])
    world.deaths = {chance.randint(1, 25): chance.random() < 0.5 for _ in range(8)}
    _until_it_rests(house, request, {RequestState.ON_HOLD})
    made = {
        row.path for row in house.records.read(lambda tx: tx.effects.all(request.id)) if row.outcome is Outcome.MADE
    }
    cancel(house, request)
    _until_it_rests(house, request, {RequestState.CANCELLED, RequestState.ON_HOLD})
    assert house.now(request).state is RequestState.CANCELLED, house.now(request).state_reason
    assert [thing for thing in world.things if thing != "under"] == before
    assert ("under" in world.things) is ("under" in made), "its cover takes it along, which this world does not know"
    for row in house.records.read(lambda tx: tx.effects.latest(request.id)):
        assert row.state is not EffectState.UNKNOWN
        assert ".undo." in row.path or row.state is not EffectState.DONE or row.outcome is Outcome.ALREADY_SO
    counted = Counter(world.taken)
    assert set(counted.values()) <= {1}, "nothing is taken twice"


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


def test_a_request_that_somebody_holds_while_it_runs_stops_and_stays_on_hold(house: House) -> None:
    World(house)
    request = house.order(plan_of(making("one"), making("two")))
    with house.enter(request) as session:

        def run(unit: Unit) -> StepReport:
            report = session.run_step(unit, lambda line: None)
            house.lifecycle.hold(request.id, actor="olga", why="wait for the audit")
            return report

        end = session.finish(session.walk(run))
    assert isinstance(end, End)
    assert "wait for the audit" in end.message
    assert house.now(request).state is RequestState.ON_HOLD
    assert house.run(request) == ["one:done*", "two:done"]

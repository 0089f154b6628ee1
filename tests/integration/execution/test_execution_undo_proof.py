"""Looking before and after an undo: what nobody knows of, and the proof that it is gone."""

from dataclasses import replace

import pytest

from flows.records.states import EffectState, RequestState
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
    MapOf,
    Step,
    Undo,
)
from request_models.value_types import AnyType, Member, ObjectType, StringType
from staging import CALLER, House, plan_of
from undoing_world import (
    World,
    cancel,
    effects_of,
    held,
    kill,
    left_over,
    making,
    take_back,
    undo_action,
)


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

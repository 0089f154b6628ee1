"""What was there before stays, and is put back as it was (invariant 5)."""

from dataclasses import replace

from flows.records.states import EffectState, RequestState
from request_models.actions import (
    ActionCall,
    ActionResult,
    Outcome,
)
from request_models.json_values import JsonValue
from request_models.plan import (
    Literal,
    Undo,
)
from staging import House, step, text
from undoing_world import (
    World,
    cancel,
    effects_of,
    held,
    left_over,
    making,
    take_back,
)


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

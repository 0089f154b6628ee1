"""Fix the input and go on: what depends on it is taken back first, and only that; whatever dies meanwhile."""

import pytest

from flows.corrections import Correction
from flows.errors import NotPossible
from flows.interventions import Act
from flows.records.rows import RequestRow
from flows.records.states import CorrectionState, EffectState, RequestState, StepState, TouchKind
from flows.touching import Remark
from request_models.json_values import JsonValue
from request_models.plan import Block, Group, Loop, NamedValue, Parallel, Undo
from staging import CALLER, House, expression, plan_of, step, text
from undoing_world import World, cancel, fails, kill, making, states_of, take_back, undo_action

INPUTS: dict[str, JsonValue] = {
    "region": {"type": "string"},
    "size": {"type": "integer"},
    "members": {"type": "array", "items": {"type": "string"}},
}
GIVEN: dict[str, JsonValue] = {"region": "mars", "size": 3, "members": []}
REGION = text(expression("inputs.region"))


SECOND = making("two", arguments=text(expression("inputs.region + '2'")))


def stuck(house: House, *blocks: Block, values: tuple[NamedValue, ...] = (), **inputs: JsonValue) -> RequestRow:
    """A request that did these blocks and then is on hold in a last step, which fails once more when it is retried."""
    house.stage.action("fail", behave=fails)
    request = house.order(plan_of(*blocks, step("fail"), inputs=INPUTS, values=values), **{**GIVEN, **inputs})
    house.run(request)
    assert house.now(request).state is RequestState.ON_HOLD, house.now(request).state_reason
    return request


def fix(house: House, request: RequestRow, *unset: str, **inputs: JsonValue) -> RequestRow:
    return house.corrections.fix(Act(request.id, CALLER, Remark("mistyped")), Correction(inputs, unset))


def corrections_of(house: House, request: RequestRow) -> list[CorrectionState]:
    return [row.state for row in house.records.read(lambda tx: tx.corrections.of(request.id))]


def adding(**more: object) -> Group:
    """For each member: a thing of that name; items are called by it."""
    return Group(
        blocks=(making("add", arguments=text(expression("item"))),),
        path="join",
        loop=Loop(expression("inputs.members"), expression("item")),
        **more,  # type: ignore[arg-type]  # fields by name
    )


# values: what depends is taken back the latest first, with what it was made from, and made anew


def test_what_depends_on_the_correction_is_taken_back_and_made_anew_and_nothing_else_is(house: House) -> None:
    world = World(house)
    request = stuck(
        house,
        making("first", arguments=text(expression("inputs.size | string"))),
        making("second", arguments=text(expression("values.place"))),
        making("third", arguments=text(expression("'door-' + steps.second.result.id"))),
        values=(NamedValue("place", expression("'at-' + inputs.region")),),
    )
    assert world.things == ["3", "at-mars", "door-id-at-mars"]
    row = fix(house, request, region="earth")
    assert row.state is RequestState.IN_PROGRESS
    assert row.inputs.public == GIVEN, "until what was made from them is taken back"
    assert house.run(request) == [
        "third.undo:done",
        "second.undo:done",
        "first:done*",
        "second:done",
        "third:done",
        "fail:failed",
    ]
    assert world.taken == ["door-id-at-mars", "at-mars"]
    assert world.things == ["3", "at-earth", "door-id-at-earth"]
    now = house.now(request)
    assert (now.inputs.public, now.state) == ({**GIVEN, "region": "earth"}, RequestState.ON_HOLD)
    assert now.values is not None
    assert now.values.public == {"place": "at-earth"}
    assert corrections_of(house, request) == [CorrectionState.APPLIED]


def test_each_generation_has_a_token_of_its_own_and_an_undo_of_its_own(house: House) -> None:
    world = World(house)
    request = stuck(house, making("first", arguments=REGION))
    for region in ("earth", "venus"):
        fix(house, request, region=region)
        house.run(request)
    assert (world.things, world.taken) == (["venus"], ["mars", "earth"])
    effects = [row for row in house.records.read(lambda tx: tx.effects.all(request.id)) if row.path == "first"]
    assert [(row.generation, row.state) for row in effects] == [
        (1, EffectState.UNDONE),
        (2, EffectState.UNDONE),
        (3, EffectState.DONE),
    ]
    assert len({row.token for row in effects}) == 3
    cancel(house, request)
    take_back(house, request)
    assert (house.now(request).state, world.things) == (RequestState.CANCELLED, [])


def test_who_changed_what_is_on_record_and_of_a_secret_only_its_name(house: House) -> None:
    world = World(house)
    secret: dict[str, JsonValue] = {"type": "string", "writeOnly": True}
    house.stage.action("fail", behave=fails)
    plan = plan_of(
        making("first", arguments=text(expression("inputs.pin", secret=True))),
        step("fail"),
        inputs={"pin": secret, "region": {"type": "string"}},
    )
    assert plan.secret_inputs == ("pin",), "the plan knows it is secret"
    request = house.order(plan, pin="old-battery", region="mars")
    house.run(request)
    fix(house, request, pin="new-battery", region="earth")
    house.run(request)
    assert world.things == ["new-battery"]
    (row,) = house.records.read(lambda tx: tx.corrections.of(request.id))
    assert (row.actor, row.why, row.changed) == ("anna", "mistyped", ("pin", "region"))
    assert (row.before.public, row.inputs.public) == (
        {"pin": None, "region": "mars"},
        {"pin": None, "region": "earth"},
    )
    (event,) = [e for e in house.records.read(lambda tx: tx.audit.of(request.id)) if e.event == "inputs_changed"]
    assert event.actor == "anna"
    assert event.why == "mistyped (changed: pin, region; concerned: first; taken back first: first)"
    assert [touch.kind for touch in house.records.read(lambda tx: tx.touches.of(request.id))] == [TouchKind.FIX]
    assert house.records.read(lambda tx: tx.audit.verify(request.id)) == []
    stored = house.settings.state.glob("*.db*")
    assert not any(b"battery" in path.read_bytes() for path in stored)


# loops: by the key of the item


def test_of_a_loop_items_that_stay_are_not_repeated_those_gone_are_taken_back_new_ones_are_made(house: House) -> None:
    world = World(house)
    request = stuck(house, adding(), members=["anna", "bert", "carl"])
    made = house.stage.actions["stage.make"].calls
    fix(house, request, members=["dora", "carl", "anna"])
    assert house.run(request) == ["join[bert].add.undo:done", "join[dora].add:done", "fail:failed"]
    assert sorted(world.things) == ["anna", "carl", "dora"]
    assert [call.arguments["text"] for call in made] == ["anna", "bert", "carl", "dora"]


def test_of_an_item_that_is_another_under_the_same_key_only_what_reads_it_is_made_anew(house: House) -> None:
    world = World(house)
    pairs = Group(
        blocks=(
            making("fixed", arguments=text(expression("'f-' + inputs.region"))),
            making("shown", arguments=text(expression("'s-' + item"))),
        ),
        path="each",
        loop=Loop(expression("inputs.members"), expression("item[:1]")),
    )
    request = stuck(house, pairs, members=["a1", "b1"], region="mars")
    fix(house, request, members=["a1", "b2"])
    assert house.run(request)[:3] == ["each[b].shown.undo:done", "each[b].fixed:done*", "each[b].shown:done"]
    assert sorted(world.things) == ["f-mars", "s-a1", "s-b2"]


def test_what_reads_a_loop_as_a_whole_is_made_anew_when_an_item_comes_or_goes(house: House) -> None:
    world = World(house)
    count = making("count", arguments=text(expression("steps.join['items'] | length | string")))
    request = stuck(house, adding(), count, members=["anna"])
    fix(house, request, members=["anna", "bert"])
    assert house.run(request) == ["count.undo:done", "join[bert].add:done", "count:done", "fail:failed"]
    assert sorted(world.things) == ["2", "anna", "bert"]


def test_a_loop_in_a_group_in_a_loop_is_corrected_item_by_item(house: House) -> None:
    world = World(house)
    inner = Group(
        blocks=(making("add", arguments=text(expression("item"))),),
        path="inner",
        loop=Loop(expression("inputs.members"), expression("item")),
    )
    outer = Group(
        blocks=(making("room", arguments=text(expression("'room-' + item"))), Group(blocks=(inner,), path="nest")),
        path="outer",
        loop=Loop(expression("['x']"), expression("item")),
    )
    request = stuck(house, outer, members=["anna", "bert"])
    fix(house, request, members=["bert", "carl"])
    assert house.run(request) == [
        "outer[x].inner[anna].add.undo:done",
        "outer[x].room:done*",
        "outer[x].inner[carl].add:done",
        "fail:failed",
    ]
    assert sorted(world.things) == ["bert", "carl", "room-x"]


def test_a_loop_on_hold_in_the_middle_goes_on_with_the_corrected_list(house: House) -> None:
    world = World(house)
    world.broken.add("make bert")
    house.stage.action("fail", behave=fails)
    request = house.order(plan_of(adding(), inputs=INPUTS), region="mars", size=3, members=["anna", "bert", "carl"])
    house.run(request)
    fix(house, request, members=["anna", "carl"])
    assert house.run(request) == ["join[carl].add:done"]
    assert (world.things, house.now(request).state) == (["anna", "carl"], RequestState.FULFILLED)


# conditions


def test_a_step_whose_condition_becomes_false_is_taken_back_and_one_that_becomes_true_runs(house: House) -> None:
    world = World(house)
    request = stuck(
        house,
        making("big", arguments=text(expression("'big'")), when=expression("inputs.size > 2")),
        making("small", arguments=text(expression("'small'")), when=expression("inputs.size <= 2")),
    )
    fix(house, request, size=1)
    assert house.run(request) == ["big.undo:done", "big:skipped", "small:done", "fail:failed"]
    assert world.things == ["small"]
    assert states_of(house, request)["big"] is StepState.SKIPPED


def test_a_group_whose_condition_flips_is_taken_back_and_its_other_branch_runs(house: House) -> None:
    world = World(house)
    group = Group(
        blocks=(making("big"), making("bigger")),
        path="g",
        when=expression("inputs.size > 2"),
        alternative=(making("small"),),
    )
    request = stuck(house, group)
    fix(house, request, size=1)
    assert house.run(request) == ["bigger.undo:done", "big.undo:done", "small:done", "fail:failed"]
    assert world.things == ["small"]
    fix(house, request, size=9)
    assert house.run(request) == ["small.undo:done", "big:done", "bigger:done", "fail:failed"]
    assert world.things == ["big", "bigger"]


def test_a_condition_that_comes_out_the_same_changes_nothing(house: House) -> None:
    world = World(house)
    group = Group(blocks=(making("big"),), path="g", when=expression("inputs.size > 2"))
    request = stuck(house, group, making("after", when=expression("inputs.size > 1")))
    fix(house, request, size=7)
    assert house.run(request) == ["after:done*", "fail:failed"]
    assert (world.things, world.taken) == (["big", "after"], [])


# parallel branches


def test_only_the_branch_that_depends_is_made_anew(house: House) -> None:
    world = World(house)
    left = making("left", arguments=REGION)
    request = stuck(house, Parallel((left, making("right"))))
    fix(house, request, region="earth")
    seen = house.run(request)
    assert seen[0] == "left.undo:done"
    assert sorted(seen[1:3]) == ["left:done", "right:done*"]
    assert sorted(world.things) == ["earth", "right"]


# what cannot be taken back


def refused(house: House, request: RequestRow, match: str, **inputs: JsonValue) -> None:
    before = house.now(request)
    with pytest.raises(NotPossible, match=match):
        fix(house, request, **inputs)
    assert house.now(request) == before
    assert corrections_of(house, request) == []


def test_a_step_that_cannot_be_undone_is_named_with_why_and_what_can_be_done(house: House) -> None:
    World(house)
    request = stuck(house, making("mail", Undo(none="A mail cannot be called back."), arguments=REGION))
    refused(
        house,
        request,
        r"step mail .* cannot be taken back: its model says: A mail cannot be called back\. .* undo the request",
        region="earth",
    )


def test_what_goes_along_with_a_step_that_stays_cannot_be_made_anew_alone(house: House) -> None:
    World(house)
    request = stuck(house, making("bucket"), making("tag", Undo(covered_by="bucket"), arguments=REGION))
    refused(house, request, r"step tag .* goes along with `bucket`, which does not depend", region="earth")


def test_what_goes_along_with_a_step_that_is_taken_back_too_is_made_anew_with_it(house: House) -> None:
    world = World(house)
    tag = making("tag", Undo(covered_by="bucket"), arguments=text(expression("inputs.region + '-tag'")))
    request = stuck(house, making("bucket", arguments=REGION), tag)
    fix(house, request, region="earth")
    assert house.run(request) == ["bucket.undo:done", "bucket:done", "tag:done", "fail:failed"]
    assert world.taken == ["mars"]
    assert "earth-tag" in world.things


def test_what_was_there_before_stays_where_a_correction_leads_away_from_it(house: House) -> None:
    world = World(house, "mars")
    request = stuck(house, making("first", arguments=REGION))
    fix(house, request, region="earth")
    assert house.run(request) == ["first:done", "fail:failed"]
    assert (world.things, world.taken) == (["mars", "earth"], [])


# killed, stuck, changed once more, given up


def test_killed_while_it_takes_back_it_goes_on_with_that_and_does_nothing_twice(house: House) -> None:
    world = World(house)
    request = stuck(house, making("one", arguments=REGION), SECOND)
    fix(house, request, region="earth")
    world.dies.add("take mars")
    kill(house, request)
    assert (world.taken, house.now(request).inputs.public) == (["mars2"], GIVEN)
    world.dies.clear()
    assert house.run(request) == ["one.undo:done", "one:done", "two:done", "fail:failed"]
    assert (world.taken, world.things) == (["mars2", "mars"], ["earth", "earth2"])


def test_killed_after_it_took_back_it_has_the_correction_hold(house: House) -> None:
    world = World(house)
    request = stuck(house, making("one", arguments=REGION))
    fix(house, request, region="earth")
    world.dies |= {"make earth"}
    kill(house, request)
    world.dies.clear()
    assert house.run(request) == ["one:done", "fail:failed"]
    assert (world.taken, world.things) == (["mars"], ["earth"])


def test_when_it_cannot_be_taken_back_the_request_is_on_hold_and_a_retry_goes_on_with_that(house: House) -> None:
    world = World(house)
    request = stuck(house, making("one", arguments=REGION))
    world.broken.add("take mars")
    fix(house, request, region="earth")
    assert house.run(request) == ["one.undo:failed"]
    held = house.now(request)
    assert (held.state, held.inputs.public) == (RequestState.ON_HOLD, GIVEN)
    assert "one.undo: cannot take mars" in held.state_reason
    with pytest.raises(NotPossible, match="taken back first"):
        house.interventions.complete(Act(request.id, CALLER, Remark("x")), "fail", "", {})
    world.broken.clear()
    house.lifecycle.retry(request.id, CALLER, "mended")
    assert house.run(request) == ["one.undo:done", "one:done", "fail:failed"]
    assert world.things == ["earth"]


def test_corrected_back_before_it_held_what_was_taken_back_is_made_again_as_it_was(house: House) -> None:
    world = World(house)
    request = stuck(house, making("one", arguments=REGION), SECOND)
    world.broken.add("take mars")
    fix(house, request, region="earth")
    house.run(request)
    assert world.things == ["mars"]
    fix(house, request, region="mars")
    assert house.run(request) == ["one:done*", "two:done", "fail:failed"]
    assert sorted(world.things) == ["mars", "mars2"]
    assert corrections_of(house, request) == [CorrectionState.WITHDRAWN, CorrectionState.APPLIED]


def test_cancelled_while_a_correction_is_stuck_all_is_taken_back_with_what_it_was_made_from(house: House) -> None:
    world = World(house)
    request = stuck(house, making("zero"), making("one", arguments=REGION))
    world.broken.add("take mars")
    fix(house, request, region="earth")
    house.run(request)
    world.broken.clear()
    cancel(house, request)
    take_back(house, request)
    assert (house.now(request).state, world.things) == (RequestState.CANCELLED, [])
    assert corrections_of(house, request) == [CorrectionState.WITHDRAWN]


def test_an_undo_that_reads_the_corrected_input_sees_it_as_it_was(house: House) -> None:
    world = World(house)
    undo = Undo(actions=(undo_action("inputs.region"),))
    request = stuck(house, making("one", undo, arguments=REGION))
    fix(house, request, region="earth")
    house.run(request)
    assert (world.taken, world.things) == (["mars"], ["earth"])

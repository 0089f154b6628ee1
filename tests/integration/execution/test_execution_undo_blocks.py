"""`on_failure: undo` of steps, groups and loops, and of the whole request."""

from flows.records.states import EffectState, RequestState
from request_models.plan import (
    Group,
    Loop,
    OnFailure,
    Parallel,
    Undo,
)
from staging import House, expression, plan_of, text
from undoing_world import (
    MEMBERS,
    World,
    cancel,
    effects_of,
    kill,
    making,
    take_back,
)


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

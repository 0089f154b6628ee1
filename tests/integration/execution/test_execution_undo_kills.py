"""An undo is gone on with whenever its process dies."""

import random
from collections import Counter
from uuid import UUID

import pytest

from connectors.memory import Killed
from flows.records.rows import RequestRow
from flows.records.states import EffectState, RequestState
from request_models.actions import (
    ActionCall,
    ActionResult,
    Outcome,
)
from request_models.plan import (
    Group,
    Loop,
    Parallel,
    Undo,
)
from staging import Behaviour, House, expression, plan_of, step, text
from undoing_world import (
    MEMBERS,
    World,
    cancel,
    fails,
    held,
    kill,
    let_claim_end,
    making,
)


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
            let_claim_end(house, request)


@pytest.mark.parametrize("seed", range(6))
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
    house.stage.action("fail", behave=fails)
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

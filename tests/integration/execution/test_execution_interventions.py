"""What a person does to a request on hold: what it changes, what it leaves as it was, and what is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from flows.corrections import Correction
from flows.errors import (
    ChangedMeanwhile,
    InvalidInputs,
    InvalidResult,
    NotAllowed,
    NotPossible,
    OrderlyError,
    WrongState,
)
from flows.execution import End, Suspend
from flows.holds import Choice, Hold, hold_of
from flows.interventions import Act
from flows.records.records import Transaction
from flows.records.rows import RequestRow, Touch
from flows.records.states import AttemptOutcome, EffectState, RequestState, TouchKind
from flows.touching import Remark
from request_models.actions import ActionCall, ActionFailed, ActionResult, EffectClass, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import (
    Group,
    Literal,
    Loop,
    MapOf,
    NamedValue,
    OnFailure,
    Output,
    Parallel,
    Step,
    Undo,
    UndoAction,
)
from staging import CALLER, House, expression, plan_of, run_of, step, text

WHY = Remark("the world is odd", 4.0, "network")
MEMBERS: dict[str, JsonValue] = {"members": {"type": "array", "items": {"type": "string"}}}
REGION: dict[str, JsonValue] = {"region": {"type": "string"}, "size": {"type": "integer"}}


class Moody:
    """An action that fails for the texts named, in the way named, until told to be well."""

    def __init__(self, *bad: str, error: ErrorClass = ErrorClass.PERMANENT) -> None:
        self.bad = set(bad)
        self.error = error

    def __call__(self, call: ActionCall) -> ActionResult:
        if str(call.arguments["text"]) in self.bad:
            raise ActionFailed("it is broken", error_class=self.error, code="Broken")
        return ActionResult(Outcome.MADE, {"text": call.arguments["text"]})


def by_hand(request: RequestRow, version: int | None = None) -> Act:
    return Act(request.id, CALLER, WHY, version)


def held(house: House, request: RequestRow) -> Hold:
    def read(tx: Transaction) -> Hold | None:
        row = tx.requests.get(request.id)
        assert row is not None
        return hold_of(tx, row, tx.plans.get(row.plan_digest))

    found = house.records.read(read)
    assert found is not None
    return found


def touches_of(house: House, request: RequestRow) -> list[Touch]:
    return house.records.read(lambda tx: tx.touches.of(request.id))


def touched(house: House, request: RequestRow) -> list[tuple[str, bool]]:
    return [(row.path, row.touched) for row in house.records.read(lambda tx: tx.steps.attempts(request.id))]


# complete


def test_a_step_completed_by_hand_counts_as_made_and_the_rest_follows(house: House) -> None:
    staged = house.stage.action("one", behave=Moody("one"))
    after = house.stage.action("after")
    plan = plan_of(step("one"), step("after", arguments=text(expression("steps.one.result.text"))))
    request = house.order(plan)
    house.run(request)
    assert [(one.label, one.choices) for one in held(house, request).steps] == [("one", (Choice.COMPLETE,))]
    row = house.interventions.complete(by_hand(request), "one", "", {"text": "made by me"})
    assert row.state is RequestState.IN_PROGRESS
    assert house.run(request) == ["one:done*", "after:done"]
    assert len(staged.calls) == 1
    assert after.calls[0].arguments == {"text": "made by me"}
    effect = house.records.read(lambda tx: tx.effects.current(request.id, "one"))
    assert effect is not None
    assert (effect.generation, effect.state, effect.outcome) == (2, EffectState.DONE, Outcome.MADE)
    attempts = house.records.read(lambda tx: tx.steps.attempts(request.id))
    assert [(one.outcome, one.touched) for one in attempts] == [
        (AttemptOutcome.FAILED, False),
        (AttemptOutcome.MADE, True),
        (AttemptOutcome.MADE, False),
    ]
    (touch,) = touches_of(house, request)
    assert (touch.kind, touch.path, touch.actor, touch.why, touch.minutes, touch.label) == (
        TouchKind.COMPLETE,
        "one",
        "anna",
        "the world is odd",
        4.0,
        "network",
    )
    assert house.records.read(lambda tx: tx.audit.verify(request.id)) == []


def test_completing_settles_an_effect_of_which_nothing_was_known(house: House) -> None:
    house.stage.action("one", EffectClass.NOT_REPEATABLE, Moody("one", error=ErrorClass.UNKNOWN))
    request = house.order(plan_of(step("one", EffectClass.NOT_REPEATABLE)))
    house.run(request)
    assert house.run(request) == ["one:failed"]  # a retry does not resolve it
    house.interventions.complete(by_hand(request), "one", "", {"seen": True})
    effects = house.records.read(lambda tx: tx.effects.all(request.id))
    assert [(one.generation, one.state) for one in effects] == [(1, EffectState.DONE)]
    assert house.run(request) == ["one:done*"]


def test_a_result_of_another_type_is_refused_and_nothing_is_changed(house: House) -> None:
    staged = house.stage.action("one", behave=Moody("one"))
    staged.spec = replace(staged.spec, result=staged.spec.arguments)
    request = house.order(plan_of(replace(step("one"), contract=staged.spec.contract)))
    house.run(request)
    before = house.now(request)
    wrong_ones: list[JsonValue] = [{"text": 7}, {"txet": "a"}, [], None, "text"]
    for wrong in wrong_ones:
        with pytest.raises(InvalidResult):
            house.interventions.complete(by_hand(request), "one", "", wrong)
    assert house.now(request) == before
    house.interventions.complete(by_hand(request), "one", "", {"text": "right"})
    assert house.run(request) == ["one:done*"]


def test_a_step_that_is_done_not_reached_or_not_there_cannot_be_completed(house: House) -> None:
    house.stage.action("first")
    house.stage.action("one", behave=Moody("one"))
    request = house.order(plan_of(step("first"), step("one"), step("last")))
    house.run(request)
    for path in ("first", "last", "nowhere"):
        with pytest.raises(NotPossible):
            house.interventions.complete(by_hand(request), path, "", {})


def test_a_step_that_could_not_be_evaluated_can_be_completed(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one", arguments=text(expression("inputs.nothing")))))
    house.run(request)
    assert [one.path for one in held(house, request).steps] == ["one"]
    house.interventions.complete(by_hand(request), "one", "", {})
    assert house.run(request) == ["one:done*"]


def test_one_item_of_a_loop_is_completed_and_the_others_stay_as_they_are(house: House) -> None:
    house.stage.action("add", behave=Moody("bert"))
    each = step("add", arguments=text(expression("item")))
    group = Group(blocks=(each,), path="join", loop=Loop(expression("inputs.members"), expression("item")))
    request = house.order(plan_of(group, inputs=MEMBERS), members=["anna", "bert", "carl"])
    house.run(request)
    (one,) = held(house, request).steps
    assert (one.label, one.item_key) == ("join[bert].add", "bert")
    house.interventions.complete(by_hand(request), "add", "bert", {"text": "bert"})
    assert house.run(request) == ["join[bert].add:done*", "join[carl].add:done"]


def test_two_steps_can_be_completed_before_the_request_goes_on(house: House) -> None:
    house.stage.action("left", behave=Moody("left"))
    house.stage.action("right", behave=Moody("right"))
    request = house.order(plan_of(Parallel((step("left"), step("right")))))
    house.run(request)
    row = house.interventions.complete(by_hand(request), "left", "", {}, go_on=False)
    assert row.state is RequestState.ON_HOLD
    row = house.interventions.complete(by_hand(request), "right", "", {})
    assert row.state is RequestState.IN_PROGRESS
    assert sorted(house.run(request)) == ["left:done*", "right:done*"]


def test_a_secret_result_given_by_hand_is_sealed(house: House) -> None:
    house.stage.action("one", behave=Moody("one"))
    request = house.order(plan_of(step("one", secret_results=("/key",))))
    house.run(request)
    house.interventions.complete(by_hand(request), "one", "", {"key": "battery-staple"})
    row = house.records.read(lambda tx: tx.steps.get(request.id, "one"))
    assert row is not None
    assert row.result is not None
    assert row.result.public == {"key": None}
    assert house.records.read(lambda tx: tx.secrets.reveal(request.id, row.result)) == {"key": "battery-staple"}  # type: ignore[arg-type]  # seen above


# skip


def test_a_step_is_skipped_only_where_the_model_goes_on_without_it(house: House) -> None:
    house.stage.action("one", behave=Moody("one"))
    request = house.order(plan_of(step("one"), step("after")))
    house.run(request)
    with pytest.raises(NotPossible, match="on_failure: continue"):
        house.interventions.skip(by_hand(request), "one", "")
    assert touches_of(house, request) == []


def test_what_is_skipped_counts_as_failed_to_those_that_read_it(house: House) -> None:
    """A request can be on hold in such a step when its process was given up on, or cancelled in Prefect."""
    house.stage.action("after")
    optional = step("one", on_failure=OnFailure.CONTINUE)
    shown = Output("state", expression("steps.one.state"))
    request = house.order(plan_of(optional, step("after"), outputs=(shown,)))

    def die(call: ActionCall) -> ActionResult:
        raise KeyboardInterrupt  # the process ends in the middle of the call

    house.stage.action("one", behave=die)
    with pytest.raises(KeyboardInterrupt):
        house.run(request)
    house.lifecycle.hold(request.id, actor="prefect-ui", why="its run was cancelled in Prefect")
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    house.records.run(lambda tx: tx.claims.release(claim))
    (one,) = held(house, request).steps
    assert one.choices == (Choice.COMPLETE, Choice.SKIP)
    house.interventions.skip(by_hand(request), "one", "")
    assert house.run(request) == ["after:done"]
    row = house.now(request)
    assert row.outputs is not None
    assert row.outputs.public == {"state": {"value": "failed"}}
    assert [touch.kind for touch in touches_of(house, request)] == [TouchKind.SKIP]


# fix and go on


def undoable(path: str, **more: Any) -> Step:
    gone = UndoAction(
        uses="stage.gone", contract="1", effect=EffectClass.IDEMPOTENT, arguments=text(expression("args.text"))
    )
    return step(path, undo=Undo(actions=(gone,)), **more)


def test_corrected_inputs_are_seen_by_what_failed_and_follows_and_what_is_done_stays(house: House) -> None:
    first = house.stage.action("first")
    two = house.stage.action("two", behave=Moody("mars"))
    three = house.stage.action("three")
    plan = plan_of(
        undoable("first", arguments=text(expression("inputs.size | string"))),
        step("two", arguments=text(expression("values.place"))),
        step("three", arguments=text(expression("inputs.region"))),
        inputs=REGION,
        values=(NamedValue("place", expression("inputs.region")),),
    )
    request = house.order(plan, region="mars", size=3)
    house.run(request)
    house.corrections.fix(by_hand(request), Correction({"region": "earth"}))
    assert house.run(request) == ["first:done*", "two:done", "three:done"]
    assert [len(staged.calls) for staged in (first, two, three)] == [1, 2, 1]
    assert two.calls[1].arguments == three.calls[0].arguments == {"text": "earth"}
    row = house.now(request)
    assert row.inputs.public == {"region": "earth", "size": 3}
    assert row.values is not None
    assert row.values.public == {"place": "earth"}
    events = house.records.read(lambda tx: tx.audit.of(request.id))
    (event,) = [one for one in events if one.event == "inputs_changed"]
    assert (event.actor, event.why) == ("anna", "the world is odd (changed: region; concerned: two)")
    assert [touch.kind for touch in touches_of(house, request)] == [TouchKind.FIX]
    assert touched(house, request) == [("first", False), ("two", False), ("two", True), ("three", False)]
    tokens = [effect.token for effect in house.records.read(lambda tx: tx.effects.all(request.id))]
    assert len(set(tokens)) == len(tokens) == 4


def test_a_done_step_that_only_read_or_found_it_so_runs_again(house: House) -> None:
    look = house.stage.action("look", EffectClass.READ_ONLY, lambda call: ActionResult(Outcome.READ, {}))
    there = house.stage.action("there", behave=lambda call: ActionResult(Outcome.ALREADY_SO, {}))
    house.stage.action("two", behave=Moody("mars"))
    reads = text(expression("inputs.region"))
    group = Group(blocks=(undoable("there", arguments=reads),), path="g", when=expression("inputs.size > 1"))
    plan = plan_of(
        step("look", EffectClass.READ_ONLY, arguments=reads), group, step("two", arguments=reads), inputs=REGION
    )
    request = house.order(plan, region="mars", size=3)
    house.run(request)
    house.corrections.fix(by_hand(request), Correction({"region": "earth"}))
    assert house.run(request) == ["look:done", "there:done", "two:done"]
    assert [call.arguments["text"] for call in (*look.calls, *there.calls)] == ["mars", "earth"] * 2


def test_a_step_of_which_nothing_is_known_is_not_run_with_other_inputs(house: House) -> None:
    house.stage.action("one", EffectClass.NOT_REPEATABLE, Moody("mars", error=ErrorClass.UNKNOWN))
    plan = plan_of(step("one", EffectClass.NOT_REPEATABLE, arguments=text(expression("inputs.region"))), inputs=REGION)
    request = house.order(plan, region="mars", size=3)
    house.run(request)
    with pytest.raises(NotPossible, match="not known what it did"):
        house.corrections.fix(by_hand(request), Correction({"region": "earth"}))


def test_a_condition_that_depends_on_the_correction_is_asked_anew(house: House) -> None:
    house.stage.action("one", behave=Moody("one"))
    house.stage.action("two")
    group = Group(blocks=(step("one"),), when=expression("inputs.size > 5"), alternative=(step("two"),))
    request = house.order(plan_of(group, inputs=REGION), region="mars", size=9)
    assert house.run(request) == ["one:failed"]
    house.corrections.fix(by_hand(request), Correction({"size": 1}))
    assert house.run(request) == ["two:done"]


def test_corrections_are_judged_as_orders_are(house: House) -> None:
    house.stage.action("one", behave=Moody("one"))
    request = house.order(plan_of(step("one"), inputs=REGION), region="mars", size=3)
    house.run(request)
    before = house.now(request)
    wrong: list[tuple[Correction, type[OrderlyError]]] = [
        (Correction({"size": True}), InvalidInputs),
        (Correction({"colour": "red"}), InvalidInputs),
        (Correction({}, unset=("region",)), InvalidInputs),
        (Correction({"size": 3}), NotPossible),
        (Correction({}), NotPossible),
    ]
    for correction, error in wrong:
        with pytest.raises(error):
            house.corrections.fix(by_hand(request), correction)
    assert house.now(request) == before


# assign, versions, rights


def test_a_hold_is_assigned_and_that_ends_with_the_hold(house: House) -> None:
    moody = Moody("one")
    house.stage.action("one", behave=moody)
    request = house.order(plan_of(step("one")))
    house.run(request)
    house.interventions.assign(by_hand(request), "network", "zoe")
    hold = held(house, request)
    assert (hold.team, hold.assignee) == ("network", "zoe")
    assert hold.choices == (Choice.RETRY, Choice.UNDO, Choice.ASSIGN)
    moody.bad.clear()
    house.lifecycle.retry(request.id, CALLER, "mended")
    assert house.now(request).hold_team is None
    assert [(touch.kind, touch.team) for touch in touches_of(house, request)] == [
        (TouchKind.HAND_OVER, None),
        (TouchKind.RETRY, "network"),
    ]


def test_an_act_on_what_was_changed_meanwhile_is_refused(house: House) -> None:
    house.stage.action("one", behave=Moody("one"))
    request = house.order(plan_of(step("one")))
    house.run(request)
    seen = house.now(request).version
    house.interventions.assign(by_hand(request, seen), "network", None)
    with pytest.raises(ChangedMeanwhile):
        house.interventions.complete(by_hand(request, seen), "one", "", {})


def test_acts_need_the_scope_and_a_request_on_hold(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one")))
    with pytest.raises(WrongState, match="on_hold"):
        house.interventions.complete(by_hand(request), "one", "", {})
    reader = replace(CALLER, scopes=frozenset({"requests:read"}))
    with pytest.raises(NotAllowed):
        house.interventions.complete(Act(request.id, reader, WHY), "one", "", {})


# what is pressed twice, too late, or in Prefect


def test_of_two_operators_who_retry_at_once_one_is_heard_and_the_step_runs_once(house: House) -> None:
    moody = Moody("one")
    staged = house.stage.action("one", behave=moody)
    request = house.order(plan_of(step("one")))
    house.run(request)
    moody.bad.clear()
    together = threading.Barrier(2, timeout=20)

    def press(_: int) -> str:
        together.wait()
        try:
            return house.lifecycle.retry(request.id, CALLER, "mended").state.value
        except WrongState as error:
            return error.state

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(press, range(2))) == ["in_progress", "in_progress"]
    assert len(touches_of(house, request)) == 1
    assert len(house.records.read(lambda tx: tx.outbox.due("retry", house.clock(), 9))) == 1
    assert house.run(request) == ["one:done"]
    assert len(staged.calls) == 2


def test_of_two_operators_who_complete_at_once_the_first_counts(house: House) -> None:
    house.stage.action("one", behave=Moody("one"))
    request = house.order(plan_of(step("one")))
    house.run(request)
    together = threading.Barrier(2, timeout=20)

    def press(who: int) -> bool:
        together.wait()
        try:
            house.interventions.complete(by_hand(request), "one", "", {"who": who})
        except WrongState:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(press, range(2))) == [False, True]
    effects = house.records.read(lambda tx: tx.effects.all(request.id))
    assert [one.state for one in effects] == [EffectState.FAILED, EffectState.DONE]


def test_a_retry_pressed_in_prefect_is_a_touch_of_nobody_known(house: House) -> None:
    moody = Moody("one")
    house.stage.action("one", behave=moody)
    request = house.order(plan_of(step("one")))
    house.run(request)
    moody.bad.clear()
    house.run(request)
    (touch,) = touches_of(house, request)
    assert (touch.kind, touch.actor, touch.path) == (TouchKind.RETRY, "prefect-ui", "one")
    assert "reason unknown" in touch.why
    assert touched(house, request) == [("one", False), ("one", True)]


def test_a_retry_of_what_is_fulfilled_does_nothing_wherever_it_is_pressed(house: House) -> None:
    staged = house.stage.action("one")
    request = house.order(plan_of(step("one")))
    house.run(request)
    with pytest.raises(WrongState, match="fulfilled"):
        house.lifecycle.retry(request.id, CALLER, "once more")
    entry = house.execution.enter(request.id, run_of(request))
    assert isinstance(entry, End)
    assert (entry.kind, "fulfilled already" in entry.message) == ("completed", True)
    assert len(staged.calls) == 1
    assert touches_of(house, request) == []


def test_a_retry_while_it_waits_skips_no_wait(house: House) -> None:
    until = Step(
        path="later",
        uses="wait.until",
        contract="1",
        effect=EffectClass.READ_ONLY,
        arguments=MapOf({"at": Literal("2999-01-01T00:00:00Z")}),
    )
    request = house.order(plan_of(until))
    house.run(request)
    with pytest.raises(WrongState, match="waiting"):
        house.lifecycle.retry(request.id, CALLER, "go on")
    entry = house.execution.enter(request.id, run_of(request))
    assert isinstance(entry, Suspend)
    assert "it waits until 2999-01-01" in entry.message
    assert house.now(request).state is RequestState.WAITING

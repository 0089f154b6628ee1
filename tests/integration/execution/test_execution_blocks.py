"""Groups, branches, loops and polling: which steps run, what a retry passes over, and what is waited for."""

import threading
from collections import Counter
from datetime import datetime, timedelta

from flows.execution import Suspend
from flows.records.states import RequestState
from request_models.actions import ActionCall, ActionFailed, ActionResult, EffectClass, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import Group, Literal, Loop, OnFailure, Output, Parallel, Polling, Retry, Step
from staging import House, expression, plan_of, run_of, step, text

MEMBERS: dict[str, JsonValue] = {"members": {"type": "array", "items": {"type": "string"}}}


def failing(code: str = "Broken", error: ErrorClass = ErrorClass.PERMANENT) -> ActionFailed:
    return ActionFailed("it is broken", error_class=error, code=code)


def add(**more: object) -> Step:
    return step("add", EffectClass.IDEMPOTENT, arguments=text(expression("item")), **more)


def loop(*, concurrency: int = 1) -> Loop:
    return Loop(expression("inputs.members"), expression("item"), concurrency)


def outputs(house: House, request_id: str) -> JsonValue:
    row = house.records.read(lambda tx: tx.requests.get(request_id))
    assert row is not None
    assert row.outputs is not None
    return row.outputs.public


class Moody:
    """An action that fails for the texts named, until told to be well."""

    def __init__(self, *bad: str) -> None:
        self.bad = set(bad)
        self.seen: Counter[str] = Counter()

    def __call__(self, call: ActionCall) -> ActionResult:
        what = str(call.arguments["text"])
        self.seen[what] += 1
        if what in self.bad:
            raise failing()
        return ActionResult(Outcome.MADE, {"text": what})


def test_a_group_runs_its_steps_or_its_alternative_and_the_rest_counts_as_skipped(house: House) -> None:
    for name in ("big", "small", "after"):
        house.stage.action(name)
    group = Group(blocks=(step("big"),), path="size", when=expression("inputs.size > 5"), alternative=(step("small"),))
    shown = Output("states", expression("[steps.size.state, steps.big.state, steps.small.state]"))
    plan = plan_of(group, step("after"), inputs={"size": {"type": "integer"}}, outputs=(shown,))
    large, little = house.order(plan, size=9), house.order(plan, size=1)
    assert house.run(large) == ["big:done", "after:done"]
    assert house.run(little) == ["small:done", "after:done"]
    assert outputs(house, large.id) == {"states": {"value": ["done", "done", "skipped"]}}
    assert outputs(house, little.id) == {"states": {"value": ["skipped", "skipped", "done"]}}


def test_a_groups_condition_is_asked_once(house: House) -> None:
    house.stage.action("look", EffectClass.READ_ONLY, lambda call: ActionResult(Outcome.READ, {"ready": True}))
    moody = Moody("inner")
    house.stage.action("inner", behave=moody)
    group = Group(blocks=(step("inner"),), when=expression("steps.look.result.ready"))
    request = house.order(plan_of(step("look", EffectClass.READ_ONLY), group))
    assert house.run(request) == ["look:done", "inner:failed"]
    decided = house.records.read(lambda tx: tx.blocks.all(request.id))
    assert [(row.place, row.when_value) for row in decided] == [("/1", True)]
    moody.bad.clear()
    assert house.run(request) == ["look:done*", "inner:done"]
    assert house.now(request).state is RequestState.FULFILLED


def test_all_branches_reach_an_outcome_though_one_fails_and_a_retry_takes_up_that_one(house: House) -> None:
    moody = Moody("left")
    together = threading.Barrier(2, timeout=20)

    def left(call: ActionCall) -> ActionResult:
        if moody.bad:
            together.wait()
        return moody(call)

    def right(call: ActionCall) -> ActionResult:
        if moody.bad:
            together.wait()  # both are under way at once, or this times out
        return ActionResult(Outcome.MADE, {})

    house.stage.action("left", behave=left)
    house.stage.action("right", behave=right)
    house.stage.action("after")
    request = house.order(plan_of(Parallel(branches=(step("left"), step("right"))), step("after")))
    assert sorted(house.run(request)) == ["left:failed", "right:done"]
    assert house.now(request).state is RequestState.ON_HOLD
    moody.bad.clear()
    again = house.run(request)
    assert sorted(again[:2]) == ["left:done", "right:done*"]
    assert again[2:] == ["after:done"]


def test_a_loop_runs_each_item_by_its_key_and_gives_its_items(house: House) -> None:
    house.stage.action("add")
    group = Group(blocks=(add(),), path="join", loop=loop())
    shown = Output("names", expression("steps.join.items | map(attribute='steps.add.result.text') | list"))
    request = house.order(plan_of(group, inputs=MEMBERS, outputs=(shown,)), members=["anna", "bert"])
    assert house.run(request) == ["join[anna].add:done", "join[bert].add:done"]
    assert outputs(house, request.id) == {"names": {"value": ["anna", "bert"]}}


def test_what_is_done_of_a_loop_stays_done_when_it_is_taken_up_again(house: House) -> None:
    people: list[JsonValue] = [f"p{number}" for number in range(30)]
    moody = Moody("p17")
    house.stage.action("add", behave=moody)
    request = house.order(plan_of(add(loop=loop()), inputs=MEMBERS), members=people)
    assert house.run(request)[-1] == "add[p17]:failed"
    moody.bad.clear()
    assert house.run(request)[0] == "add[p17]:done"
    assert moody.seen["p17"] == 2
    assert {count for name, count in moody.seen.items() if name != "p17"} == {1}
    assert house.now(request).state is RequestState.FULFILLED


def test_items_of_a_loop_run_so_many_at_once(house: House) -> None:
    together = threading.Barrier(3, timeout=20)

    def behave(call: ActionCall) -> ActionResult:
        together.wait()
        return ActionResult(Outcome.MADE, {})

    house.stage.action("add", behave=behave)
    plan = plan_of(add(loop=loop(concurrency=3)), inputs=MEMBERS)
    request = house.order(plan, members=["a", "b", "c", "d", "e", "f"])
    assert len(house.run(request)) == 6
    assert house.now(request).state is RequestState.FULFILLED


def test_items_fail_one_by_one_where_the_model_goes_on_and_no_retry_takes_them_up(house: House) -> None:
    moody, later = Moody("bert"), Moody("tell")
    house.stage.action("add", behave=moody)
    house.stage.action("tell", behave=later)
    group = Group(blocks=(add(),), path="join", loop=loop(), on_failure=OnFailure.CONTINUE)
    shown = Output(
        "failed",
        expression("steps.join.items | selectattr('state', 'equalto', 'failed') | map(attribute='item') | list"),
    )
    plan = plan_of(
        group, step("tell", when=expression("steps.join.state == 'failed'")), inputs=MEMBERS, outputs=(shown,)
    )
    request = house.order(plan, members=["anna", "bert", "carl"])
    ran = house.run(request)
    assert ran == ["join[anna].add:done", "join[bert].add:failed", "join[carl].add:done", "tell:failed"]
    moody.bad.clear()
    later.bad.clear()
    assert house.run(request) == ["tell:done"]
    assert moody.seen["bert"] == 1
    assert outputs(house, request.id) == {"failed": {"value": ["bert"]}}


def test_two_items_of_one_name_are_refused_before_anything_is_done(house: House) -> None:
    staged = house.stage.action("add")
    request = house.order(plan_of(add(loop=loop()), inputs=MEMBERS), members=["anna", "anna"])
    house.run(request)
    assert "two items of the list are called" in house.now(request).state_reason
    assert staged.calls == []


def test_nested_loops_keep_their_items_apart(house: House) -> None:
    house.stage.action("add")
    inner = Group(blocks=(add(),), path="inner", loop=Loop(expression("item"), expression("item")))
    outer = Group(blocks=(inner,), path="outer", loop=Loop(expression("inputs.lists"), expression("item | join('-')")))
    lists: dict[str, JsonValue] = {"lists": {"type": "array"}}
    request = house.order(plan_of(outer, inputs=lists), lists=[["a", "b"], ["a"]])
    assert house.run(request) == [
        "outer[a-b].inner[a].add:done",
        "outer[a-b].inner[b].add:done",
        "outer[a].inner[a].add:done",
    ]
    tokens = {row.token for row in house.records.read(lambda tx: tx.effects.all(request.id))}
    assert len(tokens) == 3


def test_a_step_that_the_model_goes_on_without_is_failed_for_those_that_read_it(house: House) -> None:
    house.stage.action("one", behave=Moody("one"))
    house.stage.action("two")
    shown = Output("state", expression("steps.one.state"))
    request = house.order(plan_of(step("one", on_failure=OnFailure.CONTINUE), step("two"), outputs=(shown,)))
    assert house.run(request) == ["one:failed", "two:done"]
    assert outputs(house, request.id) == {"state": {"value": "failed"}}


def polled(every: float, within: float = 60, **more: object) -> Step:
    polling = Polling(expression("result.ready"), every, within, not_yet=("NotThere",), **more)  # type: ignore[arg-type]  # tests pass fields by name
    return step("look", EffectClass.READ_ONLY, arguments=text(Literal("x")), polling=polling)


class Looks:
    """An action that answers each look with the next of some answers."""

    def __init__(self, *answers: "JsonValue | ActionFailed") -> None:
        self.answers = list(answers)

    def __call__(self, call: ActionCall) -> ActionResult:
        answer = self.answers.pop(0)
        if isinstance(answer, ActionFailed):
            raise answer
        return ActionResult(Outcome.READ, answer)


def test_polling_looks_until_it_is_as_wished_and_outlives_the_errors_named(house: House) -> None:
    looks = Looks(failing("NotThere"), {"ready": False}, {"ready": True})
    house.stage.action("look", EffectClass.READ_ONLY, looks)
    request = house.order(plan_of(polled(0.01)))
    assert house.run(request) == ["look:done"]
    assert looks.answers == []


def test_polling_ends_as_failed_by_its_own_condition_by_other_errors_and_by_its_time(house: House) -> None:
    cases = [
        (
            polled(0.01, fails=expression("result.broken")),
            Looks({"ready": False, "broken": True}),
            "never be as wished",
        ),
        (polled(0.01), Looks(failing("Other")), "it is broken"),
        (polled(0.01, within=0.001), Looks({"ready": False}), "not as wished within"),
    ]
    for planned, looks, said in cases:
        house.stage.action("look", EffectClass.READ_ONLY, looks)
        request = house.order(plan_of(planned))
        assert house.run(request) == ["look:failed"]
        assert said in house.now(request).state_reason


def test_a_long_pause_holds_no_worker_and_the_request_knows_when_to_go_on(house: House) -> None:
    looks = Looks({"ready": False}, {"ready": True})
    house.stage.action("look", EffectClass.READ_ONLY, looks)
    request = house.order(plan_of(polled(40, within=600)))
    before = house.records.now()
    assert house.run(request) == ["look:waiting"]
    row = house.now(request)
    assert row.state is RequestState.WAITING
    assert row.wake_at is not None
    assert timedelta(seconds=39) < row.wake_at - before < timedelta(seconds=60)
    assert isinstance(house.execution.enter(request.id, run_of(request)), Suspend)
    assert house.records.read(lambda tx: tx.requests.to_wake(before, 9)) == []
    due = house.records.read(lambda tx: tx.requests.to_wake(before + timedelta(minutes=5), 9))
    assert [one.id for one in due] == [request.id]


def test_a_request_woken_for_another_step_does_not_look_before_its_time(house: House) -> None:
    looks = Looks({"ready": False})
    house.stage.action("look", EffectClass.READ_ONLY, looks)
    request = house.order(plan_of(polled(40, within=600)))
    house.run(request)
    house.records.run(lambda tx: tx.requests.move(request.id, RequestState.IN_PROGRESS, actor="t", why="woken"))
    assert house.run(request) == ["look:waiting"]


def test_a_long_pause_between_attempts_holds_no_worker_either(house: House) -> None:
    house.stage.action("one", behave=lambda call: _raise(failing("Busy", ErrorClass.TRANSIENT)))
    request = house.order(plan_of(step("one", retry=Retry(attempts=3, delay_seconds=300))))
    assert house.run(request) == ["one:waiting"]
    assert _wake_of(house, request.id) > house.records.now() + timedelta(minutes=4)


def _raise(error: ActionFailed) -> ActionResult:
    raise error


def _wake_of(house: House, request_id: str) -> datetime:
    row = house.records.read(lambda tx: tx.requests.get(request_id))
    assert row is not None
    assert row.wake_at is not None
    return row.wake_at

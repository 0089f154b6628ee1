"""Tasks, waits and orders of other models: what they wait for and what wakes them; nothing is missed or doubled."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flows.errors import ChangedMeanwhile, InvalidResult, NotAllowed, TaskClosed, TaskNotFound
from flows.incoming_events import Incoming, IncomingEvents, forget_old_events
from flows.lifecycle import Caller
from flows.people_tasks import PeopleTasks, mark_overdue
from flows.records.records import Transaction
from flows.records.rows import Person, RequestRow, TaskFilter, TaskRow, Touch
from flows.records.states import EffectState, RequestState, StepState, TaskState, TouchKind
from flows.touching import Remark
from flows.waking import deliver_wakes
from ordering import child_plan, children, engine, ordering, with_run
from request_models.actions import ActionCall, ActionFailed, ActionResult, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import Literal, Loop, MapOf, Output, Parallel, Step, Text
from staging import CALLER, House, expression, plan_of, step

OLGA = Caller(
    "key-9",
    Person(id="olga", name="Olga", groups=("storage",)),
    frozenset({"tasks:read", "tasks:act", "events:send", "requests:read", "requests:act"}),
)
ADDED: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"count": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["count"],
    "additionalProperties": False,
}


def task(path: str = "by_hand", returns: dict[str, JsonValue] | None = None, **more: object) -> Step:
    return engine(
        path, "human.task", returns, **{"team": Literal("storage"), "instructions": Literal("Add them."), **more}
    )


def tasks_of(house: House, request: RequestRow) -> list[TaskRow]:
    return house.records.read(lambda tx: tx.tasks.list(TaskFilter(state=None, request_id=request.id)))


def touches_of(house: House, request: RequestRow) -> list[Touch]:
    return house.records.read(lambda tx: tx.touches.of(request.id))


def go_on(house: House, request: RequestRow) -> None:
    """What the keeper does when the time has come."""
    house.records.run(lambda tx: tx.requests.move(request.id, RequestState.IN_PROGRESS, actor="k", why="its time"))


def result_of(house: House, request: RequestRow, path: str) -> JsonValue:
    def read(tx: Transaction) -> JsonValue:
        row = tx.steps.get(request.id, path)
        assert row is not None
        assert row.result is not None
        return tx.secrets.reveal(request.id, row.result)

    return house.records.read(read)


# tasks


def test_a_task_waits_for_a_person_whose_typed_answer_the_next_step_sees(house: House) -> None:
    told = house.stage.action("tell")
    after = step("tell", arguments=MapOf({"text": expression("steps.by_hand.result.count | string")}))
    request = house.order(plan_of(task(returns=ADDED, within=Literal("PT1H")), after))
    assert house.run(request) == ["by_hand:waiting"]
    row = house.now(request)
    assert (row.state, row.state_reason) == (RequestState.WAITING, "it waits for a task of the team storage")
    (asked,) = tasks_of(house, request)
    assert (asked.team, asked.state, asked.instructions.public) == ("storage", TaskState.OPEN, "Add them.")
    assert asked.due == pytest.approx(asked.created + timedelta(hours=1), abs=timedelta(seconds=5))
    people = PeopleTasks(house.records)
    people.complete(asked.id, OLGA, {"count": 3}, Remark("they were missing", 12.5, "forgotten"))
    assert house.now(request).state is RequestState.IN_PROGRESS
    assert [row.request_id for row in house.records.read(lambda tx: tx.outbox.due("retry", house.clock(), 9))] == [
        request.id
    ]
    assert house.run(request) == ["by_hand:done", "tell:done"]
    assert house.now(request).state is RequestState.FULFILLED
    assert told.calls[0].arguments == {"text": "3"}
    (touch,) = touches_of(house, request)
    assert (touch.kind, touch.actor, touch.team, touch.minutes) == (TouchKind.TASK, "olga", "storage", 12.5)
    (effect,) = house.records.read(lambda tx: [one for one in tx.effects.all(request.id) if one.path == "by_hand"])
    assert (effect.state, effect.outcome) == (EffectState.DONE, Outcome.MADE)
    attempts = house.records.read(lambda tx: tx.steps.attempts(request.id))
    assert [(one.path, one.touched) for one in attempts] == [("by_hand", True), ("tell", False)]
    assert attempts[0].started == asked.created
    assert house.records.read(lambda tx: tx.audit.verify(request.id)) == []


@pytest.mark.parametrize(
    "answer",
    [{"count": True}, {"count": 3.0}, {"count": "3"}, {}, {"count": 1, "more": 2}, [], None, {"count": 1, "note": 7}],
)
def test_an_answer_of_another_type_is_refused_and_leaves_the_task_open(house: House, answer: JsonValue) -> None:
    request = house.order(plan_of(task(returns=ADDED)))
    house.run(request)
    (asked,) = tasks_of(house, request)
    with pytest.raises(InvalidResult):
        PeopleTasks(house.records).complete(asked.id, OLGA, answer, Remark())
    assert tasks_of(house, request)[0].state is TaskState.OPEN
    assert house.now(request).state is RequestState.WAITING
    assert touches_of(house, request) == []


def test_a_task_without_returns_takes_no_result(house: House) -> None:
    request = house.order(plan_of(task()))
    house.run(request)
    (asked,) = tasks_of(house, request)
    with pytest.raises(InvalidResult):
        PeopleTasks(house.records).complete(asked.id, OLGA, {"count": 1}, Remark())
    PeopleTasks(house.records).complete(asked.id, OLGA, {}, Remark())
    assert house.run(request) == ["by_hand:done"]


def test_of_two_people_who_complete_a_task_at_once_the_first_counts(house: House) -> None:
    request = house.order(plan_of(task(returns=ADDED)))
    house.run(request)
    (asked,) = tasks_of(house, request)
    people = PeopleTasks(house.records)
    people.complete(asked.id, OLGA, {"count": 1}, Remark())
    with pytest.raises(TaskClosed, match="by olga"):
        people.complete(asked.id, OLGA, {"count": 2}, Remark())
    house.run(request)
    assert result_of(house, request, "by_hand") == {"count": 1}


def test_who_sees_a_task_and_who_may_do_it(house: House) -> None:
    request = house.order(plan_of(task(assignee=Literal("carl"))))
    house.run(request)
    (asked,) = tasks_of(house, request)
    people = PeopleTasks(house.records)
    carl = Caller("k", Person(id="carl"), frozenset({"tasks:read", "tasks:act"}))
    stranger = Caller("k", Person(id="zoe", groups=("network",)), frozenset({"tasks:read", "tasks:act"}))
    onlooker = replace(stranger, scopes=stranger.scopes | {"requests:read:all"})
    assert [shown.task.id for shown in people.list(carl, "mine")] == [asked.id]
    assert people.list(OLGA, "mine") == []
    assert [shown.task.id for shown in people.list(OLGA, "teams")] == [asked.id]
    assert people.list(stranger, "teams") == []
    with pytest.raises(NotAllowed):
        people.list(OLGA, "all")
    with pytest.raises(TaskNotFound):
        people.get(asked.id, stranger)
    assert len(people.list(onlooker, "all")) == 1
    with pytest.raises(NotAllowed, match="tasks:act:all"):
        people.complete(asked.id, onlooker, {}, Remark())
    people.complete(asked.id, carl, {}, Remark())


def test_a_task_is_handed_over_and_spoken_of_and_its_history_tells(house: House) -> None:
    request = house.order(plan_of(task()))
    house.run(request)
    (asked,) = tasks_of(house, request)
    people = PeopleTasks(house.records)
    shown = people.assign(asked.id, OLGA, "network", "zoe", Remark("it is a firewall"), version=asked.version)
    assert (shown.task.team, shown.task.assignee) == ("network", "zoe")
    with pytest.raises(TaskNotFound):
        people.get(asked.id, OLGA)
    zoe = Caller("k", Person(id="zoe"), frozenset({"tasks:read", "tasks:act"}))
    with pytest.raises(ChangedMeanwhile):
        people.complete(asked.id, zoe, {}, Remark(), version=asked.version)
    people.comment(asked.id, zoe, "looking at it")
    shown = people.complete(asked.id, zoe, {}, Remark("opened the port"))
    assert [(note.event, note.actor) for note in shown.notes] == [
        ("created", "orderly-worker"),
        ("assigned", "olga"),
        ("comment", "zoe"),
        ("completed", "zoe"),
    ]
    assert [touch.kind for touch in touches_of(house, request)] == [TouchKind.HAND_OVER, TouchKind.TASK]


def test_a_task_past_its_due_time_is_said_to_be_overdue_once_and_can_still_be_done(house: House) -> None:
    request = house.order(plan_of(task(within=Literal("PT1H"))))
    house.run(request)
    mark_overdue(house.records, house.clock())
    assert tasks_of(house, request)[0].overdue is None
    house.clock.advance(hours=2)
    for _ in range(2):
        mark_overdue(house.records, house.clock())
    (late,) = tasks_of(house, request)
    assert late.overdue is not None
    events = [event.event for event in house.records.read(lambda tx: tx.audit.of(request.id))]
    assert events.count("task_overdue") == 1
    PeopleTasks(house.records).complete(late.id, OLGA, {}, Remark())
    assert house.run(request) == ["by_hand:done"]


def test_a_secret_in_the_instructions_is_not_stored_in_clear(house: House) -> None:
    secret: dict[str, JsonValue] = {"word": {"type": "string", "writeOnly": True}}
    telling = task(instructions=Text("Use {{ inputs.word }}."))
    request = house.order(plan_of(telling, inputs=secret), word="correct-horse")
    house.run(request)
    (asked,) = tasks_of(house, request)
    assert asked.instructions.public is None
    files = [file for file in house.settings.state.rglob("*") if file.is_file()]
    assert not any(b"correct-horse" in file.read_bytes() for file in files)


def test_a_secret_answer_is_sealed_and_reaches_the_step_that_needs_it(house: House) -> None:
    told = house.stage.action("tell")
    returns: dict[str, JsonValue] = {"type": "object", "properties": {"key": {"type": "string"}}}
    asking = task(returns=returns, secret_results=("/key",))
    after = step("tell", arguments=MapOf({"text": expression("steps.by_hand.result.key", secret=True)}))
    request = house.order(plan_of(asking, after))
    house.run(request)
    (asked,) = tasks_of(house, request)
    shown = PeopleTasks(house.records).complete(asked.id, OLGA, {"key": "battery-staple"}, Remark())
    assert shown.task.result is not None
    assert shown.task.result.public == {"key": None}
    house.run(request)
    assert told.calls[0].arguments == {"text": "battery-staple"}
    files = [file for file in house.settings.state.rglob("*") if file.is_file()]
    assert not any(b"battery-staple" in file.read_bytes() for file in files)


def test_an_answer_that_the_model_does_not_expect_holds_the_request_and_a_retry_asks_again(house: House) -> None:
    picky = task(returns=ADDED, expect=expression("result.count > 2"), otherwise=Literal("Too few."))
    request = house.order(plan_of(picky))
    house.run(request)
    people = PeopleTasks(house.records)
    people.complete(tasks_of(house, request)[0].id, OLGA, {"count": 1}, Remark())
    assert house.run(request) == ["by_hand:failed"]
    assert "Too few." in house.now(request).state_reason
    assert house.run(request) == ["by_hand:waiting"]
    second = next(one for one in tasks_of(house, request) if one.state is TaskState.OPEN)
    people.complete(second.id, OLGA, {"count": 3}, Remark())
    assert house.run(request) == ["by_hand:done"]


def test_a_task_done_while_another_branch_runs_is_not_missed(house: House) -> None:
    request = house.order(plan_of(Parallel((task(), task("other")))))

    house.stage.action("slow")
    with house.enter(request) as session:
        passage = session.walk(lambda unit: session.run_step(unit, lambda line: None))
        for asked in tasks_of(house, request):
            PeopleTasks(house.records).complete(asked.id, OLGA, {}, Remark())
        deliver_wakes(house.records, house.clock())
        session.finish(passage)
    assert house.now(request).state is RequestState.WAITING
    house.clock.advance(seconds=5)
    deliver_wakes(house.records, house.clock())
    assert house.now(request).state is RequestState.IN_PROGRESS
    assert sorted(house.run(request)) == ["by_hand:done", "other:done"]


def test_a_task_done_while_the_request_is_on_hold_is_taken_up_by_the_retry(house: House) -> None:
    moody = {"bad": True}

    def behave(call: ActionCall) -> ActionResult:
        if moody["bad"]:
            raise ActionFailed("no", error_class=ErrorClass.PERMANENT, code="No")
        return ActionResult(Outcome.MADE, {})

    house.stage.action("one", behave=behave)
    request = house.order(plan_of(Parallel((task(), step("one")))))
    house.run(request)
    assert house.now(request).state is RequestState.ON_HOLD
    PeopleTasks(house.records).complete(tasks_of(house, request)[0].id, OLGA, {}, Remark())
    assert house.now(request).state is RequestState.ON_HOLD
    moody["bad"] = False
    house.lifecycle.retry(request.id, CALLER, "mended")
    assert sorted(house.run(request)) == ["by_hand:done", "one:done"]


# waiting


def test_waiting_until_a_moment_holds_no_worker_and_one_that_has_passed_is_not_waited_for(house: House) -> None:
    at = house.clock() + timedelta(hours=3)
    until = engine("later", "wait.until", at=Literal(at.isoformat()))
    request = house.order(plan_of(until, engine("past", "wait.until", at=Literal("2020-01-01"))))
    assert house.run(request) == ["later:waiting"]
    assert house.now(request).wake_at == at
    go_on(house, request)
    assert house.run(request) == ["later:waiting"]
    house.clock.advance(hours=4)
    go_on(house, request)
    assert house.run(request) == ["later:done", "past:done"]


def test_a_moment_that_is_none_fails_the_step_with_what_is_wrong(house: House) -> None:
    request = house.order(plan_of(engine("later", "wait.until", at=Literal("tomorrow"))))
    assert house.run(request) == ["later:failed"]
    assert "/at" in house.now(request).state_reason


def event_step(path: str = "signal", returns: dict[str, JsonValue] | None = None, **more: object) -> Step:
    return engine(path, "wait.event", returns, **{"event": Literal("shipped"), **more})


def test_an_event_of_the_name_and_key_wakes_the_request_with_its_data(house: House) -> None:
    events = IncomingEvents(house.records)
    request = house.order(plan_of(event_step(returns=ADDED, key=Literal("box-7"))))
    assert house.run(request) == ["signal:waiting"]
    assert events.receive(Incoming("shipped", "box-8", {"count": 1}), OLGA).fulfilled == 0
    assert events.receive(Incoming("sent", "box-7", {"count": 1}), OLGA).fulfilled == 0
    assert house.now(request).state is RequestState.WAITING
    assert events.receive(Incoming("shipped", "box-7", {"count": 2}), OLGA).fulfilled == 1
    assert house.now(request).state is RequestState.IN_PROGRESS
    assert house.run(request) == ["signal:done"]
    assert result_of(house, request, "signal") == {"count": 2}


def test_an_event_sent_twice_under_one_id_is_one_event(house: House) -> None:
    events = IncomingEvents(house.records)
    first = events.receive(Incoming("shipped", id="e-1"), OLGA)
    again = events.receive(Incoming("shipped", id="e-1"), OLGA)
    assert (first.created, again.created, again.row.id) == (True, False, first.row.id)
    with pytest.raises(NotAllowed):
        events.receive(Incoming("shipped"), CALLER)


def test_an_event_that_came_first_is_found_if_the_request_had_started_and_each_is_taken_once(house: House) -> None:
    events = IncomingEvents(house.records)
    events.receive(Incoming("shipped", data="before"), OLGA)

    def send(call: ActionCall) -> ActionResult:
        for data in ("first", "second"):
            events.receive(Incoming("shipped", data=data), OLGA)
        return ActionResult(Outcome.MADE, {})

    house.stage.action("send", behave=send)
    request = house.order(plan_of(step("send"), event_step("one"), event_step("two"), event_step("three")))
    assert house.run(request) == ["send:done", "one:done", "two:done", "three:waiting"]
    assert [result_of(house, request, path) for path in ("one", "two")] == ["first", "second"]


def test_an_event_that_does_not_come_in_time_fails_the_step_and_a_retry_waits_anew(house: House) -> None:
    request = house.order(plan_of(event_step(within=Literal("PT1H"))))
    house.run(request)
    house.clock.advance(hours=2)
    go_on(house, request)
    assert house.run(request) == ["signal:failed"]
    assert "did not come within 1 h" in house.now(request).state_reason
    assert house.run(request) == ["signal:waiting"]
    IncomingEvents(house.records).receive(Incoming("shipped"), OLGA)
    assert house.run(request) == ["signal:done"]


def test_an_event_with_data_of_another_type_fails_the_step_and_is_not_taken_again(house: House) -> None:
    events = IncomingEvents(house.records)
    request = house.order(plan_of(event_step(returns=ADDED)))
    house.run(request)
    events.receive(Incoming("shipped", data={"count": True}), OLGA)
    assert house.run(request) == ["signal:failed"]
    assert "/count: must be a whole number" in house.now(request).state_reason
    assert house.run(request) == ["signal:waiting"]
    events.receive(Incoming("shipped", data={"count": 1}), OLGA)
    assert house.run(request) == ["signal:done"]


def test_old_events_are_forgotten_but_for_those_that_a_step_has_yet_to_take_up(house: House) -> None:
    events = IncomingEvents(house.records)
    request = house.order(plan_of(event_step(returns=ADDED)))
    house.run(request)
    taken = events.receive(Incoming("shipped", data={"count": 5}, id="taken"), OLGA)
    events.receive(Incoming("shipped", id="left"), OLGA)
    house.clock.advance(hours=25)
    forget_old_events(house.records, house.clock())
    assert house.records.read(lambda tx: tx.events.find(OLGA.key_id, "left")) is None
    assert house.records.read(lambda tx: tx.events.data(taken.row.id)) == {"count": 5}
    assert house.run(request) == ["signal:done"]


# orders of other models


def test_a_request_orders_another_waits_for_it_and_gets_its_outputs(house: House) -> None:
    house.stage.action("make")
    house.publish(child_plan(step("make"), outputs=(Output("twice", expression("inputs.size * 2")),)))
    shown = Output("got", expression("steps.order.result.outputs.twice"))
    request = house.order(plan_of(ordering(), outputs=(shown,)))
    assert house.run(request) == ["order:waiting"]
    (child,) = children(house, request)
    assert (child.channel, child.requested_for, child.requester) == ("request", request.requested_for, CALLER.person)
    assert house.run(with_run(house, child)) == ["make:done"]
    assert house.now(request).state is RequestState.WAITING
    deliver_wakes(house.records, house.clock())
    assert house.now(request).state is RequestState.IN_PROGRESS
    assert house.run(request) == ["order:done"]
    row = house.now(request)
    assert row.outputs is not None
    assert row.outputs.public == {"got": {"value": 6}}
    assert len(children(house, request)) == 1


def test_a_secret_output_of_what_was_ordered_stays_secret(house: House) -> None:
    house.publish(child_plan(outputs=(Output("key", Literal("hunter2-hunter2"), secret=True),)))
    request = house.order(plan_of(ordering()))
    house.run(request)
    house.run(with_run(house, children(house, request)[0]))
    deliver_wakes(house.records, house.clock())
    house.run(request)
    row = house.records.read(lambda tx: tx.steps.get(request.id, "order"))
    assert row is not None
    assert row.result is not None
    assert "/outputs/key" in row.result.secret_pointers
    assert "hunter2" not in str(row.result.public)


def test_what_is_ordered_is_ordered_once_whatever_is_killed(house: House) -> None:
    house.publish(child_plan(step("make")))
    request = house.order(plan_of(ordering()))
    with house.enter(request) as session:
        session.walk(lambda unit: session.run_step(unit, lambda line: None))
        # killed here: nothing more is recorded; its claim is up for taking, as that of a dead process is
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    house.records.run(lambda tx: tx.claims.release(claim))
    assert house.run(request) == ["order:waiting"]
    assert len(children(house, request)) == 1


def test_an_order_that_is_refused_fails_the_step_and_says_what_is_wrong(house: House) -> None:
    house.publish(child_plan(step("make")))
    wrong, unknown = ordering(Literal("big")), replace(ordering(), arguments=MapOf({"model": Literal("chidl")}))
    request = house.order(plan_of(wrong))
    assert house.run(request) == ["order:failed"]
    assert "/size: must be a whole number" in house.now(request).state_reason
    other = house.order(plan_of(unknown))
    assert house.run(other) == ["order:failed"]
    assert "Did you mean child" in house.now(other).state_reason
    assert children(house, request) == children(house, other) == []


def test_a_child_that_failed_fails_the_step_with_its_reason_and_a_retry_orders_anew(house: House) -> None:
    house.publish(child_plan(step("make")))
    request = house.order(plan_of(ordering()))
    house.run(request)
    (child,) = children(house, request)

    def end(tx: Transaction) -> None:
        for state in (RequestState.IN_PROGRESS, RequestState.UNDOING, RequestState.FAILED):
            tx.requests.move(child.id, state, actor="t", why="The disk is full.")

    house.records.run(end)
    deliver_wakes(house.records, house.clock())
    assert house.run(request) == ["order:failed"]
    assert "ended as failed: The disk is full." in house.now(request).state_reason
    house.lifecycle.retry(request.id, CALLER, "a new disk")
    assert house.run(request) == ["order:waiting"]
    assert len(children(house, request)) == 2


def test_the_end_of_a_child_wakes_a_parent_that_has_not_begun_to_wait(house: House) -> None:
    house.stage.action("make")
    house.publish(child_plan(step("make")))
    request = house.order(plan_of(ordering()))
    with house.enter(request) as session:
        passage = session.walk(lambda unit: session.run_step(unit, lambda line: None))
        house.run(with_run(house, children(house, request)[0]))
        deliver_wakes(house.records, house.clock())
        session.finish(passage)
    house.clock.advance(seconds=5)
    deliver_wakes(house.records, house.clock())
    assert house.run(request) == ["order:done"]


def test_a_request_that_is_being_undone_wants_nothing_more_of_people_and_events(house: House) -> None:
    request = house.order(plan_of(Parallel((task(), event_step()))))
    house.run(request)
    house.records.run(lambda tx: tx.requests.move(request.id, RequestState.UNDOING, actor="anna", why="no more"))
    (asked,) = tasks_of(house, request)
    assert (asked.state, asked.by) == (TaskState.CANCELLED, "anna")
    with pytest.raises(TaskClosed):
        PeopleTasks(house.records).complete(asked.id, OLGA, {}, Remark())
    assert IncomingEvents(house.records).receive(Incoming("shipped"), OLGA).fulfilled == 0


def test_a_step_of_the_engine_in_a_loop_is_one_for_each_item(house: House) -> None:
    each = task(
        instructions=Text("Greet {{ item }}."),
        loop=Loop(expression("inputs.members"), expression("item"), 4),
    )
    members: dict[str, JsonValue] = {"members": {"type": "array", "items": {"type": "string"}}}
    request = house.order(plan_of(each, inputs=members), members=["anna", "bert"])
    assert sorted(house.run(request)) == ["by_hand[anna]:waiting", "by_hand[bert]:waiting"]
    asked = {one.item_key: one for one in tasks_of(house, request)}
    PeopleTasks(house.records).complete(asked["anna"].id, OLGA, {}, Remark())
    assert sorted(house.run(request)) == ["by_hand[anna]:done", "by_hand[bert]:waiting"]
    steps = house.records.read(lambda tx: tx.steps.all(request.id))
    assert {row.item_key: row.state for row in steps} == {"anna": StepState.DONE, "bert": StepState.STARTED}

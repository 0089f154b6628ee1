"""Orders: what is accepted is durable and dispatched once; what is refused leaves nothing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from flows.errors import (
    IdempotencyMismatch,
    InvalidInputs,
    NotAllowed,
    OrderlyError,
    RequestNotFound,
    UnknownModel,
    WrongState,
)
from flows.lifecycle import Caller, Order, Source
from flows.records.rows import Person, RequestFilter
from flows.records.states import RequestState
from request_models.calendar_documents import load_calendar
from request_models.json_values import JsonValue
from request_models.plan import Due, NamedValue, Text
from staging import ANNA, CALLER, House, expression, plan_of, step

BERT = Person(id="bert", name="Bert")
NAME: dict[str, JsonValue] = {"name": {"type": "string", "pattern": "^[a-z]+$"}}


def outbox_of(house: House) -> list[str | None]:
    due = house.records.run(lambda tx: tx.outbox.due("dispatch", house.records.now(), 100))
    return [message.request_id for message in due]


def all_requests(house: House) -> int:
    return len(house.records.read(lambda tx: tx.requests.list(RequestFilter(limit=1000))).items)


def test_an_accepted_order_is_scheduled_audited_and_dispatched_once(house: House) -> None:
    house.publish(plan_of(step("one"), inputs=NAME, values=(NamedValue("greeting", Text("Hello {{ inputs.name }}")),)))
    source = Source("glpi", "4711", "https://tickets.example.org/4711")
    answer = house.lifecycle.submit(Order("staged", {"name": "ada"}, source=source), CALLER)
    assert answer.created
    request = answer.request
    assert request.state is RequestState.SCHEDULED
    assert request.values is not None
    assert request.values.public == {"greeting": "Hello ada"}
    assert (request.source_system, request.source_id) == ("glpi", "4711")
    assert request.due_at is not None
    assert (request.due_at - request.submitted).total_seconds() == 900
    assert outbox_of(house) == [request.id]
    events = house.records.read(lambda tx: tx.audit.of(request.id))
    assert [event.to_state for event in events] == [RequestState.VALIDATING, RequestState.SCHEDULED]
    assert house.records.read(lambda tx: tx.audit.verify(request.id)) == []


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (Order("stagd", {}), UnknownModel),
        (Order("staged", {}), InvalidInputs),
        (Order("staged", {"name": 7}), InvalidInputs),
        (Order("staged", {"name": "ada\n"}), InvalidInputs),
        (Order("staged", {"name": "ada", "nmae": "x"}), InvalidInputs),
        (Order("staged", {"name": "\ud800"}), InvalidInputs),
        (Order("staged", {"name": "ada"}, requested_for=BERT), NotAllowed),
    ],
)
def test_a_refused_order_leaves_nothing(house: House, order: Order, error: type[OrderlyError]) -> None:
    house.publish(plan_of(step("one"), inputs=NAME))
    with pytest.raises(error):
        house.lifecycle.submit(replace(order, idempotency_key="k", body_digest="d"), CALLER)
    assert all_requests(house) == 0
    assert outbox_of(house) == []
    assert house.records.read(lambda tx: tx.idempotency.find(CALLER.key_id, "k")) is None


def test_every_fault_of_an_order_is_named_with_its_pointer(house: House) -> None:
    house.publish(plan_of(step("one"), inputs=NAME))
    with pytest.raises(InvalidInputs) as refused:
        house.lifecycle.submit(Order("staged", {"a/b": 1}), CALLER)
    assert {(fault.pointer, fault.code) for fault in refused.value.problems} == {
        ("/name", "missing"),
        ("/a~1b", "unknown"),
    }


def test_an_unknown_model_is_answered_with_the_nearest_there_is(house: House) -> None:
    house.publish(plan_of(step("one")))
    with pytest.raises(UnknownModel, match="Did you mean staged"):
        house.lifecycle.submit(Order("stagd", {}), CALLER)


def test_an_order_sent_again_is_the_first_one_and_another_body_is_refused(house: House) -> None:
    house.publish(plan_of(step("one")))
    order = Order("staged", {}, idempotency_key="key", body_digest="body")
    first = house.lifecycle.submit(order, CALLER)
    again = house.lifecycle.submit(order, CALLER)
    assert (again.created, again.request.id) == (False, first.request.id)
    with pytest.raises(IdempotencyMismatch):
        house.lifecycle.submit(replace(order, body_digest="another"), CALLER)
    somebody_else = replace(CALLER, key_id="key-2")
    assert house.lifecycle.submit(order, somebody_else).created
    assert all_requests(house) == 2


def test_the_same_order_twenty_times_at_once_is_one_request(house: House) -> None:
    house.publish(plan_of(step("one")))
    order = Order("staged", {}, idempotency_key="key", body_digest="body")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: house.lifecycle.submit(order, CALLER), range(20)))
    assert len({answer.request.id for answer in answers}) == 1
    assert sum(answer.created for answer in answers) == 1
    assert len(outbox_of(house)) == 1


def test_a_value_that_cannot_be_computed_refuses_the_order(house: House) -> None:
    house.publish(plan_of(step("one"), values=(NamedValue("gone", expression("inputs.nothing")),)))
    with pytest.raises(InvalidInputs):
        house.lifecycle.submit(Order("staged", {}), CALLER)
    assert all_requests(house) == 0


def test_a_requester_sees_only_what_is_theirs(house: House) -> None:
    house.publish(plan_of(step("one")))
    agent = Caller("key-3", ANNA, CALLER.scopes | {"requests:for-others"})
    own = house.lifecycle.submit(Order("staged", {}), CALLER).request
    for_bert = house.lifecycle.submit(Order("staged", {}, requested_for=BERT), agent).request
    bert = Caller("key-4", BERT, frozenset({"requests:read"}))
    assert [row.id for row in house.lifecycle.list(RequestFilter(), bert).items] == [for_bert.id]
    assert house.lifecycle.get(for_bert.id, bert).id == for_bert.id
    with pytest.raises(RequestNotFound):
        house.lifecycle.get(own.id, bert)
    auditor = replace(bert, scopes=frozenset({"requests:read", "requests:read:all"}))
    assert len(house.lifecycle.list(RequestFilter(), auditor).items) == 2


def test_only_a_request_on_hold_can_be_retried(house: House) -> None:
    request = house.order(plan_of(step("one")))
    with pytest.raises(WrongState, match="on_hold"):
        house.lifecycle.retry(request.id, CALLER, "impatience")
    reader = replace(CALLER, scopes=frozenset({"requests:read"}))
    with pytest.raises(NotAllowed):
        house.lifecycle.retry(request.id, reader, "curiosity")


def test_a_retry_over_the_api_says_who_and_why_and_wakes_the_run(house: House) -> None:
    house.stage.actions.clear()
    request = house.order(plan_of(step("one")))
    assert house.run(request) == ["one:failed"]  # no such action
    house.stage.action("one")
    retried = house.lifecycle.retry(request.id, CALLER, "installed the connector")
    assert retried.state is RequestState.IN_PROGRESS
    last = house.records.read(lambda tx: tx.audit.of(request.id))[-1]
    assert (last.actor, last.why) == ("anna", "installed the connector")
    assert len(house.records.run(lambda tx: tx.outbox.due("retry", house.records.now(), 10))) == 1
    assert house.run(request) == ["one:done"]


def test_what_an_idempotency_key_came_with_cannot_be_guessed_from_the_records(house: House) -> None:
    house.publish(plan_of(step("one")))
    digest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
    house.lifecycle.submit(Order("staged", {}, idempotency_key="key", body_digest=digest), CALLER)
    found = house.records.read(lambda tx: tx.idempotency.find(CALLER.key_id, "key"))
    assert found is not None
    assert found.body_digest == digest
    files = [file for file in house.settings.state.rglob("*") if file.is_file()]
    assert not any(digest.encode() in file.read_bytes() for file in files)


def test_a_request_is_due_in_the_open_hours_of_its_calendar(house: House) -> None:
    made, found = load_calendar("c.yaml", "calendar: short\nzone: UTC\nopen: {mon-sun: ['09:00-10:00']}\n")
    assert made is not None, found
    house.stage.action("one")
    plan = plan_of(step("one"))
    plan = replace(plan, due=Due(5400, "short"), calendars={"short": made.to_json()})
    row = house.order(plan)
    assert row.due_at is not None
    assert row.due_at == made.due_at(row.submitted, timedelta(minutes=90))
    assert row.due_at - row.submitted > timedelta(hours=20)

"""What is judged of an order at once (inputs asked only sometimes, who may order, when it starts), and `verify`."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from flows.errors import InvalidInputs, NotEligible
from flows.records.states import RequestState
from request_models.actions import ActionCall, ActionResult, EffectClass, Outcome
from request_models.calendar_documents import load_calendar
from request_models.json_values import JsonValue
from request_models.plan import Eligible, InputRule, Literal, Plan, Polling, Read, Starts, Supplier, Text
from staging import House, expression, plan_of, step, text

SIZE: dict[str, JsonValue] = {"type": "integer"}
ENDS: dict[str, JsonValue] = {"type": "string", "format": "date"}


def asked_when_large(*, optional: bool = False, default: str | None = None) -> Plan:
    """`ends` is asked only of large ones."""
    ends = ENDS if default is None else {**ENDS, "default": default}
    plan = plan_of(step("one"), inputs={"size": SIZE})
    inputs: dict[str, JsonValue] = {**plan.inputs, "properties": {"size": SIZE, "ends": ends}}
    rule = InputRule(expression("inputs.size > 5"), optional=optional or default is not None)
    return replace(plan, inputs=inputs, input_rules={"ends": rule})


def faults(house: House, plan: Plan, **inputs: JsonValue) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputs) as refused:
        house.order(plan, **inputs)
    return [(fault.pointer, fault.code) for fault in refused.value.problems]


def test_an_input_is_needed_only_when_it_is_asked_and_refused_when_it_is_not(house: House) -> None:
    house.stage.action("one")
    plan = asked_when_large()
    assert house.order(plan, size=1).inputs.public == {"size": 1}
    assert house.order(plan, size=9, ends="2026-12-01").inputs.public == {"size": 9, "ends": "2026-12-01"}
    assert faults(house, plan, size=9) == [("/ends", "missing")]
    assert faults(house, plan, size=1, ends="2026-12-01") == [("/ends", "not-asked")]


def test_a_default_stands_in_only_when_the_input_is_asked(house: House) -> None:
    house.stage.action("one")
    plan = asked_when_large(default="2027-01-01")
    assert house.order(plan, size=1).inputs.public == {"size": 1}
    assert house.order(plan, size=9).inputs.public == {"size": 9, "ends": "2027-01-01"}


def test_an_input_that_may_be_left_out_may_be_left_out_though_it_is_asked(house: House) -> None:
    house.stage.action("one")
    assert house.order(asked_when_large(optional=True), size=9).inputs.public == {"size": 9}


def test_who_is_not_eligible_is_told_the_rule_and_what_to_do(house: House) -> None:
    house.stage.action("one")
    eligible = Eligible(expression("'finance' in requester.groups"), otherwise=Literal("Ask finance."))
    with pytest.raises(NotEligible, match=r"not for this requester: `'finance' in .*Ask finance\."):
        house.order(plan_of(step("one"), eligible=eligible))
    ours = Eligible(expression("'engineering' in requester.groups"), expression("user.active"))
    assert house.order(plan_of(step("one"), eligible=ours)).state is RequestState.SCHEDULED


def test_a_condition_that_cannot_be_judged_is_not_met(house: House) -> None:
    house.stage.action("one")
    with pytest.raises(NotEligible):
        house.order(plan_of(step("one"), eligible=Eligible(expression("requester.level > 3"))))


def dispatch_at(house: House, request_id: str) -> datetime:
    later = house.records.now() + timedelta(days=400)
    rows = house.records.run(lambda tx: tx.outbox.due("dispatch", later, 100))
    return next(row.available_at for row in rows if row.request_id == request_id)


def test_a_request_starts_at_its_moment_and_its_clock_with_it(house: House) -> None:
    house.stage.action("one")
    starts = Starts(expression("request.submitted + duration('PT2H')"))
    request = house.order(plan_of(step("one"), starts=starts))
    assert dispatch_at(house, request.id) == request.submitted + timedelta(hours=2)
    assert request.due_at == request.submitted + timedelta(hours=2, minutes=15)


def test_a_request_starts_in_its_window(house: House) -> None:
    made, found = load_calendar("c.yaml", "calendar: night\nzone: UTC\nopen: {mon-sun: ['02:00-04:00']}\n")
    assert made is not None, found
    house.stage.action("one")
    plan = plan_of(step("one"), starts=Starts(window="night"), calendars={"night": made.to_json()})
    request = house.order(plan)
    assert dispatch_at(house, request.id) == made.next_opening(request.submitted)


def test_a_moment_that_is_past_or_none_starts_at_once_or_is_refused(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one"), starts=Starts(Literal("2020-01-01T00:00:00Z"))))
    assert dispatch_at(house, request.id) == request.submitted
    assert faults(house, plan_of(step("one"), starts=Starts(Text("soon {{ request.id }}")))) == [("", "starts")]


def looking(**more: object) -> Read:
    given: dict[str, object] = {"arguments": text(Literal("look")), "contract": "1", **more}
    return Read(uses="stage.look", effect=EffectClass.READ_ONLY, path="verify.1", **given)  # type: ignore[arg-type]  # tests pass fields by name


def test_a_request_is_fulfilled_only_when_reality_is_as_expected(house: House) -> None:
    seen: list[JsonValue] = [{"there": False}, {"there": True}]
    house.stage.action("one")
    house.stage.action("look", EffectClass.READ_ONLY, lambda call: ActionResult(Outcome.READ, seen.pop(0)))
    look = looking(expect=expression("result.there"), otherwise=Literal("It is gone."))
    request = house.order(plan_of(step("one"), verify=(look,)))
    assert house.run(request) == ["one:done", "verify.1:failed"]
    row = house.now(request)
    assert (row.state, row.state_reason) == (RequestState.ON_HOLD, "verify.1: It is gone.")
    assert house.run(request) == ["one:done*", "verify.1:done"]
    assert house.now(request).state is RequestState.FULFILLED


def test_what_was_as_expected_is_looked_at_anew_after_a_hold(house: House) -> None:
    answers: list[JsonValue] = [{"there": True}, {"there": False}, {"there": True}, {"there": True}]
    house.stage.action("look", EffectClass.READ_ONLY, lambda call: ActionResult(Outcome.READ, answers.pop(0)))
    first = looking(expect=expression("result.there"))
    request = house.order(plan_of(step("look", EffectClass.READ_ONLY), verify=(first, replace(first, path="verify.2"))))
    answers.insert(0, {})
    assert house.run(request) == ["look:done", "verify.1:done", "verify.2:failed"]
    assert house.run(request) == ["look:done*", "verify.1:done", "verify.2:done"]


def test_verify_may_poll_and_holds_no_worker_meanwhile(house: House) -> None:
    house.stage.action("one")
    house.stage.action("look", EffectClass.READ_ONLY, lambda call: ActionResult(Outcome.READ, {"there": False}))
    look = looking(polling=Polling(expression("result.there"), 60, 600))
    request = house.order(plan_of(step("one"), verify=(look,)))
    assert house.run(request) == ["one:done", "verify.1:waiting"]
    assert house.now(request).state is RequestState.WAITING


def test_attempts_of_a_suppliers_step_bear_its_name(house: House) -> None:
    def behave(call: ActionCall) -> ActionResult:
        return ActionResult(Outcome.MADE, {})

    house.stage.action("one", behave=behave)
    house.stage.action("two", behave=behave)
    supplier = Supplier("cloudy", "enterprise", steps=("two",))
    request = house.order(plan_of(step("one"), step("two"), suppliers=(supplier,)))
    house.run(request)
    attempts = house.records.read(lambda tx: tx.steps.attempts(request.id))
    assert {row.path: row.supplier for row in attempts} == {"one": None, "two": "cloudy"}

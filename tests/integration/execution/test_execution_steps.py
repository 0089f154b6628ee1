"""What a flow run does to a request: outcomes, failures, retries, and what survives a crash."""

import re
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from flows.execution import End, FlowRunIdentity, Proceed, Suspend, Wait
from flows.holder import this_process
from flows.records.errors import ClaimLost
from flows.records.rows import Holder
from flows.records.states import EffectState, RequestState, StepState
from request_models.actions import ActionCall, ActionFailed, ActionResult, EffectClass, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import Literal, Output, Retry
from staging import House, expression, plan_of, run_of, step, text


def fail(error_class: ErrorClass, code: str = "broken") -> ActionFailed:
    return ActionFailed(f"the world is {code}", error_class=error_class, code=code)


def always(error_class: ErrorClass):  # type: ignore[no-untyped-def]  # a behaviour that only raises
    def behave(call: ActionCall) -> ActionResult:
        raise fail(error_class)

    return behave


def test_steps_run_in_order_and_the_request_is_fulfilled_with_its_outputs(house: House) -> None:
    house.stage.action("one")
    house.stage.action("two")
    plan = plan_of(
        step("one", arguments=text(expression("inputs.name"))),
        step("two", arguments=text(expression("steps.one.result.text"))),
        inputs={"name": {"type": "string"}},
        outputs=(Output("name", expression("steps.two.result.text")),),
    )
    request = house.order(plan, name="Ada {{ 7 * 7 }}")
    assert house.run(request) == ["one:done", "two:done"]
    done = house.now(request)
    assert done.state is RequestState.FULFILLED
    assert done.outputs is not None
    assert done.outputs.public == {"name": {"value": "Ada {{ 7 * 7 }}"}}


def test_a_failed_step_holds_the_request_and_retry_repeats_only_that_step(house: House) -> None:
    broken = threading.Event()
    broken.set()

    def behave(call: ActionCall) -> ActionResult:
        if broken.is_set():
            raise fail(ErrorClass.PERMANENT, "unreachable")
        return ActionResult(Outcome.MADE)

    first, second = house.stage.action("one"), house.stage.action("two", behave=behave)
    third = house.stage.action("three")
    request = house.order(plan_of(step("one"), step("two"), step("three")))
    assert house.run(request) == ["one:done", "two:failed"]
    held = house.now(request)
    assert held.state is RequestState.ON_HOLD
    assert held.state_reason == "two: the world is unreachable"

    broken.clear()
    assert house.run(request) == ["one:done*", "two:done", "three:done"]
    assert house.now(request).state is RequestState.FULFILLED
    assert (len(first.calls), len(second.calls), len(third.calls)) == (1, 2, 1)
    events = house.records.read(lambda tx: tx.audit.of(request.id))
    assert [event.actor for event in events if event.to_state is RequestState.IN_PROGRESS] == [
        "orderly-worker",
        "prefect-ui",
    ]
    assert house.records.read(lambda tx: tx.audit.verify(request.id)) == []


def test_only_the_errors_named_are_retried_and_each_resend_after_proof_gets_a_new_token(house: House) -> None:
    flaky = house.stage.action("one", behave=always(ErrorClass.TRANSIENT))
    request = house.order(plan_of(step("one", retry=Retry(attempts=3))))
    lines: list[str] = []
    assert house.run(request, lines.append) == ["one:failed"]
    assert [call.attempt for call in flaky.calls] == [1, 2, 3]
    assert len({call.token for call in flaky.calls}) == 3
    assert any("attempt 2 of 3" in line for line in lines)

    stubborn = house.stage.action("one", behave=always(ErrorClass.REJECTED))
    again = house.order(plan_of(step("one", retry=Retry(attempts=3))))
    assert house.run(again) == ["one:failed"]
    assert len(stubborn.calls) == 1


@pytest.mark.parametrize(("effect", "calls"), [(EffectClass.IDEMPOTENT, 2), (EffectClass.NOT_REPEATABLE, 1)])
def test_an_unknown_outcome_is_resent_with_its_token_only_where_that_is_harmless(
    house: House, effect: EffectClass, calls: int
) -> None:
    action = house.stage.action("one", effect, always(ErrorClass.UNKNOWN))
    request = house.order(plan_of(step("one", effect)))
    assert house.run(request) == ["one:failed"]
    assert house.run(request) == ["one:failed"]
    assert len(action.calls) == calls
    assert len({call.token for call in action.calls}) == 1
    current = house.records.read(lambda tx: tx.effects.current(request.id, "one"))
    assert current is not None
    assert current.state is EffectState.UNKNOWN
    assert ("may have had its effect" in house.now(request).state_reason) is (calls == 1)


def test_what_a_crash_left_open_is_unknown_and_a_step_that_cannot_be_repeated_is_held(house: House) -> None:
    class Killed(BaseException):
        pass

    def behave(call: ActionCall) -> ActionResult:
        raise Killed

    action = house.stage.action("one", EffectClass.NOT_REPEATABLE, behave)
    request = house.order(plan_of(step("one", EffectClass.NOT_REPEATABLE)))
    with pytest.raises(Killed):
        house.run(request)
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    house.records.run(lambda tx: tx.claims.release(claim))

    assert house.run(request) == ["one:failed"]
    assert len(action.calls) == 1
    attempts = house.records.read(lambda tx: tx.steps.attempts(request.id))
    assert attempts[0].error_class is ErrorClass.UNKNOWN


def test_arguments_and_conditions_are_evaluated_once(house: House) -> None:
    seen: list[JsonValue] = []

    def behave(call: ActionCall) -> ActionResult:
        seen.append(call.arguments["text"])
        raise fail(ErrorClass.PERMANENT)

    house.stage.action("one", behave=behave)
    house.stage.action("two")
    plan = plan_of(
        step("one", arguments=text(expression("inputs.name")), when=expression("inputs.name == 'a'")),
        step("two", when=expression("inputs.name == 'b'")),
        inputs={"name": {"type": "string"}},
    )
    request = house.order(plan, name="a")
    assert house.run(request) == ["one:failed"]
    row = house.records.read(lambda tx: tx.steps.get(request.id, "one"))
    assert row is not None
    assert row.when_value is True
    house.run(request)
    assert seen == ["a", "a"]


def test_a_false_condition_skips_the_step_and_calls_nothing(house: House) -> None:
    action = house.stage.action("one")
    request = house.order(plan_of(step("one", when=expression("1 == 2"))))
    assert house.run(request) == ["one:skipped"]
    assert action.calls == []
    assert house.now(request).state is RequestState.FULFILLED


def test_a_condition_that_is_no_boolean_fails_the_step_instead_of_counting_as_yes(house: House) -> None:
    action = house.stage.action("one")
    request = house.order(plan_of(step("one", when=expression("'no'"))))
    assert house.run(request) == ["one:failed"]
    assert action.calls == []
    assert "true or false" in house.now(request).state_reason


def test_an_answer_that_is_not_as_expected_is_a_refusal_with_the_models_words(house: House) -> None:
    house.stage.action("one", EffectClass.READ_ONLY)
    plan = plan_of(
        step(
            "one",
            EffectClass.READ_ONLY,
            expect=expression("result.text == 'other'"),
            otherwise=Literal("The project has no open budget."),
        )
    )
    request = house.order(plan)
    assert house.run(request) == ["one:failed"]
    assert house.now(request).state_reason == "one: The project has no open budget."


def test_an_action_that_changed_its_contract_is_not_called(house: House) -> None:
    action = house.stage.action("one")
    request = house.order(plan_of(step("one")))
    action.spec = replace(action.spec, contract="2")
    assert house.run(request) == ["one:failed"]
    assert action.calls == []
    assert "contract 2" in house.now(request).state_reason


def test_a_broken_connector_leaves_a_record_and_no_open_intent(house: House) -> None:
    def behave(call: ActionCall) -> ActionResult:
        raise ZeroDivisionError

    house.stage.action("one", behave=behave)
    request = house.order(plan_of(step("one")))
    assert house.run(request) == ["one:failed"]
    effect = house.records.read(lambda tx: tx.effects.current(request.id, "one"))
    assert effect is not None
    assert effect.state is EffectState.UNKNOWN


def test_an_answer_that_is_no_json_is_a_failed_step_and_leaves_no_open_intent(house: House) -> None:
    house.stage.action("one", behave=lambda call: ActionResult(Outcome.MADE, {"share": float("nan")}))
    request = house.order(plan_of(step("one")))
    assert house.run(request) == ["one:failed"]
    assert "/share: NaN" in house.now(request).state_reason
    effect = house.records.read(lambda tx: tx.effects.current(request.id, "one"))
    assert effect is not None
    assert effect.state is EffectState.UNKNOWN


def test_a_secret_input_reaches_the_action_and_nothing_else(house: House) -> None:
    canary = "canary-8d1f"
    lines: list[str] = []

    def behave(call: ActionCall) -> ActionResult:
        assert call.arguments["text"] == f"token={canary}"
        call.log(f"using {call.arguments['text']}")
        raise ActionFailed(f"server said {canary}", error_class=ErrorClass.PERMANENT, code="401")

    house.stage.action("one", behave=behave)
    plan = plan_of(
        step("one", arguments=text(expression("'token=' ~ inputs.password", secret=True))),
        inputs={"password": {"type": "string", "writeOnly": True}},
    )
    request = house.order(plan, password=canary)
    assert house.run(request, lines.append) == ["one:failed"]
    assert not any(canary in line for line in lines)
    files = [file for file in house.settings.state.rglob("*") if file.is_file()]
    assert files
    assert not any(canary.encode() in file.read_bytes() for file in files)


def test_a_secret_that_a_system_repeats_is_stored_encrypted_wherever_it_turns_up(house: House) -> None:
    canary = "canary-77ab"
    heard: list[JsonValue] = []

    def behave(call: ActionCall) -> ActionResult:
        heard.append(call.progress)
        if len(heard) == 1:
            said: JsonValue = {"done": [canary]}
            raise ActionFailed("half done", error_class=ErrorClass.PERMANENT, code="half", progress=said)
        return ActionResult(Outcome.CHANGED, {"echo": f"you said {canary}", canary: 1}, before={"was": canary})

    house.stage.action("one", behave=behave)
    house.stage.action("two")
    plan = plan_of(
        step("one", arguments=text(expression("inputs.password", secret=True))),
        step("two", arguments=text(expression("steps.one.result.echo"))),
        inputs={"password": {"type": "string", "writeOnly": True}},
        outputs=(Output("echo", expression("steps.one.result.echo")),),
    )
    request = house.order(plan, password=canary)
    assert house.run(request) == ["one:failed"]
    assert house.run(request) == ["one:done", "two:done"]
    assert heard == [None, {"done": [canary]}]
    assert house.stage.actions["stage.two"].calls[0].arguments["text"] == f"you said {canary}"
    done = house.now(request)
    assert done.outputs is not None
    assert done.outputs.public == {"echo": {"value": None}}
    files = [file for file in house.settings.state.rglob("*") if file.is_file()]
    assert not any(canary.encode() in file.read_bytes() for file in files)


def test_a_run_that_orderly_did_not_start_does_nothing(house: House) -> None:
    action = house.stage.action("one")
    request = house.order(plan_of(step("one")))
    entry = house.execution.enter(request.id, FlowRunIdentity("somebody-elses", "guessed"))
    assert isinstance(entry, End)
    assert entry.name == "Refused"
    assert "did not start this run" in entry.message
    assert isinstance(house.execution.enter("no-such-request", run_of(request)), End)
    earlier = house.execution.enter(request.id, FlowRunIdentity("lost", f"orderly:{request.id}:earlier"))
    assert isinstance(earlier, End)
    assert "goes on in another run" in earlier.message
    assert action.calls == []
    assert house.now(request).state is RequestState.SCHEDULED


def test_a_second_entry_waits_for_the_first_and_then_finds_the_request_fulfilled(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one")))
    with house.enter(request) as session:
        assert isinstance(house.execution.enter(request.id, run_of(request)), Wait)
        session.finish(session.walk(lambda unit: session.run_step(unit, lambda line: None)))
    entry = house.execution.enter(request.id, run_of(request))
    assert isinstance(entry, End)
    assert entry.kind == "completed"


def test_a_dead_holder_is_replaced_at_once_and_its_late_writes_fail(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one")))
    gone = replace(this_process(), pid_started=1)
    ttl = timedelta(seconds=30)
    old = house.records.run(lambda tx: tx.claims.take(request.id, "run-1", gone, ttl))
    assert old is not None
    assert house.run(request) == ["one:done"]
    with pytest.raises(ClaimLost):
        house.records.run(lambda tx: tx.steps.start_attempt(request.id, "one", "stage.one", old.taken, old.epoch))


def test_a_holder_on_another_machine_keeps_its_claim_until_its_longest_call_is_over(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one", timeout_seconds=3600.0)))
    elsewhere = Holder("another-machine", "boot", 1, 1)
    house.records.run(lambda tx: tx.claims.take(request.id, request.id, elsewhere, timedelta(seconds=-60)))
    assert isinstance(house.execution.enter(request.id, run_of(request)), Wait)
    request = house.order(plan_of(step("one", timeout_seconds=30.0)))
    house.records.run(lambda tx: tx.claims.take(request.id, request.id, elsewhere, timedelta(seconds=-60)))
    entry = house.execution.enter(request.id, run_of(request))
    assert isinstance(entry, Proceed)
    with entry.session:
        pass


@pytest.mark.parametrize("state", [RequestState.AWAITING_APPROVAL])
def test_a_request_that_waits_for_a_decision_suspends_its_run_again(house: House, state: RequestState) -> None:
    action = house.stage.action("one")
    request = house.order(plan_of(step("one")))
    house.records.run(lambda tx: tx.requests.move(request.id, RequestState.IN_PROGRESS, actor="test", why=""))
    house.records.run(lambda tx: tx.requests.move(request.id, state, actor="test", why="the owner must agree"))
    entry = house.execution.enter(request.id, run_of(request))
    assert isinstance(entry, Suspend)
    assert "the owner must agree" in entry.message
    assert action.calls == []


def test_a_request_keeps_the_plan_it_was_accepted_with(house: House) -> None:
    house.stage.action("one")
    old = house.order(plan_of(step("one", arguments=text(Literal("old")))))
    new = house.order(plan_of(step("one", arguments=text(Literal("new")))))
    house.records.run(lambda tx: tx.publications.retire("staged"))
    for request in (old, new):
        house.run(request)
    assert [call.arguments["text"] for call in house.stage.actions["stage.one"].calls] == ["old", "new"]
    assert (old.model_version, new.model_version) == (1, 2)


def test_every_attempt_is_recorded_with_its_times_and_outcome(house: House) -> None:
    house.stage.action("one", behave=always(ErrorClass.TRANSIENT))
    request = house.order(plan_of(step("one", retry=Retry(attempts=2))))
    house.run(request)
    attempts = house.records.read(lambda tx: tx.steps.attempts(request.id))
    assert [(row.attempt, row.outcome, row.error_class, row.error_code) for row in attempts] == [
        (1, "failed", ErrorClass.TRANSIENT, "broken"),
        (2, "failed", ErrorClass.TRANSIENT, "broken"),
    ]
    assert all(row.ended is not None and row.queued <= row.started <= row.ended for row in attempts)
    step_row = house.records.read(lambda tx: tx.steps.get(request.id, "one"))
    assert step_row is not None
    assert step_row.state is StepState.FAILED


def test_tokens_are_uuids_bound_to_request_step_and_generation(house: House) -> None:
    action = house.stage.action("one")
    tokens = set()
    for _ in range(2):
        house.run(house.order(plan_of(step("one"))))
    tokens = {str(call.token) for call in action.calls}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", t) for t in tokens)

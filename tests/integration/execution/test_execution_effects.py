"""Effectively once: what a step does after its process was killed, or after an answer that nobody saw."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.memory import Killed
from connectors.registry import Registry
from flows.records.rows import EffectRow, RequestRow
from flows.records.states import EffectState, RequestState
from flows.step_ledger import StepLedger
from flows.step_run import StepRun
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Finding,
    Outcome,
    Presence,
)
from request_models.json_values import JsonValue
from request_models.plan import Retry, Step
from request_models.value_types import AnyType, Member, ObjectType, StringType
from staging import House, expression, plan_of, step

ACTION = "memory.make"
THRICE = Retry(attempts=3)


def define(house: House, effect: EffectClass, **more: object) -> None:
    arguments = ObjectType(members={"text": Member(type=StringType()), "honours_key_for": Member(type=StringType())})
    given: dict[str, object] = {"probes": effect is EffectClass.HAS_PROBE, **more}
    if effect is EffectClass.TAKES_TOKEN:
        given.setdefault("token_lifetime", timedelta(hours=1))
    house.memory.define(ActionSpec(ACTION, "Make", arguments, AnyType(), effect, **given))  # type: ignore[arg-type]  # fields by name


def making(house: House, effect: EffectClass, retry: Retry | None = None, **more: object) -> RequestRow:
    define(house, effect, **more)
    planned: Step = replace(step("one", effect), uses=ACTION, retry=retry or Retry())
    return house.order(plan_of(planned))


def kill(house: House, request: RequestRow) -> None:
    """Run the request into a kill, and let its claim end as the death of its process does."""
    with pytest.raises(Killed):
        house.run(request)
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    house.records.run(lambda tx: tx.claims.release(claim))


def effect_of(house: House, request: RequestRow) -> EffectRow:
    effect = house.records.read(lambda tx: tx.effects.current(request.id, "one"))
    assert effect is not None
    return effect


def test_what_was_read_before_the_call_is_committed_with_the_intent_and_given_to_the_resend(house: House) -> None:
    request = making(house, EffectClass.IDEMPOTENT, reads_before=True)
    house.memory.show(ACTION, {"found": None})
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    house.memory.show(ACTION, {"found": "what the first call made"})
    assert house.run(request) == ["one:done"]
    first, second = house.memory.calls
    assert (first.pre_read, second.pre_read) == ({"found": None}, {"found": None})
    assert (first.resent, second.resent) == (False, True)
    assert len(house.memory.looks) == 1, "the world as the first call left it must not be taken for what was before"
    recorded = effect_of(house, request).pre_read
    assert recorded is not None
    assert recorded.public is None, "what a system shows may hold a secret"
    assert house.records.read(lambda tx: tx.secrets.reveal(request.id, recorded)) == {"found": None}


def test_a_new_generation_reads_anew(house: House) -> None:
    request = making(house, EffectClass.IDEMPOTENT, THRICE, reads_before=True)
    house.memory.show(ACTION, {"found": 1})
    house.memory.fail(ACTION, error_class=ErrorClass.TRANSIENT)
    assert house.run(request) == ["one:done"]
    assert len(house.memory.looks) == 2
    assert effect_of(house, request).generation == 2


def test_a_read_that_fails_is_the_steps_failure_and_nothing_is_called(house: House) -> None:
    def behave(call: ActionCall) -> ActionResult:
        raise AssertionError

    action = house.stage.action("one", behave=behave)
    action.spec = replace(action.spec, reads_before=True)
    action.read_before = lambda call: (_ for _ in ()).throw(  # type: ignore[attr-defined]  # an action that also reads
        ActionFailed("no such region", error_class=ErrorClass.PERMANENT, code="NoRegion")
    )
    request = house.order(plan_of(step("one")))
    assert house.run(request) == ["one:failed"]
    assert house.now(request).state_reason == "one: no such region"
    assert house.records.read(lambda tx: tx.effects.all(request.id)) == []


def test_what_a_read_showed_is_not_masked_as_a_secret_in_what_follows(house: House) -> None:
    request = making(house, EffectClass.IDEMPOTENT, reads_before=True)
    house.memory.show(ACTION, {"found": {"region": "eu-west-1"}})
    house.memory.answer(ACTION, {"at": "eu-west-1"}, outcome=Outcome.CHANGED, before={"region": "eu-west-1"})
    assert house.run(request) == ["one:done"]
    row = house.records.read(lambda tx: tx.steps.get(request.id, "one"))
    assert row is not None
    assert row.result is not None
    assert row.result.public == {"at": "eu-west-1"}


@pytest.mark.parametrize("effect", [EffectClass.READ_ONLY, EffectClass.IDEMPOTENT, EffectClass.TAKES_TOKEN])
@pytest.mark.parametrize("after_effect", [True, False])
def test_after_a_kill_what_may_be_repeated_is_sent_again_exactly(
    house: House, effect: EffectClass, after_effect: bool
) -> None:
    request = making(house, effect)
    house.memory.kill(ACTION, after_effect=after_effect)
    kill(house, request)
    assert house.run(request) == ["one:done"]
    first, second = house.memory.calls
    assert (first.token, first.arguments) == (second.token, second.arguments)
    if effect is EffectClass.TAKES_TOKEN:
        assert len(house.memory.effects) == 1


@pytest.mark.parametrize("after_effect", [True, False])
def test_after_a_kill_what_cannot_be_repeated_is_held_however_often_retry_is_pressed(
    house: House, after_effect: bool
) -> None:
    request = making(house, EffectClass.NOT_REPEATABLE, Retry(attempts=3, errors=(ErrorClass.UNKNOWN,)))
    house.memory.kill(ACTION, after_effect=after_effect)
    kill(house, request)
    for _ in range(3):
        assert house.run(request) == ["one:failed"]
        assert house.now(request).state is RequestState.ON_HOLD
    assert len(house.memory.calls) == 1
    assert "A person must look" in house.now(request).state_reason
    assert effect_of(house, request).state is EffectState.UNKNOWN


def test_a_failure_of_the_resend_proves_nothing_of_the_call_before(house: House) -> None:
    """Else the generation would rise, and the new token would do it a second time."""
    request = making(house, EffectClass.TAKES_TOKEN, THRICE)
    house.memory.fail(ACTION, "no answer", error_class=ErrorClass.UNKNOWN, after_effect=True)
    house.memory.fail(ACTION, "throttled", error_class=ErrorClass.TRANSIENT)
    assert house.run(request) == ["one:done"]
    assert len({call.token for call in house.memory.calls}) == 1
    assert [call.resent for call in house.memory.calls] == [False, True, True]
    assert len(house.memory.effects) == 1


def test_a_resend_that_is_refused_leaves_the_effect_unknown(house: House) -> None:
    request = making(house, EffectClass.IDEMPOTENT)
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    house.memory.fail(ACTION, "exists already", error_class=ErrorClass.REJECTED)
    assert house.run(request) == ["one:failed"]
    assert effect_of(house, request).state is EffectState.UNKNOWN


def test_a_read_that_was_not_answered_leaves_no_unknown_effect(house: House) -> None:
    request = making(house, EffectClass.READ_ONLY)
    house.memory.fail(ACTION, "no answer", error_class=ErrorClass.UNKNOWN)
    assert house.run(request) == ["one:failed"]
    assert effect_of(house, request).state is EffectState.FAILED


@pytest.mark.parametrize(
    ("lifetime", "probes", "states", "calls"),
    [
        (timedelta(hours=1), False, ["one:done"], 2),
        (timedelta(0), False, ["one:failed"], 1),
        (timedelta(0), True, ["one:done"], 1),
    ],
)
def test_a_token_is_trusted_for_its_lifetime_then_the_probe_then_nobody(
    house: House, lifetime: timedelta, probes: bool, states: list[str], calls: int
) -> None:
    request = making(house, EffectClass.TAKES_TOKEN, token_lifetime=lifetime, probes=probes)
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    assert house.run(request) == states
    assert len(house.memory.calls) == calls
    assert len(house.memory.effects) == 1


@pytest.mark.parametrize(("given", "calls"), [("PT1H", 2), (None, 1)])
def test_an_argument_may_promise_that_a_token_is_honoured(house: House, given: str | None, calls: int) -> None:
    define(house, EffectClass.NOT_REPEATABLE, lifetime_argument="honours_key_for")
    promise = expression("omit" if given is None else f"'{given}'")
    planned = replace(step("one", EffectClass.NOT_REPEATABLE), uses=ACTION)
    arguments = replace(planned.arguments, members={**planned.arguments.members, "honours_key_for": promise})
    request = house.order(plan_of(replace(planned, arguments=arguments)))
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    house.run(request)
    assert len(house.memory.calls) == calls
    assert (effect_of(house, request).token_expires is None) is (given is None)


def ours(result: JsonValue = None) -> Finding:
    return Finding(Presence.OURS, "It bears our tag.", ActionResult(Outcome.CHANGED, result, before={"was": "old"}))


def test_what_a_probe_finds_to_be_ours_is_adopted_with_outcome_result_and_before(house: House) -> None:
    request = making(house, EffectClass.HAS_PROBE)
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    house.memory.find_out(ACTION, ours({"id": "vpc-1"}))
    lines: list[str] = []
    assert house.run(request, lines.append) == ["one:done"]
    assert len(house.memory.calls) == 1
    assert any("ours. It bears our tag." in line for line in lines)
    effect = effect_of(house, request)
    assert (effect.state, effect.outcome) == (EffectState.DONE, Outcome.CHANGED)
    before = effect.before
    assert before is not None
    assert house.records.read(lambda tx: tx.secrets.reveal(request.id, before)) == {"was": "old"}
    row = house.records.read(lambda tx: tx.steps.get(request.id, "one"))
    assert row is not None
    assert row.result is not None
    assert row.result.public == {"id": "vpc-1"}
    attempts = house.records.read(lambda tx: tx.steps.attempts(request.id))
    assert [attempt.outcome for attempt in attempts] == ["unknown", "changed"]


def test_what_a_probe_proves_absent_is_called_again_as_a_new_generation(house: House) -> None:
    request = making(house, EffectClass.HAS_PROBE)
    house.memory.kill(ACTION, after_effect=False)
    kill(house, request)
    assert house.run(request) == ["one:done"]
    first, second = house.memory.calls
    assert first.token != second.token
    assert not second.resent
    assert len(house.memory.effects) == 1
    states = [row.state for row in house.records.read(lambda tx: tx.effects.all(request.id))]
    assert states == [EffectState.FAILED, EffectState.DONE]


@pytest.mark.parametrize("presence", [Presence.FOREIGN, Presence.CANNOT_TELL])
def test_what_a_probe_does_not_know_as_ours_is_held_and_never_called_again(house: House, presence: Presence) -> None:
    request = making(house, EffectClass.HAS_PROBE, THRICE)
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    house.memory.find_out(ACTION, Finding(presence, "A network of that name has another tag."))
    for _ in range(2):
        assert house.run(request) == ["one:failed"]
    assert len(house.memory.calls) == 1
    assert "A network of that name has another tag" in house.now(request).state_reason
    assert effect_of(house, request).state is EffectState.UNKNOWN


def test_a_probe_that_cannot_look_is_tried_again_and_nothing_is_called(house: House) -> None:
    request = making(house, EffectClass.HAS_PROBE)
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    blind = ActionFailed("no connection", error_class=ErrorClass.UNKNOWN, code="Unreachable")
    house.memory.find_out(ACTION, blind)
    assert house.run(request) == ["one:failed"]
    attempts = house.records.read(lambda tx: tx.steps.attempts(request.id))
    assert attempts[-1].error_class is ErrorClass.TRANSIENT, "looking has no effect"
    house.memory.find_out(ACTION, ours())
    assert house.run(request) == ["one:done"]
    assert len(house.memory.calls) == 1


def test_an_unknown_answer_is_looked_into_at_once(house: House) -> None:
    request = making(house, EffectClass.HAS_PROBE)
    house.memory.fail(ACTION, "no answer", error_class=ErrorClass.UNKNOWN, after_effect=True)
    assert house.run(request) == ["one:done"]
    assert len(house.memory.calls) == 1


def test_an_unknown_answer_that_proves_to_have_had_no_effect_is_retried_as_the_model_says(house: House) -> None:
    request = making(house, EffectClass.HAS_PROBE, THRICE)
    house.memory.fail(ACTION, "no answer", error_class=ErrorClass.UNKNOWN)
    assert house.run(request) == ["one:done"]
    assert len(house.memory.effects) == 1
    assert len({call.token for call in house.memory.calls}) == 2


def test_an_absence_seen_too_early_is_no_proof(house: House) -> None:
    """The second look, once the call can no longer be under way, is what counts."""
    looks: list[bool] = []

    def behave(call: ActionCall) -> ActionResult:
        raise ActionFailed("no answer", error_class=ErrorClass.UNKNOWN, code="Timeout")

    def probe(call: ActionCall) -> Finding:
        looks.append(True)
        return Finding(Presence.ABSENT, "Nothing there.") if len(looks) == 1 else ours()

    action = house.stage.action("one", EffectClass.NOT_REPEATABLE, behave)
    action.spec = replace(action.spec, effect=EffectClass.HAS_PROBE, probes=True, settles=timedelta(milliseconds=50))
    action.probe = probe  # type: ignore[attr-defined]  # an action that also probes
    request = house.order(plan_of(step("one", EffectClass.HAS_PROBE)))
    assert house.run(request) == ["one:done"]
    assert (len(looks), len(action.calls)) == (2, 1)


def test_an_adopted_answer_must_still_be_what_the_model_expects(house: House) -> None:
    define(house, EffectClass.HAS_PROBE)
    planned = replace(step("one", EffectClass.HAS_PROBE), uses=ACTION, expect=expression("result.id == 'vpc-1'"))
    request = house.order(plan_of(planned))
    house.memory.kill(ACTION, after_effect=True)
    kill(house, request)
    house.memory.find_out(ACTION, ours({"id": "vpc-2"}))
    assert house.run(request) == ["one:failed"]
    assert "not what the model expects" in house.now(request).state_reason
    assert effect_of(house, request).state is EffectState.UNKNOWN


def test_two_items_of_one_step_have_effects_of_their_own(house: House) -> None:
    request = making(house, EffectClass.TAKES_TOKEN)
    with house.enter(request) as session:
        planned = session.plan.steps[0]
        claim = house.records.read(lambda tx: tx.claims.get(request.id))
        assert claim is not None
        for item in ("anna", "bert"):
            report = StepRun(
                planned,
                StepLedger(house.records, claim, request, planned, item),
                Registry([house.memory]),
                scope=dict,
                default_timeout_seconds=5.0,
                log=lambda line: None,
                stop=threading.Event(),
            ).report()
            assert report.outcome == "made"
    rows = house.records.read(lambda tx: tx.effects.all(request.id))
    assert [(row.item_key, row.state) for row in rows] == [("anna", EffectState.DONE), ("bert", EffectState.DONE)]
    assert len({row.token for row in rows}) == 2

"""Prerequisites: read after 202, pinned as facts; not met they reject, not readable they wait, killed they go on."""

import subprocess
import sys
from datetime import timedelta

import pytest

from flows.corrections import Correction
from flows.holder import this_process
from flows.interventions import Act
from flows.records.rows import Holder, RequestRow
from flows.records.states import AttemptOutcome, RequestState
from flows.touching import Remark
from request_models.actions import ActionCall, ActionFailed, ActionResult, EffectClass, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import Literal, MapOf, Read, Retry, Text
from staging import CALLER, House, expression, plan_of, step

PROJECT: dict[str, JsonValue] = {"project": {"type": "string"}}
ON_SQLITE = pytest.mark.parametrize("house", ["sqlite"], indirect=True)


def reads(name: str = "budget", **more: object) -> Read:
    given: dict[str, object] = {
        "uses": f"stage.{name}",
        "contract": "1",
        "effect": EffectClass.READ_ONLY,
        "arguments": MapOf({"text": expression("inputs.project")}),
        **more,
    }
    return Read(path=f"prerequisites.{name}", **given)  # type: ignore[arg-type]  # tests pass fields by name


def condition(name: str, expect: str, otherwise: str) -> Read:
    nothing = MapOf({})
    return Read("", "", EffectClass.READ_ONLY, nothing, expect=expression(expect), otherwise=Literal(otherwise),
                path=f"prerequisites.{name}")  # fmt: skip


def answering(house: House, *answers: "JsonValue | ErrorClass", name: str = "budget") -> list[ActionCall]:
    """The read gives these answers one after the other, the last from then on; gives its calls."""
    left = list(answers)

    def behave(call: ActionCall) -> ActionResult:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, ErrorClass):
            raise ActionFailed("The finance system is down.", error_class=answer, code="Down")
        return ActionResult(Outcome.READ, answer)

    return house.stage.action(name, EffectClass.READ_ONLY, behave).calls


def validated(house: House, request: RequestRow) -> RequestRow:
    """What the keeper does with what is due."""
    for due in house.prerequisites.due(10):
        house.prerequisites.read(due)
    return house.now(request)


def outcomes(house: House, request: RequestRow) -> list[tuple[str, AttemptOutcome | None]]:
    return [(one.path, one.outcome) for one in house.records.read(lambda tx: tx.steps.attempts(request.id))]


def test_what_is_read_is_pinned_and_seen_by_steps_conditions_and_later_prerequisites(house: House) -> None:
    calls = answering(house, {"left": 7})
    told = house.stage.action("tell")
    tell = step("tell", when=expression("facts.budget.left > 5"),
                arguments=MapOf({"text": Text("{{ facts.budget.left }} left")}))  # fmt: skip
    modest = condition("modest", "facts.budget.left < 100", "Too much.")
    plan = plan_of(tell, inputs=PROJECT, prerequisites=(reads(expect=expression("result.left > 0")), modest))
    request = house.order(plan, project="apollo")
    assert house.now(request).state is RequestState.VALIDATING
    assert house.records.read(lambda tx: tx.outbox.due("dispatch", house.clock(), 9)) == []
    assert validated(house, request).state is RequestState.SCHEDULED
    assert len(house.records.read(lambda tx: tx.outbox.due("dispatch", house.clock(), 9))) == 1
    assert [call.arguments for call in calls] == [{"text": "apollo"}]
    assert house.run(request) == ["tell:done"]
    assert told.calls[0].arguments == {"text": "7 left"}
    assert len(calls) == 1
    assert outcomes(house, request)[:2] == [
        ("prerequisites.budget", AttemptOutcome.READ),
        ("prerequisites.modest", AttemptOutcome.READ),
    ]
    assert house.records.read(lambda tx: tx.audit.verify(request.id)) == []


@ON_SQLITE
def test_what_is_not_met_rejects_with_the_words_of_the_model(house: House) -> None:
    answering(house, {"left": 0})
    poor = reads(expect=expression("result.left > 0"), otherwise=Text("{{ inputs.project }} has no open budget."))
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(poor,)), project="apollo")
    row = validated(house, request)
    assert (row.state, row.state_reason) == (RequestState.REJECTED, "apollo has no open budget.")
    assert house.records.read(lambda tx: tx.outbox.due("dispatch", house.clock(), 9)) == []


@ON_SQLITE
def test_a_condition_that_reads_nothing_rejects_too(house: House) -> None:
    modest = condition("modest", "inputs.project != 'apollo'", "Not that one.")
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(modest,)), project="apollo")
    row = validated(house, request)
    assert (row.state, row.state_reason) == (RequestState.REJECTED, "Not that one.")


def test_what_cannot_be_read_keeps_it_validating_says_so_and_is_tried_again_later(house: House) -> None:
    calls = answering(house, ErrorClass.TRANSIENT, ErrorClass.PERMANENT, {"left": 1})
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(reads(),)), project="apollo")
    row = validated(house, request)
    assert row.state is RequestState.VALIDATING
    assert "`budget` cannot be read yet: The finance system is down." in row.state_reason
    assert row.wake_at is not None
    assert validated(house, request).version == row.version
    house.clock.advance(seconds=20)
    assert validated(house, request).state is RequestState.VALIDATING
    house.clock.advance(minutes=10)
    assert validated(house, request).state is RequestState.SCHEDULED
    assert len(calls) == 3


@ON_SQLITE
def test_what_could_not_be_read_for_long_is_rejected_with_what_to_do(house: House) -> None:
    answering(house, ErrorClass.TRANSIENT)
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(reads(),)), project="apollo")
    validated(house, request)
    house.clock.advance(seconds=house.settings.keeper.prerequisites_seconds)
    row = validated(house, request)
    assert row.state is RequestState.REJECTED
    assert "could not be read for 4 hours" in row.state_reason
    assert "Order anew when" in row.state_reason


@ON_SQLITE
def test_what_the_system_says_is_wrong_with_the_question_rejects_at_once(house: House) -> None:
    answering(house, ErrorClass.REJECTED)
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(reads(),)), project="apollo")
    assert validated(house, request).state is RequestState.REJECTED


@ON_SQLITE
def test_retries_of_the_model_are_made_at_once_and_long_pauses_hold_nobody(house: House) -> None:
    calls = answering(house, ErrorClass.TRANSIENT, ErrorClass.TRANSIENT, {"left": 1})
    patient = reads(retry=Retry(attempts=3, delay_seconds=0.01, factor=20_000.0))
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(patient,)), project="apollo")
    row = validated(house, request)
    assert (row.state, len(calls)) == (RequestState.VALIDATING, 2)
    assert row.wake_at is not None
    assert row.wake_at - house.clock() > timedelta(minutes=2)
    house.clock.advance(seconds=201)
    assert validated(house, request).state is RequestState.SCHEDULED
    assert len(calls) == 3


def test_only_one_of_two_keepers_reads_and_what_a_killed_one_left_is_taken_up_at_once(house: House) -> None:
    calls = answering(house, {"left": 1})
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(reads(),)), project="apollo")
    house.records.run(lambda tx: tx.claims.take(request.id, "prerequisites", this_process(), timedelta(minutes=5)))
    assert validated(house, request).state is RequestState.VALIDATING
    assert calls == []
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = this_process()
    dead = Holder(here.host, here.boot_id, gone.pid, 1)
    house.clock.advance(minutes=6)
    house.records.run(lambda tx: tx.claims.take(request.id, "prerequisites", dead, timedelta(minutes=5)))
    assert validated(house, request).state is RequestState.SCHEDULED
    assert len(calls) == 1


def test_cancelled_while_something_is_read_it_stays_cancelled(house: House) -> None:
    def behave(call: ActionCall) -> ActionResult:
        house.lifecycle.cancel(request.id, CALLER, "not wanted any more")
        return ActionResult(Outcome.READ, {})

    house.stage.action("budget", EffectClass.READ_ONLY, behave)
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(reads(),)), project="apollo")
    assert validated(house, request).state is RequestState.CANCELLED


@ON_SQLITE
def test_a_secret_that_was_read_is_sealed(house: House) -> None:
    answering(house, {"key": "battery-staple"})
    request = house.order(
        plan_of(step("one"), inputs=PROJECT, prerequisites=(reads(secret_results=("/key",)),)), project="apollo"
    )
    validated(house, request)
    files = [file for file in house.settings.state.rglob("*") if file.is_file()]
    assert not any(b"battery-staple" in file.read_bytes() for file in files)


@ON_SQLITE
@pytest.mark.parametrize("left", [1, 0])
def test_corrected_inputs_are_read_about_again_by_the_run(house: House, left: int) -> None:
    calls = answering(house, {"left": 1}, {"left": left})
    broken = house.stage.action("one", behave=lambda call: _broken())
    enough = reads(expect=expression("result.left > 0"), otherwise=Literal("No budget."))
    request = house.order(plan_of(step("one"), inputs=PROJECT, prerequisites=(enough,)), project="apollo")
    validated(house, request)
    house.run(request)
    broken.behave = lambda call: ActionResult(Outcome.MADE, {})
    act = Act(request.id, CALLER, Remark("a typing error"))
    house.corrections.fix(act, Correction({"project": "gemini"}))
    seen = house.run(request)
    assert [call.arguments for call in calls] == [{"text": "apollo"}, {"text": "gemini"}]
    if left:
        assert seen == ["prerequisites.budget:done", "one:done"]
    else:
        assert seen == ["prerequisites.budget:failed"]
        assert house.now(request).state is RequestState.ON_HOLD
        assert "No budget." in house.now(request).state_reason


def _broken() -> ActionResult:
    raise ActionFailed("no", error_class=ErrorClass.PERMANENT, code="No")

"""What a person does to a request on hold by hand: complete a step, skip it, correct the inputs, hand the hold over.

Each is one transaction that takes the request's claim for its length, so that it is fenced as every other writer is
(invariant 2): of two people who act at once one acts, and the other hears that the request is on hold no more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from connectors.errors import UnknownAction
from connectors.registry import Registry
from flows.errors import ChangedMeanwhile, InputFault, InvalidResult, NotPossible, RequestNotFound, WrongState
from flows.holder import this_process
from flows.holds import Choice, HeldStep, held_steps
from flows.lifecycle import ACT, Caller, Lifecycle
from flows.lock_queue import let_go
from flows.outbox_kinds import RETRY
from flows.places import gone_on_without, surrounds
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, RequestRow
from flows.records.states import (
    PROVED_ABSENT,
    AttemptOutcome,
    EffectState,
    RequestState,
    StepState,
    TaskState,
    TouchKind,
)
from flows.step_ledger import effect_token, seal_found, step_owner
from flows.taking_over import settle_what_was_left
from flows.touching import Remark, touch_hold
from request_models.actions import ActionBroken, EffectClass, Outcome
from request_models.engine_actions import ENGINE_SPECS
from request_models.inputs import schema_problems
from request_models.json_values import JsonValue, NotJsonError, refuse_what_is_not_json
from request_models.plan import Plan, Step
from request_models.secrecy import matching_pointers
from request_models.value_types import ValueType, check_value

COMPLETED = "completed_by_hand"
SKIPPED = "skipped_by_hand"
ASSIGNED = "hold_assigned"
"""Audit events."""

BY_HAND = "by-hand"
"""In place of a flow run's id in the claim that a person's act takes."""

_ASSIGNING = "assigning the hold"
_LETTING_GO = "letting go of its locks"
CORRECTING = "correcting its inputs"
_ALSO_WHILE_UNDONE = frozenset({_ASSIGNING, _LETTING_GO})
_ALSO_WHILE_CORRECTED = frozenset({_ASSIGNING, _LETTING_GO, CORRECTING})

_LONG_ENOUGH = timedelta(seconds=30)

T = TypeVar("T")


@dataclass(frozen=True)
class Act:
    """Who acts on which request, what they say of it, and the version of it that they looked at, if they said."""

    request_id: str
    caller: Caller
    remark: Remark
    version: int | None = None


@dataclass(frozen=True)
class Held:
    """A request on hold whose claim is ours until the end of the transaction."""

    tx: Transaction
    request: RequestRow
    plan: Plan
    claim: Claim
    steps: tuple[HeldStep, ...]

    @property
    def id(self) -> str:
        """The request's id."""
        return self.request.id

    def step(self, path: str, item_key: str) -> HeldStep:
        """A step that it is about. Raises NotPossible, naming those that there are."""
        found = next((one for one in self.steps if (one.path, one.item_key) == (path, item_key)), None)
        if found is None:
            named = ", ".join(one.label for one in self.steps) or "none"
            raise NotPossible(
                f"The step {path!r}{f' of item {item_key!r}' if item_key else ''} is not one that this hold is about. "
                f"Those are: {named}."
            )
        return found


class Interventions:
    """The choices for a request on hold, `retry` excepted (`Lifecycle`).

    Every method raises RequestNotFound, NotAllowed, WrongState, NotPossible, ChangedMeanwhile; then nothing is changed.
    """

    def __init__(self, records: Records, registry: Registry, lifecycle: Lifecycle) -> None:
        self._records = records
        self._registry = registry
        self._lifecycle = lifecycle

    def complete(self, act: Act, path: str, item_key: str, result: JsonValue, *, go_on: bool = True) -> RequestRow:
        """Record that a person did what the step was to do, with its result. Raises InvalidResult also.

        What there is then counts as made by this request: its undo takes it back. With `go_on` the request goes on.
        """
        step = self._step(act, path)
        self._refuse_unless_typed(step, result)

        def write(held: Held) -> RequestRow:
            one = held.step(path, item_key)
            touch_hold(held.tx, held.request, TouchKind.COMPLETE, act.caller.person.id, act.remark, (path, item_key))
            _settle(held, step, item_key, result)
            return self._went_on(held, act, f"{one.label} was completed by hand", COMPLETED, go_on=go_on)

        return self._act(act, "completing a step", write)

    def skip(self, act: Act, path: str, item_key: str, *, go_on: bool = True) -> RequestRow:
        """Go on without a step, where the model says `on_failure: continue`.

        The step counts as failed to those that read its state, as if the model itself had gone on without it.
        """

        def write(held: Held) -> RequestRow:
            one = held.step(path, item_key)
            if Choice.SKIP not in one.choices:
                raise NotPossible(
                    f"The model does not go on without {one.label}: neither it nor a block around it says "
                    "`on_failure: continue`. Complete it by hand, correct the inputs, or retry it."
                )
            touch_hold(held.tx, held.request, TouchKind.SKIP, act.caller.person.id, act.remark, (path, item_key))
            _leave_behind(held, one, f"Skipped by {act.caller.person.id}.")
            return self._went_on(held, act, f"{one.label} was skipped", SKIPPED, go_on=go_on)

        return self._act(act, "skipping a step", write)

    def assign(self, act: Act, team: str | None, assignee: str | None) -> RequestRow:
        """Say whose the hold is. It counts as a touch."""

        def write(held: Held) -> RequestRow:
            actor, state = act.caller.person.id, held.request.state
            touch_hold(held.tx, held.request, TouchKind.HAND_OVER, actor, act.remark)
            whose = ", ".join(part for part in (team, assignee) if part) or "nobody"
            held.tx.audit.add(held.id, actor, ASSIGNED, state, state, f"to {whose}: {act.remark.why}")
            return held.tx.requests.set_hold(held.id, team, assignee)

        return self._act(act, _ASSIGNING, write)

    def let_go_of_locks(self, act: Act) -> RequestRow:
        """Free the locks of a request on hold for those that wait; a retry takes them again. It counts as a touch."""

        def write(held: Held) -> RequestRow:
            touch_hold(held.tx, held.request, TouchKind.CLEAN_UP, act.caller.person.id, act.remark)
            return let_go(held.tx, held.request, act.caller.person.id, act.remark.why)

        return self._act(act, _LETTING_GO, write)

    def act(self, act: Act, what: str, write: Callable[[Held], T]) -> T:
        """Do something else to the request on hold, in the same way."""
        return self._act(act, what, write)

    def _act(self, act: Act, what: str, write: Callable[[Held], T]) -> T:
        act.caller.require(ACT)
        self._lifecycle.get(act.request_id, act.caller)
        return self._records.run(lambda tx: _held(tx, act, what, write))

    def _went_on(self, held: Held, act: Act, said: str, event: str, *, go_on: bool) -> RequestRow:
        actor, why = act.caller.person.id, f"{said}: {act.remark.why}"
        if not go_on:
            held.tx.audit.add(held.id, actor, event, held.request.state, held.request.state, why)
            row = held.tx.requests.get(held.id)
            assert row is not None, "it is locked"
            return row
        return go_on_from_hold(held, actor, why)

    def _step(self, act: Act, path: str) -> Step:
        act.caller.require(ACT)
        request = self._lifecycle.get(act.request_id, act.caller)
        plan = self._records.read(lambda tx: tx.plans.get(request.plan_digest))
        step = next((one for one in plan.steps if one.path == path), None)
        if step is None:
            steps = ", ".join(one.path for one in plan.steps)
            raise NotPossible(f"The request has no step {path!r}. Its steps are: {steps}.")
        return step

    def _refuse_unless_typed(self, step: Step, result: JsonValue) -> None:
        """Raise InvalidResult unless the result is of the type that the step's own result would have."""
        try:
            refuse_what_is_not_json(result)
        except NotJsonError as error:
            raise InvalidResult((InputFault(error.pointer, "not-json", error.why),)) from None
        faults = self._faults(step, result)
        if faults:
            raise InvalidResult(faults)

    def _faults(self, step: Step, result: JsonValue) -> tuple[InputFault, ...]:
        if step.returns is not None:
            problems = schema_problems(step.returns, result)
            return tuple(InputFault(one.pointer, one.code, one.message) for one in problems)
        mismatches = check_value(self._result_type(step), result)
        return tuple(InputFault(one.pointer, "type", one.message) for one in mismatches)

    def _result_type(self, step: Step) -> ValueType:
        if step.uses in ENGINE_SPECS:
            return ENGINE_SPECS[step.uses].result
        pinned = step.content_digest
        try:
            content = None if pinned is None else self._records.read(lambda tx: tx.content.get(pinned))
            action = self._registry.action(step.uses) if content is None else self._registry.pinned(step.uses, content)
        except (UnknownAction, ActionBroken) as error:
            raise NotPossible(f"What {step.path} would answer cannot be checked: {error}") from None
        if action.spec.contract != step.contract:
            raise NotPossible(
                f"What {step.path} would answer cannot be checked: {step.uses} now has contract "
                f"{action.spec.contract}, and the request was accepted with {step.contract}."
            )
        return action.spec.result


def go_on_from_hold(held: Held, actor: str, why: str) -> RequestRow:
    """Let the request go on."""
    row = held.tx.requests.move(held.id, RequestState.IN_PROGRESS, actor=actor, why=why)
    held.tx.outbox.put(RETRY, held.id, {})
    return row


def end_what_waits(held: Held, path: str, item_key: str, actor: str, why: str = "its step was settled by hand") -> None:
    """End the task or the wait of a step whose outcome was settled otherwise."""
    task = held.tx.tasks.current(held.id, path, item_key)
    if task is not None and task.state is TaskState.OPEN:
        held.tx.tasks.cancel(task.id, actor, why)
    wait = held.tx.events.waiting(held.id, path, item_key)
    if wait is not None and wait.settled is None:
        held.tx.events.settle(wait.id)


def _held(tx: Transaction, act: Act, what: str, write: Callable[[Held], T]) -> T:
    request = tx.requests.get_for_update(act.request_id)
    if request is None:
        raise RequestNotFound(act.request_id)
    if request.state is not RequestState.ON_HOLD:
        raise WrongState(request.id, request.state.value, what, (RequestState.ON_HOLD.value,))
    if what not in _ALSO_WHILE_UNDONE and tx.undos.get(request.id) is not None:
        raise NotPossible(
            f"What request {request.id} did is being taken back, and that is on hold; {what} is of no use any more. "
            "Retry goes on with the undo."
        )
    if what not in _ALSO_WHILE_CORRECTED and tx.corrections.pending(request.id) is not None:
        raise NotPossible(
            f"The inputs of request {request.id} are corrected, and what depends on them is taken back first, which is "
            f"on hold; {what} is possible after that. Retry goes on with it, or undo the request."
        )
    if act.version is not None and act.version != request.version:
        raise ChangedMeanwhile(f"The request {request.id}", act.version, request.version)
    claim = tx.claims.take(request.id, BY_HAND, this_process(), _LONG_ENOUGH)
    if claim is None:
        raise NotPossible(f"The process that ran request {request.id} may still live. Try again in half a minute.")
    settle_what_was_left(tx, request.id, claim.epoch)
    plan = tx.plans.get(request.plan_digest)
    steps = held_steps(plan, tx.steps.all(request.id), tx.steps.attempts(request.id), tx.blocks.all(request.id))
    answer = write(Held(tx, request, plan, claim, steps))
    tx.claims.release(claim)
    return answer


def _settle(held: Held, step: Step, item_key: str, result: JsonValue) -> None:
    """Record a step as done, by an attempt of a person's and an effect that it made."""
    tx, epoch, path = held.tx, held.claim.epoch, step.path
    row = tx.steps.get(held.id, path, item_key=item_key)
    if row is None:
        nothing = tx.secrets.seal(held.id, f"{step_owner(path, item_key)}/arguments", {}, ())
        row = tx.steps.put_started(held.id, path, nothing, (), {}, None, epoch, item_key=item_key)
    tx.steps.restart(held.id, path, epoch, item_key=item_key)
    began = held.request.state_since
    attempt = tx.steps.start_attempt(
        held.id, path, step.uses, began, epoch, item_key=item_key, touched=True, started=began
    )
    outcome = AttemptOutcome.READ if step.effect is EffectClass.READ_ONLY else AttemptOutcome.MADE
    if outcome is AttemptOutcome.MADE:
        _made(held, step, item_key)
    declared = matching_pointers(result, step.secret_results)
    sealed = seal_found(tx, held.id, f"{step_owner(path, item_key)}/result", result, declared)
    tx.steps.finish_attempt(held.id, path, attempt, outcome, None, None, "", None, epoch, item_key=item_key)
    tx.steps.finish(held.id, path, StepState.DONE, sealed, "Completed by hand.", epoch, item_key=item_key)
    end_what_waits(held, path, item_key, "orderly")


def _made(held: Held, step: Step, item_key: str) -> None:
    """Have the step's effect on record as made: the unknown one that the person found, or one of the person's own."""
    tx, epoch = held.tx, held.claim.epoch
    effect = tx.effects.current(held.id, step.path, item_key)
    if effect is None or effect.state in PROVED_ABSENT:
        generation = 1 if effect is None else effect.generation + 1
        token = effect_token(held.id, step.path, generation, item_key)
        effect = tx.effects.open(held.id, step.path, item_key, generation, step.uses, token, epoch)
    if effect.state is not EffectState.DONE:
        tx.effects.close(effect.id, EffectState.DONE, Outcome.MADE, None, epoch)


def _leave_behind(held: Held, one: HeldStep, message: str) -> None:
    """Record the end of what the model goes on without, as the walk would."""
    tx, epoch = held.tx, held.claim.epoch
    found = gone_on_without(surrounds(held.plan)[one.path])
    assert found is not None, "only such a step can be skipped"
    if tx.steps.get(held.id, one.path, item_key=one.item_key) is not None:
        tx.steps.restart(held.id, one.path, epoch, item_key=one.item_key)
        tx.steps.finish(held.id, one.path, StepState.FAILED, None, message, epoch, item_key=one.item_key)
    place, key = found.end(one.item_key)
    tx.blocks.start(held.id, place, key, epoch)
    tx.blocks.finish(held.id, place, key, StepState.FAILED, message, epoch)
    end_what_waits(held, one.path, one.item_key, "orderly")

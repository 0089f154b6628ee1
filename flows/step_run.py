"""One step: evaluate once, record the intent, call, record the outcome (invariants 3 to 6).

The order of writes is the point. What a step is called with is committed before the first call, so a retry resends
exactly that. The intent (an open effect with its token, and what was read before it) is committed before each call, so
a crash leaves a trace; what a crash left open becomes *unknown*. What is unknown is sent again where that is harmless
by the action's effect class, looked for where there is a probe, and else held for a person (invariant 4).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.errors import UnknownAction
from flows.looking import find, read_before
from flows.masking import masked, secret_texts
from flows.records.large_values import LARGE_BYTES
from flows.records.rows import AttemptRow, EffectRow, StepRow
from flows.records.states import AttemptOutcome, EffectState, StepState
from flows.restoring import Actions
from flows.scope import Scope
from flows.step_evaluation import evaluate_step, is_true, refused_by_expectation
from flows.step_ledger import Failure, Intent, Sending, StepLedger
from flows.walk import Pause, StepReport
from request_models.actions import (
    REPEATABLE,
    Action,
    ActionBroken,
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Presence,
    Repeating,
)
from request_models.durations import say_duration
from request_models.expressions import ExpressionError, evaluate
from request_models.json_values import NotJsonError, canonical_json, refuse_what_is_not_json
from request_models.plan import Step
from request_models.value_types import check_value

_logger = logging.getLogger(__name__)

RETRY_HELD_SECONDS = 60.0
"""A longer pause between attempts holds no worker: the keeper wakes the request (design section 2)."""
LOOK_HELD_SECONDS = 5.0
"""The same between looks: to start a run again takes about as long."""
MAX_RESULT_BYTES = 32 * 1024 * 1024
"""Of a step's result as JSON: an object of 16 MiB in base64 fits, the most that a connector reads by default."""
MAX_KEPT_BYTES = 8 * MAX_RESULT_BYTES
"""Of all large values of a request: whoever runs it has them in memory."""
_ABOUT_NOW = timedelta(seconds=1)


@dataclass(frozen=True)
class NotYet:
    """A look that found the thing not as wished yet."""

    message: str


class StepRun:
    """Brings one step of a claimed request to its outcome.

    `scope` gives what expressions see at this moment. `stop` is set when the claim is lost: nothing more is begun then.
    Every write raises ClaimLost once the claim is stale.
    """

    def __init__(
        self,
        step: Step,
        ledger: StepLedger,
        registry: Actions,
        *,
        scope: Callable[[], Scope],
        default_timeout_seconds: float,
        log: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self._step = step
        self._ledger = ledger
        self._registry = registry
        self._scope = scope
        self._timeout_seconds = step.timeout_seconds or default_timeout_seconds
        self._plain_log = log
        self._stop = stop
        self._secrets: tuple[str, ...] = ()

    def report(self) -> StepReport:
        """Run the step, unless its outcome is on record already."""
        row, queued = self._ledger.row(), self._ledger.now()
        if row is not None and row.state in {StepState.DONE, StepState.SKIPPED}:
            return StepReport(self._step.path, row.state, cached=True, message=row.message)
        try:
            row = row or evaluate_step(self._step, self._ledger, self._scope())
        except ExpressionError as error:
            # Nothing was recorded as evaluated, so a retry evaluates anew.
            failure = Failure(str(error), ErrorClass.REJECTED, "expression")
            self._ledger.failed_before_call(failure, queued)
            return StepReport(self._step.path, StepState.FAILED, message=failure.message)
        if row.state is StepState.SKIPPED:
            return StepReport(self._step.path, StepState.SKIPPED, message=row.message)
        return self._attempt_until_done(row, queued)

    def _attempt_until_done(self, row: StepRow, queued: datetime) -> StepReport:
        """Attempts, looks and the pauses between them; a long pause is left to the keeper, who wakes the request."""
        since = row.taken_up if row.state is StepState.STARTED else queued
        tries = self._ledger.tries_since(since)
        attempt = 1 + sum(one.outcome is not AttemptOutcome.READ for one in tries)
        early = self._too_early(tries, attempt)
        if early is not None:
            return early
        while True:
            came_of_it = self._attempt(row, queued)
            if isinstance(came_of_it, StepReport):
                return came_of_it
            if isinstance(came_of_it, NotYet):
                waited = self._between_looks(came_of_it, since)
            elif attempt >= self._step.retry.attempts or not self._may_try_again(came_of_it):
                return self._given_up(came_of_it.message)
            else:
                attempt += 1
                waited = self._between_attempts(came_of_it, attempt)
            if waited is not None:
                return waited
            queued = self._ledger.now()

    def _too_early(self, tries: Sequence[AttemptRow], attempt: int) -> StepReport | None:
        """The request may have been woken for another step: this one keeps its own pause."""
        if not tries or tries[-1].ended is None:
            return None
        looked = tries[-1].outcome is AttemptOutcome.READ or tries[-1].error_code in self._not_yet
        polling = self._step.polling
        pause = polling.every_seconds if looked and polling is not None else self._delay(attempt)
        until = tries[-1].ended + timedelta(seconds=pause)
        held = LOOK_HELD_SECONDS if looked else RETRY_HELD_SECONDS
        if pause <= held or until - self._ledger.now() <= _ABOUT_NOW:
            return None
        return self._paused("its time has not come", until)

    def _between_looks(self, look: "NotYet", since: datetime) -> StepReport | None:
        """Wait for the next look, or report that it is to be waited for, or that there is no time for one."""
        polling = self._step.polling
        assert polling is not None, "only a step that polls is not there yet"
        until = self._ledger.now() + timedelta(seconds=polling.every_seconds)
        if until > since + timedelta(seconds=polling.within_seconds):
            within = say_duration(polling.within_seconds)
            return self._given_up(f"It was not as wished within {within}: {look.message}")
        return self._wait(f"{look.message} Looking again", until, LOOK_HELD_SECONDS)

    def _between_attempts(self, failure: Failure, attempt: int) -> StepReport | None:
        until = self._ledger.now() + timedelta(seconds=self._delay(attempt))
        what = f"{failure.message} Trying again (attempt {attempt} of {self._step.retry.attempts})"
        waited = self._wait(what, until, RETRY_HELD_SECONDS)
        if waited is None and self._stop.is_set():
            return self._given_up(failure.message)
        return waited

    def _delay(self, attempt: int) -> float:
        """Seconds before an attempt, from the second on."""
        retry = self._step.retry
        return retry.delay_seconds * retry.factor ** max(attempt - 2, 0)

    def _wait(self, what: str, until: datetime, held_seconds: float) -> StepReport | None:
        """Wait in this process if it is short; else the report that it is to be waited for."""
        seconds = max((until - self._ledger.now()).total_seconds(), 0.0)
        self._log(f"{what} in {seconds:g} s.")
        if seconds > held_seconds:
            return self._paused(what, until)
        self._stop.wait(seconds)
        return None

    def _paused(self, why: str, until: datetime) -> StepReport:
        return StepReport(self._step.path, StepState.STARTED, message=why, pause=Pause(why, until))

    def _given_up(self, message: str) -> StepReport:
        self._ledger.give_up(message)
        return StepReport(self._step.path, StepState.FAILED, message=message)

    def _may_try_again(self, failure: Failure) -> bool:
        """Whether the model retries such an error. One that is unknown counts as transient where that is harmless."""
        errors = self._step.retry.errors
        return failure.error_class in errors or (failure.repeatable and ErrorClass.TRANSIENT in errors)

    def _attempt(self, row: StepRow, queued: datetime) -> "StepReport | Failure | NotYet":
        """Bring the step's effect further by one call, or by finding out what an earlier call did."""
        try:
            action = self._action()
        except (UnknownAction, ActionBroken) as error:
            return self._refuse(Failure(str(error), ErrorClass.REJECTED, "unknown-action"), queued)
        sending = self._ledger.sending()
        self._secrets = secret_texts(sending.secrets)
        refused = self._refused_by_contract(action.spec, sending)
        if refused is not None:
            return self._refuse(refused, queued)
        repeating = action.spec.per_call(sending.arguments)
        if sending.resent and not self._may_resend(repeating):
            settled = self._settled(action, row, sending, queued)
            if settled is not None:
                return settled
            sending = self._ledger.sending()
        return self._called(action, row, sending, repeating, queued)

    def _called(
        self, action: Action, row: StepRow, sending: Sending, repeating: Repeating, queued: datetime
    ) -> "StepReport | Failure | NotYet":
        """One call: read what is there, intent, call, outcome."""
        try:
            if not sending.resent:
                sending = replace(sending, pre_read=read_before(action, self._call(sending, row)))
        except ActionFailed as error:
            return self._refuse(_of(error), queued)
        intent = self._ledger.intend(sending, repeating, queued)
        try:
            answer = action.run(self._call(sending, row, intent.attempt))
        except ActionFailed as error:
            failure = _of(error)
        except Exception as error:
            # A connector's bug must leave a record and not an open intent; the traceback goes to the worker's log.
            _logger.exception("the action %s broke", self._step.uses)
            what = f"{self._step.uses} broke with {type(error).__name__}; whether it had an effect is not known."
            failure = Failure(what, ErrorClass.UNKNOWN, type(error).__name__)
        else:
            return self._answered(intent, repeating, answer)
        failure = self._failed(intent, repeating, failure)
        if failure.code in self._not_yet:
            return NotYet(failure.message)
        if failure.error_class is not ErrorClass.UNKNOWN or failure.repeatable or not action.spec.probes:
            return failure
        return self._settled(action, row, sending, self._ledger.now()) or replace(
            failure,
            message=f"{failure.message} It was looked for and is not there: it had no effect.",
            error_class=ErrorClass.TRANSIENT,
        )

    def _settled(self, action: Action, row: StepRow, sending: Sending, queued: datetime) -> StepReport | Failure | None:
        """What is to be said of an effect that is unknown and must not be sent again; None when it did not happen."""
        effect = self._ledger.effect()
        assert effect is not None
        if not action.spec.probes:
            return self._refuse(
                _unknown(effect, "and the action cannot be repeated safely. It was not called again"), queued
            )
        try:
            finding = find(action, lambda: self._call(sending, row), effect, self._ledger.now, self._stop)
        except ActionFailed as error:
            return self._refuse(_of(error), queued)
        self._log(f"Looked for the effect of {effect.action}: {finding.presence.value}. {finding.seen}")
        if finding.answer is not None:
            return self._adopted(sending, effect, finding.answer, queued)
        if finding.presence is Presence.ABSENT:
            self._ledger.proved_absent(effect)
            return None
        found = {
            Presence.FOREIGN: "and what is there now is not this request's",
            Presence.CANNOT_TELL: "and looking for it does not tell",
        }[finding.presence]
        return self._refuse(_unknown(effect, f"{found}: {finding.seen.rstrip('.')}. It was not called again"), queued)

    def _adopted(
        self, sending: Sending, effect: EffectRow, answer: ActionResult, queued: datetime
    ) -> StepReport | Failure:
        refusal = self._refused_as_unrecordable(answer) or self._refused_by_expectation(sending, answer)
        if refusal is not None:
            return self._refuse(refusal, queued)
        self._ledger.adopt(effect, answer, queued)
        return StepReport(self._step.path, StepState.DONE, outcome=answer.outcome.value)

    def _action(self) -> Action:
        """The action; one with content as it was when the request was accepted. Raises UnknownAction, ActionBroken."""
        content = self._ledger.content
        if content is None:
            return self._registry.action(self._step.uses)
        return self._registry.pinned(self._step.uses, content)

    def _may_resend(self, repeating: Repeating) -> bool:
        """Whether the very same call may be made again; a token counts for as long as the system remembers it."""
        if repeating.effect is not EffectClass.TAKES_TOKEN:
            return repeating.effect in REPEATABLE
        effect = self._ledger.effect()
        return effect is None or effect.token_expires is None or self._ledger.now() < effect.token_expires

    def _refused_by_contract(self, spec: ActionSpec, sending: Sending) -> Failure | None:
        """The action must still be the one the plan was compiled for, and take what was rendered."""
        if spec.contract != self._step.contract:
            return Failure(
                f"{spec.name} now has contract {spec.contract}; this request was accepted with {self._step.contract}. "
                "Install the version it was accepted with, or order anew.",
                ErrorClass.REJECTED,
                "contract-changed",
            )
        mismatches = check_value(spec.arguments, sending.arguments)
        if not mismatches:
            return None
        faults = "; ".join(f"{mismatch.pointer or '/'}: {mismatch.message}" for mismatch in mismatches)
        return Failure(f"{spec.name} does not take these arguments: {faults}", ErrorClass.REJECTED, "arguments")

    def _refuse(self, failure: Failure, queued: datetime) -> Failure:
        failure = replace(failure, message=masked(failure.message, self._secrets))
        self._ledger.failed_before_call(failure, queued)
        return failure

    def _call(self, sending: Sending, row: StepRow, attempt: int = 1) -> ActionCall:
        deadline = time.monotonic() + self._timeout_seconds
        return ActionCall(
            action=self._step.uses,
            arguments=sending.arguments,
            token=sending.token,
            request_id=row.request_id,
            step_path=row.path,
            attempt=attempt,
            target=row.target,
            hosts=row.hosts,
            timeout_seconds=self._timeout_seconds,
            content=self._ledger.content,
            progress=sending.progress,
            pre_read=sending.pre_read,
            resent=sending.resent,
            log=self._log,
            cancelled=lambda: self._stop.is_set() or time.monotonic() > deadline,
        )

    @property
    def _not_yet(self) -> tuple[str, ...]:
        """Codes of errors that polling outlives."""
        return () if self._step.polling is None else self._step.polling.not_yet

    def _answered(self, intent: Intent, repeating: Repeating, answer: ActionResult) -> "StepReport | Failure | NotYet":
        refusal = self._refused_as_unrecordable(answer) or self._refused_by_expectation(intent.sending, answer)
        if refusal is not None:
            # The call went through; what it did, if its answer is not as expected, nobody can tell.
            return self._failed(intent, repeating, refusal, answered=True)
        looked = self._looked(intent, repeating, answer)
        if looked is not None:
            return looked
        self._ledger.done(intent, answer)
        return StepReport(self._step.path, StepState.DONE, outcome=answer.outcome.value)

    def _refused_as_unrecordable(self, answer: ActionResult) -> Failure | None:
        """An answer that is no JSON, or too long to be kept: the call itself went through."""
        refused = _refused_as_no_json(answer)
        if refused is not None:
            return refused
        size = len(canonical_json(answer.result))
        if size <= LARGE_BYTES:
            return None
        if size > MAX_RESULT_BYTES:
            what = f"The action's answer is {_mebibytes(size)} long; a step's may be {_mebibytes(MAX_RESULT_BYTES)}."
        elif self._ledger.kept_bytes() + size > MAX_KEPT_BYTES:
            what = (
                f"The action's answer is {_mebibytes(size)} long, and with it the answers of the request's steps would "
                f"be more than the {_mebibytes(MAX_KEPT_BYTES)} that are kept of a request."
            )
        else:
            return None
        return Failure(
            f"{what} Have the action answer less, or leave it where the next step can fetch it.",
            ErrorClass.UNKNOWN,
            "answer-too-long",
        )

    def _looked(self, intent: Intent, repeating: Repeating, answer: ActionResult) -> "Failure | NotYet | None":
        """What polling says of an answer; None when it is as wished, or nothing is polled."""
        polling = self._step.polling
        if polling is None:
            return None
        scope = self._scope() | {"result": answer.result, "args": intent.sending.arguments}
        try:
            if polling.fails is not None and is_true(evaluate(polling.fails, scope), polling.fails):
                message = f"It will never be as wished: {polling.fails.source}"
                return self._failed(intent, repeating, Failure(message, ErrorClass.REJECTED, "poll-failed"))
            if is_true(evaluate(polling.until, scope), polling.until):
                return None
        except ExpressionError as error:
            return self._failed(intent, repeating, Failure(str(error), ErrorClass.REJECTED, "expression"))
        self._ledger.not_yet(intent)
        return NotYet(f"Not yet: {polling.until.source}.")

    def _refused_by_expectation(self, sending: Sending, answer: ActionResult) -> Failure | None:
        return refused_by_expectation(self._step, self._scope, sending.arguments, answer.result)

    def _failed(self, intent: Intent, repeating: Repeating, failure: Failure, *, answered: bool = False) -> Failure:
        """Record a call that failed. The failure of a resend proves nothing about the call before it."""
        unknown = failure.error_class is ErrorClass.UNKNOWN
        may_have_happened = unknown or answered or failure.partly or intent.sending.resent
        harmless = repeating.effect is EffectClass.READ_ONLY
        state = EffectState.UNKNOWN if may_have_happened and not harmless else EffectState.FAILED
        message = masked(failure.message, self._secrets)
        failure = replace(failure, message=message, repeatable=unknown and self._may_resend(repeating))
        self._ledger.failed(intent, failure, state)
        return failure

    def _log(self, line: str) -> None:
        self._plain_log(masked(line, self._secrets))


def _unknown(effect: EffectRow, why: str) -> Failure:
    return Failure(
        f"An earlier call of {effect.action} (begun {effect.opened:%Y-%m-%d %H:%M:%S} UTC) may have had its effect:"
        f" its answer was not seen or not accepted, {why}. A person must look at the target and settle what is there.",
        ErrorClass.UNKNOWN,
        "outcome-unknown",
    )


def _of(error: ActionFailed) -> Failure:
    return Failure(str(error), error.error_class, error.code, error.progress, partly=error.partly)


def _refused_as_no_json(answer: ActionResult) -> Failure | None:
    """An answer that cannot be recorded is a connector's mistake; the call itself went through."""
    try:
        refuse_what_is_not_json(answer.result)
        refuse_what_is_not_json(answer.before)
    except NotJsonError as error:
        return Failure(f"The action's answer cannot be recorded: {error}", ErrorClass.UNKNOWN, "answer-not-json")
    return None


def _mebibytes(size: int) -> str:
    return f"{size / (1024 * 1024):.1f} MiB"

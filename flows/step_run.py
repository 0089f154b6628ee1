"""One step: evaluate once, record the intent, call, record the outcome (invariants 3 to 6).

The order of writes is the point. What a step is called with is committed before the first call, so a retry resends
exactly that. The intent (an open effect with its token) is committed before each call, so a crash leaves a trace; what
a crash left open becomes *unknown*, and what is unknown is called again only where that is harmless by the action's
effect class.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from connectors.errors import UnknownAction
from connectors.registry import Registry
from flows.masking import masked, secret_texts
from flows.records.rows import EffectRow, StepRow
from flows.records.states import PROVED_ABSENT, EffectState, StepState
from flows.scope import Scope
from flows.step_ledger import Failure, Intent, StepLedger
from request_models.actions import (
    Action,
    ActionBroken,
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
)
from request_models.expressions import ExpressionError, Omitted, evaluate, render
from request_models.json_values import JsonValue, NotJsonError, refuse_what_is_not_json
from request_models.plan import Expression, Step
from request_models.value_types import check_value

_logger = logging.getLogger(__name__)

_REPEATABLE = frozenset({EffectClass.READ_ONLY, EffectClass.IDEMPOTENT, EffectClass.TAKES_TOKEN})


@dataclass(frozen=True)
class StepReport:
    """How a step stands. `cached`: nothing was called, the outcome was on record. `message` is for the operator."""

    path: str
    state: StepState
    cached: bool = False
    outcome: str | None = None
    message: str = ""


class StepRun:
    """Brings one step of a claimed request to its outcome.

    `scope` gives what expressions see at this moment. `stop` is set when the claim is lost: nothing more is begun then.
    Every write raises ClaimLost once the claim is stale.
    """

    def __init__(
        self,
        step: Step,
        ledger: StepLedger,
        registry: Registry,
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
            row = row or self._evaluate()
        except ExpressionError as error:
            # Nothing was recorded as evaluated, so a retry evaluates anew.
            failure = Failure(str(error), ErrorClass.REJECTED, "expression")
            self._ledger.failed_before_call(failure, queued)
            return StepReport(self._step.path, StepState.FAILED, message=failure.message)
        if row.state is StepState.SKIPPED:
            return StepReport(self._step.path, StepState.SKIPPED, message=row.message)
        return self._attempt_until_done(row, queued)

    def _evaluate(self) -> StepRow:
        """Evaluate condition, arguments, hosts and target, once, and commit them."""
        step, scope = self._step, self._scope()
        if step.when is not None and not is_true(evaluate(step.when, scope), step.when):
            return self._ledger.skip(f"skipped, since `{step.when.source}` is false")
        arguments = cast(dict[str, JsonValue], render(step.arguments, scope))
        when_value = None if step.when is None else True
        return self._ledger.start(arguments, _host_names(step, scope), _target(step, scope), when_value)

    def _attempt_until_done(self, row: StepRow, queued: datetime) -> StepReport:
        retry, delay = self._step.retry, self._step.retry.delay_seconds
        attempt = 1
        while True:
            came_of_it = self._attempt(row, queued)
            if isinstance(came_of_it, StepReport):
                return came_of_it
            if came_of_it.error_class not in retry.errors or attempt >= retry.attempts:
                break
            attempt += 1
            self._log(f"{came_of_it.message} Trying again in {delay:g} s (attempt {attempt} of {retry.attempts}).")
            if self._stop.wait(delay):
                break
            delay, queued = delay * retry.factor, self._ledger.now()
        self._ledger.give_up(came_of_it.message)
        return StepReport(self._step.path, StepState.FAILED, message=came_of_it.message)

    def _attempt(self, row: StepRow, queued: datetime) -> StepReport | Failure:
        """One call: intent, call, outcome."""
        refused = self._refused_by_history()
        if refused is not None:
            return refused
        try:
            action = self._action()
        except (UnknownAction, ActionBroken) as error:
            return self._refuse(Failure(str(error), ErrorClass.REJECTED, "unknown-action"), queued)
        refused = self._refused_by_contract(action.spec, row)
        if refused is not None:
            return self._refuse(refused, queued)
        intent = self._ledger.intend(action.spec, queued)
        self._secrets = secret_texts(intent.secrets)
        try:
            answer = action.run(self._call(intent, row))
        except ActionFailed as error:
            return self._failed(intent, Failure(str(error), error.error_class, error.code, error.progress))
        except Exception as error:
            # A connector's bug must leave a record and not an open intent; the traceback goes to the worker's log.
            _logger.exception("the action %s broke", self._step.uses)
            what = f"{self._step.uses} broke with {type(error).__name__}; whether it had an effect is not known."
            return self._failed(intent, Failure(what, ErrorClass.UNKNOWN, type(error).__name__))
        return self._answered(intent, answer)

    def _action(self) -> Action:
        """The action; one with content as it was when the request was accepted. Raises UnknownAction, ActionBroken."""
        content = self._ledger.content
        if content is None:
            return self._registry.action(self._step.uses)
        return self._registry.pinned(self._step.uses, content)

    def _refused_by_history(self) -> Failure | None:
        """What is unknown is not called again unless that is harmless (invariant 4)."""
        effect = self._ledger.effect()
        if effect is None or effect.state in PROVED_ABSENT or self._may_resend(effect):
            return None
        return Failure(
            f"An earlier call of {effect.action} (begun {effect.opened:%Y-%m-%d %H:%M:%S} UTC) may have had its effect:"
            " its answer was not seen or not accepted, and the action cannot be repeated safely. It was not called "
            "again. A person must look at the target and settle what is there.",
            ErrorClass.UNKNOWN,
            "outcome-unknown",
        )

    def _may_resend(self, effect: EffectRow) -> bool:
        if self._step.effect is EffectClass.TAKES_TOKEN and effect.token_expires is not None:
            return self._ledger.now() < effect.token_expires
        return self._step.effect in _REPEATABLE

    def _refused_by_contract(self, spec: ActionSpec, row: StepRow) -> Failure | None:
        """The action must still be the one the plan was compiled for, and take what was rendered."""
        if spec.contract != self._step.contract:
            return Failure(
                f"{spec.name} now has contract {spec.contract}; this request was accepted with {self._step.contract}. "
                "Install the version it was accepted with, or order anew.",
                ErrorClass.REJECTED,
                "contract-changed",
            )
        mismatches = check_value(spec.arguments, self._ledger.arguments(row))
        if not mismatches:
            return None
        faults = "; ".join(f"{mismatch.pointer or '/'}: {mismatch.message}" for mismatch in mismatches)
        return Failure(f"{spec.name} does not take these arguments: {faults}", ErrorClass.REJECTED, "arguments")

    def _refuse(self, failure: Failure, queued: datetime) -> Failure:
        self._ledger.failed_before_call(failure, queued)
        return failure

    def _call(self, intent: Intent, row: StepRow) -> ActionCall:
        deadline = time.monotonic() + self._timeout_seconds
        return ActionCall(
            action=self._step.uses,
            arguments=intent.arguments,
            token=intent.effect.token,
            request_id=row.request_id,
            step_path=row.path,
            attempt=intent.attempt,
            target=row.target,
            hosts=row.hosts,
            timeout_seconds=self._timeout_seconds,
            content=self._ledger.content,
            progress=intent.progress,
            log=self._log,
            cancelled=lambda: self._stop.is_set() or time.monotonic() > deadline,
        )

    def _answered(self, intent: Intent, answer: ActionResult) -> StepReport | Failure:
        refusal = _refused_as_no_json(answer) or self._refused_by_expectation(intent, answer)
        if refusal is not None:
            # The call went through; what it did, if its answer is not as expected, nobody can tell.
            return self._failed(intent, refusal, EffectState.UNKNOWN)
        self._ledger.done(intent, answer)
        return StepReport(self._step.path, StepState.DONE, outcome=answer.outcome.value)

    def _refused_by_expectation(self, intent: Intent, answer: ActionResult) -> Failure | None:
        step = self._step
        if step.expect is None:
            return None
        scope = self._scope() | {"result": answer.result, "args": intent.arguments}
        try:
            if is_true(evaluate(step.expect, scope), step.expect):
                return None
            said = None if step.otherwise is None else render(step.otherwise, scope)
        except ExpressionError as error:
            said = str(error)
        message = said if isinstance(said, str) else f"The answer is not what the model expects: {step.expect.source}"
        return Failure(message, ErrorClass.REJECTED, "expectation")

    def _failed(self, intent: Intent, failure: Failure, effect: EffectState | None = None) -> Failure:
        unknown = failure.error_class is ErrorClass.UNKNOWN
        failure = replace(failure, message=masked(failure.message, self._secrets))
        self._ledger.failed(intent, failure, effect or (EffectState.UNKNOWN if unknown else EffectState.FAILED))
        return failure

    def _log(self, line: str) -> None:
        self._plain_log(masked(line, self._secrets))


def _refused_as_no_json(answer: ActionResult) -> Failure | None:
    """An answer that cannot be recorded is a connector's mistake; the call itself went through."""
    try:
        refuse_what_is_not_json(answer.result)
        refuse_what_is_not_json(answer.before)
    except NotJsonError as error:
        return Failure(f"The action's answer cannot be recorded: {error}", ErrorClass.UNKNOWN, "answer-not-json")
    return None


def is_true(value: JsonValue, condition: Expression) -> bool:
    """The value of a condition; raises ExpressionError when it is neither true nor false: no text counts as yes."""
    if not isinstance(value, bool):
        raise ExpressionError("a condition must give true or false", condition.source)
    return value


def _host_names(step: Step, scope: Scope) -> tuple[str, ...]:
    if step.hosts is None:
        return ()
    hosts = render(step.hosts, scope)
    names = [hosts] if isinstance(hosts, str) else hosts
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ExpressionError("`hosts` must give the name of a group or host, or a list of names", step.path)
    return tuple(cast(list[str], names))


def _target(step: Step, scope: Scope) -> dict[str, JsonValue]:
    rendered = {key: render(node, scope) for key, node in step.target.items()}
    return {key: value for key, value in rendered.items() if not isinstance(value, Omitted)}

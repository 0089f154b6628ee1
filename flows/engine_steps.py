"""The steps that the engine itself does (`request_models/engine_actions.py`): tasks, waits, orders of other models.

None of them holds a worker: what is to come is on record, the step pauses, and whatever comes wakes the request.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from flows.children import order_child
from flows.engine_ledger import Asked, EngineLedger, Settled
from flows.errors import InvalidInputs, RequestRefused
from flows.lifecycle import Lifecycle
from flows.masking import masked
from flows.records.errors import TooLong
from flows.records.records import Transaction
from flows.records.rows import EventWait, RequestRow, StepRow, TaskRow
from flows.records.states import RequestState, StepState, TaskState
from flows.scope import Scope
from flows.step_evaluation import evaluate_step, refused_by_expectation
from flows.step_ledger import Failure
from flows.walk import Pause, StepReport
from request_models.actions import ErrorClass, Outcome
from request_models.durations import parse_duration, say_duration
from request_models.engine_actions import ENGINE_SPECS, HUMAN_TASK, REQUEST_SUBMIT, WAIT_EVENT, WAIT_UNTIL
from request_models.expressions import ExpressionError
from request_models.formats import is_date
from request_models.inputs import schema_problems
from request_models.json_values import JsonValue
from request_models.plan import Step
from request_models.value_types import check_value

ENGINE = "orderly-worker"
"""The actor of what a step of the engine begins."""


class EngineStep:
    """Brings one step of the engine to its outcome, or says what it waits for. Writes raise ClaimLost once stale."""

    def __init__(
        self,
        step: Step,
        ledger: EngineLedger,
        request: RequestRow,
        lifecycle: Lifecycle,
        *,
        scope: Callable[[], Scope],
        log: Callable[[str], None],
    ) -> None:
        self._step = step
        self._ledger = ledger
        self._request = request
        self._lifecycle = lifecycle
        self._scope = scope
        self._log = log

    def report(self) -> StepReport:
        """See how the step stands, unless its outcome is on record already."""
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
        arguments = self._ledger.arguments(row)
        mismatches = check_value(ENGINE_SPECS[self._step.uses].arguments, arguments)
        if mismatches:
            faults = [f"{fault.pointer or '/'}: {fault.message}" for fault in mismatches]
            message = f"{self._step.uses} does not take these arguments: {'; '.join(faults)}"
            return self._failed(row, Failure(message, ErrorClass.REJECTED, "arguments"), queued)
        try:
            return self._looked_at(row, arguments)
        except TooLong as error:
            return self._failed(row, Failure(str(error), ErrorClass.REJECTED, "arguments"), queued)

    def _looked_at(self, row: StepRow, arguments: dict[str, JsonValue]) -> StepReport:
        look = {
            WAIT_UNTIL: self._until,
            HUMAN_TASK: self._task,
            WAIT_EVENT: self._event,
            REQUEST_SUBMIT: self._order,
        }[self._step.uses]
        return look(row, arguments)

    # wait.until

    def _until(self, row: StepRow, arguments: dict[str, JsonValue]) -> StepReport:
        at = moment_of(str(arguments["at"]))
        if at > self._ledger.now():
            return self._paused(f"it waits until {at:%Y-%m-%d %H:%M:%S} UTC", at)
        return self._settled(row, Settled(Outcome.READ, {}, row.taken_up), arguments)

    # human.task

    def _task(self, row: StepRow, arguments: dict[str, JsonValue]) -> StepReport:
        task = self._ledger.task()
        if task is None or _is_over(task, row):
            task = self._ledger.ask(self._asked(arguments), ENGINE)
            self._log(f"Asked the team {task.team} to do it.")
        if task.state is TaskState.OPEN:
            whose = f"{task.team} ({task.assignee})" if task.assignee else task.team
            return self._paused(f"it waits for a task of the team {whose}")
        made = Settled(Outcome.MADE, self._ledger.answer_of(task), task.created, touched=True)
        return self._settled(row, made, arguments, effect=True)

    def _asked(self, arguments: dict[str, JsonValue]) -> Asked:
        within = arguments.get("within")
        title = arguments.get("title") or self._step.title.get("en") or self._step.path
        assignee = arguments.get("assignee")
        return Asked(
            team=str(arguments["team"]),
            assignee=None if assignee is None else str(assignee),
            title=str(title),
            instructions=str(arguments["instructions"]),
            due=None if within is None else self._ledger.now() + parse_duration(str(within)),
        )

    # wait.event

    def _event(self, row: StepRow, arguments: dict[str, JsonValue]) -> StepReport:
        wait = self._ledger.waiting()
        if wait is None or wait.settled is not None or wait.began < row.started:
            wait = self._ledger.wait(self._request, *_awaited(arguments), self._deadline(arguments))
        if wait.event_id is not None:
            return self._came(row, wait, wait.event_id, arguments)
        if wait.until is not None and wait.until <= self._ledger.now():
            within = say_duration((wait.until - wait.began).total_seconds())
            failure = Failure(f"The event {wait.event!r} did not come within {within}.", ErrorClass.PERMANENT, "late")
            return self._failed(row, failure, wait.began, also=lambda tx: tx.events.settle(wait.id))
        return self._paused(f"it waits for the event {wait.event!r}", wait.until)

    def _came(self, row: StepRow, wait: EventWait, event_id: int, arguments: dict[str, JsonValue]) -> StepReport:
        data = self._ledger.data_of(event_id)
        faults = [] if self._step.returns is None else schema_problems(self._step.returns, data)
        also = lambda tx: tx.events.settle(wait.id)  # noqa: E731 - one line beats a name
        if faults:
            wrong = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in faults)
            message = f"The event {wait.event!r} came, but its data are not as `returns` says: {wrong}"
            return self._failed(row, Failure(message, ErrorClass.REJECTED, "returns"), wait.began, also=also)
        return self._settled(row, Settled(Outcome.READ, data, wait.began), arguments, also=also)

    def _deadline(self, arguments: dict[str, JsonValue]) -> datetime | None:
        within = arguments.get("within")
        return None if within is None else self._ledger.now() + parse_duration(str(within))

    # request.submit

    def _order(self, row: StepRow, arguments: dict[str, JsonValue]) -> StepReport:
        child = self._ledger.child()
        if child is None:
            try:
                child = self._ledger.order(lambda tx, token: self._ordered(tx, arguments, token))
            except RequestRefused as error:
                return self._failed(row, Failure(_refusal(error), ErrorClass.REJECTED, "refused"), self._ledger.now())
            self._log(f"Ordered {child.model}: request {child.id}.")
        if not child.state.ended:
            return self._paused(f"it waits for the request {child.id} ({child.model})")
        if child.state is RequestState.FULFILLED:
            return self._fulfilled(row, child, arguments)
        message = f"The request {child.id} ({child.model}) ended as {child.state.value}: {child.state_reason}"
        failure = Failure(message, ErrorClass.PERMANENT, child.state.value)
        return self._failed(row, failure, child.submitted, also=self._ledger.over)

    def _ordered(self, tx: Transaction, arguments: dict[str, JsonValue], token: str) -> RequestRow:
        return order_child(tx, self._lifecycle, self._request, arguments, token)

    def _fulfilled(self, row: StepRow, child: RequestRow, arguments: dict[str, JsonValue]) -> StepReport:
        outputs, secret = self._ledger.outputs(child)
        result: JsonValue = {"id": child.id, "state": child.state.value, "outputs": outputs}
        made = Settled(Outcome.MADE, result, child.submitted, tuple(f"/outputs{pointer}" for pointer in secret))
        return self._settled(row, made, arguments)

    # how it ends

    def _settled(
        self,
        row: StepRow,
        settled: Settled,
        arguments: dict[str, JsonValue],
        *,
        effect: bool = False,
        also: Callable[[Transaction], None] = lambda tx: None,
    ) -> StepReport:
        refused = refused_by_expectation(self._step, self._scope, arguments, settled.result)
        if refused is not None:
            return self._failed(row, refused, settled.began, touched=settled.touched, also=also)
        self._ledger.settle(row, settled, effect=effect, also=also)
        return StepReport(self._step.path, StepState.DONE, outcome=settled.outcome.value)

    def _failed(
        self,
        row: StepRow,
        failure: Failure,
        began: datetime,
        *,
        touched: bool = False,
        also: Callable[[Transaction], None] = lambda tx: None,
    ) -> StepReport:
        failure = replace(failure, message=masked(failure.message, self._ledger.secret_texts()))
        self._ledger.refuse(row, failure, began, touched=touched, also=also)
        return StepReport(self._step.path, StepState.FAILED, message=failure.message)

    def _paused(self, why: str, until: datetime | None = None) -> StepReport:
        self._log(f"{why[0].upper()}{why[1:]}.")
        return StepReport(self._step.path, StepState.STARTED, message=why, pause=Pause(why, until))


def moment_of(text: str) -> datetime:
    """The moment a date-time of RFC 3339 names; of a date, its beginning in UTC."""
    if is_date(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def _is_over(task: TaskRow, row: StepRow) -> bool:
    """Whether the task is of an earlier evaluation of the step, or its outcome was not accepted."""
    if task.state is TaskState.OPEN:
        return False
    return task.state is TaskState.CANCELLED or task.created < row.started or row.state is StepState.FAILED


def _awaited(arguments: dict[str, JsonValue]) -> tuple[str, str | None]:
    key = arguments.get("key")
    return str(arguments["event"]), None if key is None else str(key)


def _refusal(error: RequestRefused) -> str:
    faults = error.problems if isinstance(error, InvalidInputs) else ()
    each = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in faults)
    return f"{error} {each}".rstrip()

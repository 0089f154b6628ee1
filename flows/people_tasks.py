"""Tasks of people, whoever asks: see them, complete them with a typed result, hand them over, say something of them.

Each change is one transaction with its note, its audit event and its touch; a task that is done wakes its request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from flows.actors import KEEPER
from flows.errors import ChangedMeanwhile, InputFault, InvalidResult, TaskClosed, TaskNotFound
from flows.lifecycle import READ_ALL, Caller
from flows.records.records import Records, Transaction
from flows.records.rows import RequestRow, TaskFilter, TaskNote, TaskRow, Touch
from flows.records.states import TaskState, TouchKind
from flows.step_ledger import seal_found
from flows.touching import Remark
from flows.waking import wake
from request_models.inputs import schema_problems
from request_models.json_values import JsonValue, NotJsonError, refuse_what_is_not_json
from request_models.plan import Plan
from request_models.secrecy import matching_pointers

READ_TASKS = "tasks:read"
ACT_ON_TASKS = "tasks:act"
ACT_ON_ALL_TASKS = "tasks:act:all"

TASK_DONE = "task_done"
TASK_ASSIGNED = "task_assigned"
TASK_OVERDUE = "task_overdue"
"""Audit events of the task's request."""

MOST_SHOWN = 200
_AT_ONCE = 100

Whose = Literal["mine", "teams", "all"]


@dataclass(frozen=True)
class ShownTask:
    """A task with what it is about; what is secret in its words and its result is null."""

    task: TaskRow
    request: RequestRow
    plan: Plan
    notes: tuple[TaskNote, ...]


class PeopleTasks:
    """What can be done to tasks. A task that is not the caller's to see does not exist for them (TaskNotFound)."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def list(self, caller: Caller, whose: Whose, state: TaskState | None = TaskState.OPEN) -> list[ShownTask]:
        """The caller's own tasks, those of the caller's teams too, or all there are. Raises NotAllowed.

        At most `MOST_SHOWN` and one more, by which it is seen that there are more.
        """
        caller.require(READ_TASKS)
        if whose == "all":
            caller.require(READ_ALL)
            wanted = TaskFilter(state=state, limit=MOST_SHOWN + 1)
        else:
            teams = caller.person.groups if whose == "teams" else None
            wanted = TaskFilter(state=state, assignee=caller.person.id, teams=teams, limit=MOST_SHOWN + 1)
        return self._records.read(lambda tx: [_shown(tx, task) for task in tx.tasks.list(wanted)])

    def get(self, task_id: str, caller: Caller) -> ShownTask:
        """One task with its history. Raises NotAllowed, TaskNotFound."""
        caller.require(READ_TASKS)
        return self._records.read(lambda tx: _shown(tx, _visible(tx.tasks.get(task_id), task_id, caller)))

    def complete(
        self, task_id: str, caller: Caller, result: JsonValue, remark: Remark, version: int | None = None
    ) -> ShownTask:
        """Record that it is done and what came of it; its request goes on.

        Raises NotAllowed, TaskNotFound, TaskClosed, WrongState, InvalidResult, ChangedMeanwhile.
        """

        def write(tx: Transaction) -> ShownTask:
            task, request = self._to_act_on(tx, task_id, caller, version)
            _refuse_unless_typed(task, result)
            secret = matching_pointers(result, task.secret_results)
            sealed = seal_found(tx, request.id, f"tasks/{task.id}/result", result, secret)
            tx.tasks.finish(task.id, sealed, caller.person.id, remark.why, remark.minutes)
            tx.audit.add(request.id, caller.person.id, TASK_DONE, request.state, request.state, remark.why)
            tx.touches.add(_touch(task, TouchKind.TASK, caller, remark, task.created, tx.now()))
            wake(tx, request.id, caller.person.id, f"the task of the team {task.team} is done")
            return _shown(tx, _required(tx, task.id))

        return self._records.run(write)

    def assign(
        self,
        task_id: str,
        caller: Caller,
        team: str | None,
        assignee: str | None,
        remark: Remark,
        version: int | None = None,
    ) -> ShownTask:
        """Hand a task over to another team or person; without a team it stays the team's. It counts as a touch.

        Raises NotAllowed, TaskNotFound, TaskClosed, WrongState, ChangedMeanwhile.
        """

        def write(tx: Transaction) -> ShownTask:
            task, request = self._to_act_on(tx, task_id, caller, version)
            tx.tasks.assign(task.id, team or task.team, assignee, caller.person.id, remark.why)
            tx.audit.add(request.id, caller.person.id, TASK_ASSIGNED, request.state, request.state, remark.why)
            since = tx.tasks.notes(task.id)[0].at
            tx.touches.add(_touch(task, TouchKind.HAND_OVER, caller, remark, since, tx.now()))
            return _shown(tx, _required(tx, task.id))

        return self._records.run(write)

    def comment(self, task_id: str, caller: Caller, text: str) -> ShownTask:
        """Say something of a task, open or not. Raises NotAllowed, TaskNotFound."""
        caller.require(ACT_ON_TASKS)

        def write(tx: Transaction) -> ShownTask:
            task = _visible(tx.tasks.get(task_id), task_id, caller)
            tx.tasks.note(task.id, caller.person.id, "comment", text)
            return _shown(tx, task)

        return self._records.run(write)

    def _to_act_on(
        self, tx: Transaction, task_id: str, caller: Caller, version: int | None
    ) -> tuple[TaskRow, RequestRow]:
        """The open task and its request, neither of which anybody else changes until the transaction ends."""
        caller.require(ACT_ON_TASKS)
        seen = _visible(tx.tasks.get(task_id), task_id, caller)
        if not (_is_theirs(seen, caller) or caller.may(ACT_ON_ALL_TASKS)):
            caller.require(ACT_ON_ALL_TASKS)
        request = tx.requests.get_for_update(seen.request_id)
        task = _required(tx, task_id)
        assert request is not None, "a task's request is never deleted"
        if task.state is not TaskState.OPEN:
            raise TaskClosed(task_id, task.state.value, task.by)
        if version is not None and version != task.version:
            raise ChangedMeanwhile(f"The task {task_id}", version, task.version)
        return task, request


def mark_overdue(records: Records, now: datetime) -> None:
    """Record of each open task whose due time has passed that it has, once."""
    for late in records.read(lambda tx: tx.tasks.late(now, _AT_ONCE)):
        records.run(lambda tx, late=late: _mark_overdue(tx, late))  # type: ignore[misc] # bound at once


def _mark_overdue(tx: Transaction, late: TaskRow) -> None:
    request = tx.requests.get_for_update(late.request_id)
    task = tx.tasks.get_for_update(late.id)
    if request is None or task is None or task.state is not TaskState.OPEN or task.overdue is not None:
        return
    tx.tasks.mark_overdue(task.id, KEEPER)
    why = f"the task of the team {task.team} was due at {late.due:%Y-%m-%d %H:%M:%S} UTC"
    tx.audit.add(request.id, KEEPER, TASK_OVERDUE, request.state, request.state, why)


def _shown(tx: Transaction, task: TaskRow) -> ShownTask:
    request = tx.requests.get(task.request_id)
    assert request is not None, "a task's request is never deleted"
    return ShownTask(task, request, tx.plans.get(request.plan_digest), tuple(tx.tasks.notes(task.id)))


def _required(tx: Transaction, task_id: str) -> TaskRow:
    task = tx.tasks.get_for_update(task_id)
    if task is None:
        raise TaskNotFound(task_id)
    return task


def _visible(task: TaskRow | None, task_id: str, caller: Caller) -> TaskRow:
    if task is None or not (_is_theirs(task, caller) or caller.may(READ_ALL)):
        raise TaskNotFound(task_id)
    return task


def _is_theirs(task: TaskRow, caller: Caller) -> bool:
    return task.assignee == caller.person.id or task.team in caller.person.groups


def _refuse_unless_typed(task: TaskRow, result: JsonValue) -> None:
    """Raise InvalidResult unless the result is as the model's `returns` says; without one there is nothing to say."""
    try:
        refuse_what_is_not_json(result)
    except NotJsonError as error:
        raise InvalidResult((InputFault(error.pointer, "not-json", error.why),)) from None
    if not isinstance(task.returns, dict):
        if result != {}:
            raise InvalidResult((InputFault("", "unknown", "this task gives nothing back"),))
        return
    problems = schema_problems(cast(Mapping[str, JsonValue], task.returns), result)
    if problems:
        raise InvalidResult(tuple(InputFault(one.pointer, one.code, one.message) for one in problems))


def _touch(task: TaskRow, kind: TouchKind, caller: Caller, remark: Remark, started: datetime, ended: datetime) -> Touch:
    return Touch(
        request_id=task.request_id,
        path=task.path,
        item_key=task.item_key,
        kind=kind,
        actor=caller.person.id,
        team=task.team,
        started=started,
        ended=ended,
        minutes=remark.minutes,
        label=remark.label,
        why=remark.why,
    )

"""Tasks of people: what is asked of whom, until when, and what came of it. Each has its notes, its history."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from flows.records.errors import Conflict, NotFound
from flows.records.reading import each, one, select_rows
from flows.records.rows import NewTask, Sealed, TaskFilter, TaskNote, TaskRow
from flows.records.states import TaskState
from flows.records.tables import task_notes, tasks

_SEALED = ("title", "instructions")

_Rows: TypeAlias = list[TaskRow]  # the class has a method of that name
_Notes: TypeAlias = list[TaskNote]


def asked_of(person: str, teams: Iterable[str]) -> ColumnElement[bool]:
    """The condition on a task that it is this person's or one of these teams'."""
    return or_(tasks.c.assignee == person, tasks.c.team.in_(list(teams)))


class Tasks:
    """The tasks. What changes one is noted in the same transaction, with who did it."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def add(self, new: NewTask, actor: str) -> TaskRow:
        """Record an open task; raises Conflict when there is one of this generation."""
        columns = {**asdict(new), **{name: getattr(new, name) for name in _SEALED}}
        self._connection.execute(
            insert(tasks).values(**columns, state=TaskState.OPEN, created=self._clock(), why="", version=1)
        )
        self.note(new.id, actor, "created", "")
        return self._required(new.id)

    def get(self, task_id: str) -> TaskRow | None:
        """A task as it stands."""
        rows = select_rows(TaskRow, tasks).where(tasks.c.id == task_id)
        return one(TaskRow, self._connection.execute(rows).one_or_none())

    def get_for_update(self, task_id: str) -> TaskRow | None:
        """A task, which nobody else changes until this transaction ends."""
        rows = select_rows(TaskRow, tasks).where(tasks.c.id == task_id).with_for_update()
        return one(TaskRow, self._connection.execute(rows).one_or_none())

    def current(self, request_id: str, path: str, item_key: str) -> TaskRow | None:
        """The latest task of a step, or of an item of it."""
        rows = select_rows(TaskRow, tasks).where(
            tasks.c.request_id == request_id, tasks.c.path == path, tasks.c.item_key == item_key
        )
        return one(TaskRow, self._connection.execute(rows.order_by(tasks.c.generation.desc()).limit(1)).one_or_none())

    def list(self, wanted: TaskFilter) -> _Rows:
        """Some tasks, those due first at the head, then the oldest."""
        rows = select_rows(TaskRow, tasks)
        if wanted.state is not None:
            rows = rows.where(tasks.c.state == wanted.state)
        if wanted.request_id is not None:
            rows = rows.where(tasks.c.request_id == wanted.request_id)
        whose = []
        if wanted.assignee is not None:
            whose.append(tasks.c.assignee == wanted.assignee)
        if wanted.teams is not None:
            whose.append(tasks.c.team.in_(wanted.teams))
        if whose:
            rows = rows.where(or_(*whose))
        ordered = rows.order_by(tasks.c.due.is_(None), tasks.c.due, tasks.c.created, tasks.c.id)
        return each(TaskRow, self._connection.execute(ordered.limit(wanted.limit)))

    def asks_of(self, request_id: str, person: str, teams: Iterable[str]) -> bool:
        """Whether the request asks, or has asked, something of this person or of one of the teams."""
        rows = select(tasks.c.id).where(tasks.c.request_id == request_id, asked_of(person, teams)).limit(1)
        return self._connection.execute(rows).first() is not None

    def late(self, now: datetime, limit: int) -> _Rows:
        """Open tasks whose due time has passed and that nobody was told of, the longest first."""
        due = and_(tasks.c.state == TaskState.OPEN, tasks.c.due <= now, tasks.c.overdue.is_(None))
        rows = select_rows(TaskRow, tasks).where(due).order_by(tasks.c.due, tasks.c.id).limit(limit)
        return each(TaskRow, self._connection.execute(rows))

    def finish(self, task_id: str, result: Sealed, by: str, why: str, minutes: float | None) -> TaskRow:
        """Record that a person did it; raises NotFound, and Conflict for a task that is not open."""
        task = self._open(task_id)
        self._change(task, state=TaskState.DONE, result=result, done=self._clock(), by=by, why=why, minutes=minutes)
        self.note(task_id, by, "completed", why)
        return self._required(task_id)

    def assign(self, task_id: str, team: str, assignee: str | None, by: str, why: str) -> TaskRow:
        """Give an open task to another team or person; raises NotFound, Conflict."""
        task = self._open(task_id)
        self._change(task, team=team, assignee=assignee)
        whose = f"{team}, {assignee}" if assignee else team
        self.note(task_id, by, "assigned", f"to {whose}: {why}" if why else f"to {whose}")
        return self._required(task_id)

    def mark_overdue(self, task_id: str, actor: str) -> None:
        """Record that its due time passed; raises NotFound, Conflict."""
        task = self._open(task_id)
        self._change(task, overdue=self._clock())
        self.note(task_id, actor, "overdue", "")

    def cancel_open(self, request_id: str, actor: str, why: str) -> None:
        """End the open tasks of a request that does not want them any more."""
        wanted = TaskFilter(request_id=request_id, limit=10_000)
        for task in self.list(wanted):
            self._change(task, state=TaskState.CANCELLED, done=self._clock(), by=actor, why=why)
            self.note(task.id, actor, "cancelled", why)

    def cancel(self, task_id: str, actor: str, why: str) -> None:
        """End one open task that is not wanted any more; raises NotFound, Conflict."""
        task = self._open(task_id)
        self._change(task, state=TaskState.CANCELLED, done=self._clock(), by=actor, why=why)
        self.note(task_id, actor, "cancelled", why)

    def note(self, task_id: str, actor: str, event: str, text: str) -> None:
        """Add to the history of a task."""
        self._connection.execute(
            insert(task_notes).values(task_id=task_id, at=self._clock(), actor=actor, event=event, text=text)
        )

    def notes(self, task_id: str) -> _Notes:
        """The history of a task, oldest first."""
        rows = select_rows(TaskNote, task_notes).where(task_notes.c.task_id == task_id)
        return each(TaskNote, self._connection.execute(rows.order_by(task_notes.c.id)))

    def _open(self, task_id: str) -> TaskRow:
        task = self.get_for_update(task_id)
        if task is None:
            raise NotFound("task", task_id)
        if task.state is not TaskState.OPEN:
            raise Conflict(f"The task {task_id} is {task.state}.")
        return task

    def _change(self, task: TaskRow, **columns: Any) -> None:
        self._connection.execute(update(tasks).where(tasks.c.id == task.id).values(**columns, version=task.version + 1))

    def _required(self, task_id: str) -> TaskRow:
        task = self.get(task_id)
        if task is None:
            raise NotFound("task", task_id)
        return task

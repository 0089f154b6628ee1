"""Steps and their attempts, bound to paths and item keys, never to an order of calls (invariant 6).

Every write carries the epoch of the writer's claim and raises ClaimLost when it is stale.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, update

from flows.records.claims import Claims
from flows.records.errors import Conflict, IllegalTransition, NotFound
from flows.records.reading import each, one, select_rows
from flows.records.rows import AttemptRow, Sealed, StepRow
from flows.records.states import AttemptOutcome, StepState
from flows.records.tables import attempts, steps
from request_models.actions import ErrorClass
from request_models.json_values import JsonValue


class Steps:
    """Steps: what was rendered, once, and what came of it; and each attempt (design section 9)."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], claims: Claims) -> None:
        self._connection = connection
        self._clock = clock
        self._claims = claims

    def put_started(
        self,
        request_id: str,
        path: str,
        arguments: Sealed,
        hosts: Sequence[str],
        target: Mapping[str, JsonValue],
        when_value: bool | None,
        epoch: int,
        *,
        item_key: str = "",
    ) -> StepRow:
        """Record what a step was rendered to, before its first attempt.

        Raises Conflict when the step has a row: a retry uses what was recorded (`restart`). The row of a step that was
        undone is replaced.
        """
        self._claims.check(request_id, epoch)
        now = self._clock()
        undone = and_(_at(steps, request_id, path, item_key), steps.c.state == StepState.UNDONE)
        self._connection.execute(delete(steps).where(undone))
        position = select(func.count()).select_from(steps).where(steps.c.request_id == request_id)
        self._connection.execute(
            insert(steps).values(
                request_id=request_id,
                path=path,
                item_key=item_key,
                state=StepState.STARTED,
                arguments=arguments,
                hosts=tuple(hosts),
                target=dict(target),
                when_value=when_value,
                message="",
                epoch=epoch,
                started=now,
                taken_up=now,
                position=self._connection.execute(position).scalar_one() + 1,
            )
        )
        return self._required(request_id, path, item_key)

    def restart(self, request_id: str, path: str, epoch: int, *, item_key: str = "") -> StepRow:
        """Take up a failed or interrupted step again, with what it was rendered to.

        Raises NotFound, and IllegalTransition for a step that is done or skipped.
        """
        self._claims.check(request_id, epoch)
        step = self._required(request_id, path, item_key)
        if step.state not in {StepState.FAILED, StepState.STARTED}:
            raise IllegalTransition("step", path, step.state, StepState.STARTED)
        taken_up = self._clock() if step.state is StepState.FAILED else step.taken_up
        self._change(step, state=StepState.STARTED, message="", ended=None, epoch=epoch, taken_up=taken_up)
        return self._required(request_id, path, item_key)

    def finish(
        self,
        request_id: str,
        path: str,
        state: StepState,
        result: Sealed | None,
        message: str,
        epoch: int,
        *,
        item_key: str = "",
    ) -> StepRow:
        """Record what came of a started step: done, skipped or failed; raises NotFound, IllegalTransition."""
        self._claims.check(request_id, epoch)
        step = self._required(request_id, path, item_key)
        if step.state is not StepState.STARTED or state is StepState.STARTED:
            raise IllegalTransition("step", path, step.state, state)
        self._change(step, state=state, result=result, message=message, ended=self._clock(), epoch=epoch)
        return self._required(request_id, path, item_key)

    def undone(self, request_id: str, path: str, epoch: int, *, item_key: str = "", message: str | None = None) -> None:
        """Record that what a step did was taken back, with a message of its own or the one it has; raises NotFound."""
        self._claims.check(request_id, epoch)
        step = self._required(request_id, path, item_key)
        said = step.message if message is None else message
        self._change(step, state=StepState.UNDONE, message=said, ended=self._clock(), epoch=epoch)

    def get(self, request_id: str, path: str, *, item_key: str = "") -> StepRow | None:
        """A step as recorded, None if it was not reached."""
        rows = select_rows(StepRow, steps).where(_at(steps, request_id, path, item_key))
        return one(StepRow, self._connection.execute(rows).one_or_none())

    def all(self, request_id: str) -> list[StepRow]:
        """The steps that were reached, in that order."""
        rows = select_rows(StepRow, steps).where(steps.c.request_id == request_id)
        return each(StepRow, self._connection.execute(rows.order_by(steps.c.position, steps.c.path)))

    def start_attempt(  # noqa: PLR0913 - the columns of one row, each of which must be said
        self,
        request_id: str,
        path: str,
        action: str,
        queued: datetime,
        epoch: int,
        *,
        item_key: str = "",
        supplier: str | None = None,
        touched: bool = False,
        started: datetime | None = None,
    ) -> int:
        """Record that an attempt begins, under a live claim; gives its number, from 1.

        `started` is for what began before anything could be recorded of it: the work of a person.
        """
        self._claims.check(request_id, epoch, live=True)
        last = select(func.max(attempts.c.attempt)).where(_at(attempts, request_id, path, item_key))
        number = (self._connection.execute(last).scalar_one() or 0) + 1
        self._connection.execute(
            insert(attempts).values(
                request_id=request_id,
                path=path,
                item_key=item_key,
                attempt=number,
                action=action,
                queued=queued,
                started=started or self._clock(),
                message="",
                supplier=supplier,
                touched=touched,
                progress=None,
                epoch=epoch,
            )
        )
        return number

    def finish_attempt(  # noqa: PLR0913, PLR0917 - the columns of one row, each of which must be said
        self,
        request_id: str,
        path: str,
        attempt: int,
        outcome: AttemptOutcome,
        error_class: ErrorClass | None,
        error_code: str | None,
        message: str,
        progress: Sealed | None,
        epoch: int,
        *,
        item_key: str = "",
    ) -> None:
        """Record what came of an attempt; raises Conflict unless it is under way."""
        self._claims.check(request_id, epoch)
        under_way = and_(
            _at(attempts, request_id, path, item_key), attempts.c.attempt == attempt, attempts.c.outcome.is_(None)
        )
        finished = self._connection.execute(
            update(attempts)
            .where(under_way)
            .values(
                ended=self._clock(),
                outcome=outcome,
                error_class=error_class,
                error_code=error_code,
                message=message,
                progress=progress,
            )
        )
        if finished.rowcount != 1:
            raise Conflict(f"Attempt {attempt} of step {path} of request {request_id} is not under way.")

    def forget(self, request_id: str, path: str, epoch: int, *, item_key: str = "") -> None:
        """Have a step as if it had never been reached; its attempts stay, for they happened."""
        self._claims.check(request_id, epoch)
        self._connection.execute(delete(steps).where(_at(steps, request_id, path, item_key)))

    def abandon_attempts(self, request_id: str, epoch: int, message: str) -> list[AttemptRow]:
        """End the attempts that earlier epochs left under way as `unknown`; gives them as they are then."""
        self._claims.check(request_id, epoch)
        left = and_(attempts.c.request_id == request_id, attempts.c.outcome.is_(None), attempts.c.epoch < epoch)
        abandoned = self._connection.execute(
            update(attempts)
            .where(left)
            .values(
                ended=self._clock(),
                outcome=AttemptOutcome.UNKNOWN,
                error_class=ErrorClass.UNKNOWN,
                error_code="interrupted",
                message=message,
            )
            .returning(*select_rows(AttemptRow, attempts).selected_columns)
        )
        return each(AttemptRow, abandoned)

    def last_attempt(self, request_id: str, path: str, item_key: str) -> AttemptRow | None:
        """The latest attempt of a step, None before the first."""
        rows = select_rows(AttemptRow, attempts).where(_at(attempts, request_id, path, item_key))
        latest = rows.order_by(attempts.c.attempt.desc()).limit(1)
        return one(AttemptRow, self._connection.execute(latest).one_or_none())

    def attempts(self, request_id: str) -> list[AttemptRow]:
        """Every attempt of every step, in the order they started."""
        rows = select_rows(AttemptRow, attempts).where(attempts.c.request_id == request_id)
        ordered = rows.order_by(attempts.c.started, attempts.c.path, attempts.c.item_key, attempts.c.attempt)
        return each(AttemptRow, self._connection.execute(ordered))

    def attempts_of(self, request_id: str, path: str, item_key: str) -> list[AttemptRow]:
        """Every attempt of one step, or one item of it, the first one first."""
        rows = select_rows(AttemptRow, attempts).where(_at(attempts, request_id, path, item_key))
        return each(AttemptRow, self._connection.execute(rows.order_by(attempts.c.attempt)))

    def _change(self, step: StepRow, **columns: Any) -> None:
        self._connection.execute(
            update(steps).where(_at(steps, step.request_id, step.path, step.item_key)).values(**columns)
        )

    def _required(self, request_id: str, path: str, item_key: str) -> StepRow:
        step = self.get(request_id, path, item_key=item_key)
        if step is None:
            raise NotFound("step", f"{request_id}/{path}")
        return step


def _at(table: Table, request_id: str, path: str, item_key: str) -> ColumnElement[bool]:
    return and_(table.c.request_id == request_id, table.c.path == path, table.c.item_key == item_key)

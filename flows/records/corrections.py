"""Corrections of the inputs of requests: who changed what, and what has to be taken back before it holds.

At most one of a request is pending: what depends on it is being taken back, with the inputs as they were.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from flows.records.correction_table import corrections
from flows.records.errors import Conflict
from flows.records.reading import each, select_rows
from flows.records.rows import Sealed
from flows.records.states import CorrectionState

Places = tuple[tuple[str, str], ...]
"""Paths of steps, or places of blocks, each with the key of the item."""


@dataclass(frozen=True, kw_only=True)
class NewCorrection:
    """A correction to be recorded. `changed` are the names of the inputs that are others, `before` all as they were.

    `steps` are to be as if they had never run, and `decisions` of blocks to be made anew, when it holds.
    """

    request_id: str
    actor: str
    why: str
    changed: tuple[str, ...]
    before: Sealed
    inputs: Sealed
    values: Sealed
    steps: Places
    decisions: Places


@dataclass(frozen=True, kw_only=True)
class CorrectionRow(NewCorrection):
    """A correction as it stands; they count up from 1 in each request."""

    number: int
    state: CorrectionState
    asked: datetime
    settled: datetime | None


class Corrections:
    """The corrections of requests."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def next_number(self, request_id: str) -> int:
        """The number that the next correction of a request bears."""
        last = select(func.max(corrections.c.number)).where(corrections.c.request_id == request_id)
        return (self._connection.execute(last).scalar_one() or 0) + 1

    def ask(self, new: NewCorrection) -> CorrectionRow:
        """Record a pending correction; one that was pending is withdrawn. The request's row must be locked."""
        self.withdraw(new.request_id)
        number = self.next_number(new.request_id)
        self._connection.execute(
            insert(corrections).values(
                request_id=new.request_id,
                number=number,
                state=CorrectionState.PENDING,
                actor=new.actor,
                why=new.why,
                asked=self._clock(),
                changed=new.changed,
                before=new.before,
                inputs=new.inputs,
                frozen_values=new.values,
                steps=[list(one) for one in new.steps],
                decisions=[list(one) for one in new.decisions],
            )
        )
        return next(row for row in self.of(new.request_id) if row.number == number)

    def pending(self, request_id: str) -> CorrectionRow | None:
        """The correction of a request that does not hold yet."""
        return next((row for row in self.of(request_id) if row.state is CorrectionState.PENDING), None)

    def of(self, request_id: str) -> list[CorrectionRow]:
        """The corrections of a request, the first one first."""
        rows = select_rows(CorrectionRow, corrections, {"values": "frozen_values"})
        found = self._connection.execute(rows.where(corrections.c.request_id == request_id).order_by("number"))
        return [
            replace(row, steps=_places(row.steps), decisions=_places(row.decisions))
            for row in each(CorrectionRow, found)
        ]

    def applied(self, row: CorrectionRow) -> None:
        """Record that a pending correction holds; raises Conflict for one that is not pending."""
        if not self._settle(row.request_id, CorrectionState.APPLIED):
            raise Conflict(f"Correction {row.number} of request {row.request_id} is not pending.")

    def withdraw(self, request_id: str) -> bool:
        """Record that nobody wants the pending correction any more; gives whether there was one."""
        return self._settle(request_id, CorrectionState.WITHDRAWN)

    def _settle(self, request_id: str, state: CorrectionState) -> bool:
        pending = (corrections.c.request_id == request_id, corrections.c.state == CorrectionState.PENDING)
        settled = self._connection.execute(
            update(corrections).where(*pending).values(state=state, settled=self._clock())
        )
        return settled.rowcount > 0


def _places(written: Iterable[Sequence[str]]) -> Places:
    return tuple((path, item_key) for path, item_key in written)

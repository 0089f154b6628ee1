"""Undos of whole requests: who asked for one and why, how it ends, and what it left over."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, select, update

from flows.records.rows import LeftOver, UndoRow
from flows.records.states import RequestState
from flows.records.tables import undos
from flows.records.upsert import insert_into


class Undos:
    """At most one a request: once begun, an undo is gone on with until the request has ended."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def begin(self, request_id: str, ends_as: RequestState, actor: str, why: str, *, leaves: bool = False) -> None:
        """Record that somebody wants what the request did taken back, and the state it is to end in.

        `leaves`: even if not all can be taken back.
        """
        asked = {
            "ends_as": ends_as,
            "actor": actor,
            "why": why,
            "asked": self._clock(),
            "leaves": leaves,
            "left_over": [],
        }
        new = insert_into(self._connection, undos).values(request_id=request_id, **asked)
        self._connection.execute(new.on_conflict_do_update(index_elements=[undos.c.request_id], set_=asked))

    def get(self, request_id: str) -> UndoRow | None:
        """The undo of a request, None for one that nobody wants undone."""
        row = self._connection.execute(select(undos).where(undos.c.request_id == request_id)).one_or_none()
        if row is None:
            return None
        return UndoRow(
            request_id=row.request_id,
            ends_as=row.ends_as,
            actor=row.actor,
            why=row.why,
            asked=row.asked,
            leaves=row.leaves,
            left_over=tuple(LeftOver(**one) for one in row.left_over),
        )

    def set_left_over(self, request_id: str, left_over: Sequence[LeftOver]) -> None:
        """Record what was not taken back."""
        self._connection.execute(
            update(undos).where(undos.c.request_id == request_id).values(left_over=[asdict(one) for one in left_over])
        )

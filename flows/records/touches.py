"""Touches: what people did to requests by hand. A request without one was fulfilled with no human touch."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, exists, insert, select

from flows.records.reading import each, select_rows
from flows.records.rows import Touch
from flows.records.states import TouchKind
from flows.records.tables import touches

_LET_GO_ON = (TouchKind.RETRY, TouchKind.FIX, TouchKind.COMPLETE, TouchKind.SKIP)


class Touches:
    """The touches, written once and never changed."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def add(self, touch: Touch) -> None:
        """Record a touch; raises Conflict when there is no such request."""
        self._connection.execute(insert(touches).values(**asdict(touch)))

    def of(self, request_id: str) -> list[Touch]:
        """The touches of a request, in the order they were recorded."""
        rows = select_rows(Touch, touches).where(touches.c.request_id == request_id)
        return each(Touch, self._connection.execute(rows.order_by(touches.c.id)))

    def let_go_on(self, request_id: str, moment: datetime) -> bool:
        """Whether somebody let the request go on at that moment or later."""
        later = exists().where(
            touches.c.request_id == request_id, touches.c.ended >= moment, touches.c.kind.in_(_LET_GO_ON)
        )
        return bool(self._connection.execute(select(later)).scalar_one())

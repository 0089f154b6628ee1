"""What is to be told to other systems: written with the change that causes it, delivered at least once."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, insert, update

from flows.records.database import reads_only
from flows.records.reading import each, select_rows
from flows.records.rows import OutboxRow
from flows.records.tables import outbox
from request_models.json_values import JsonValue


class Outbox:
    """Messages by kind."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock
        self.filled = False
        """Whether something was put in that is due now."""

    def put(self, kind: str, request_id: str | None, payload: JsonValue, available_at: datetime | None = None) -> int:
        """Add a message to be delivered from `available_at` (default: now) on; gives its id."""
        now = self._clock()
        self.filled |= available_at is None or available_at <= now
        made = self._connection.execute(
            insert(outbox)
            .values(
                kind=kind,
                request_id=request_id,
                payload=payload,
                created=now,
                available_at=available_at or now,
                attempts=0,
            )
            .returning(outbox.c.id)
        )
        return int(made.scalar_one())

    def due(self, kind: str, now: datetime, limit: int) -> list[OutboxRow]:
        """Messages to deliver now, longest due first.

        In a transaction that writes, other transactions pass over these until it ends (PostgreSQL; SQLite has one
        writer anyway).
        """
        waiting = select_rows(OutboxRow, outbox).where(
            outbox.c.kind == kind, outbox.c.done.is_(None), outbox.c.available_at <= now
        )
        rows = waiting.order_by(outbox.c.available_at, outbox.c.id).limit(limit)
        if not reads_only(self._connection):
            rows = rows.with_for_update(skip_locked=True)
        return each(OutboxRow, self._connection.execute(rows))

    def done(self, message_id: int) -> None:
        """It was delivered."""
        self._connection.execute(update(outbox).where(outbox.c.id == message_id).values(done=self._clock(), error=None))

    def defer(self, message_id: int, error: str, available_at: datetime) -> None:
        """It could not be delivered; try again from `available_at` on."""
        self._connection.execute(
            update(outbox)
            .where(outbox.c.id == message_id)
            .values(error=error, available_at=available_at, attempts=outbox.c.attempts + 1)
        )

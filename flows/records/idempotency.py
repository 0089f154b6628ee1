"""What each Idempotency-Key was first used for, so that an order sent twice is one request."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, insert

from flows.records.reading import one, select_rows
from flows.records.rows import IdempotentAnswer
from flows.records.tables import idempotency


class Idempotency:
    """Keys by caller: two callers may use the same key."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def find(self, caller: str, key: str) -> IdempotentAnswer | None:
        """What the key was first used for."""
        rows = select_rows(IdempotentAnswer, idempotency)
        found = rows.where(idempotency.c.caller == caller, idempotency.c.key == key)
        return one(IdempotentAnswer, self._connection.execute(found).one_or_none())

    def put(self, caller: str, key: str, body_digest: str, request_id: str) -> None:
        """Keep a key; raises Conflict when another transaction was faster: then `find` gives its answer."""
        self._connection.execute(
            insert(idempotency).values(
                caller=caller, key=key, body_digest=body_digest, request_id=request_id, stored=self._clock()
            )
        )

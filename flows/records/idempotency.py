"""What each Idempotency-Key was first used for, so that an order sent twice is one request."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, insert, select

from flows.records.keyring import Keyring
from flows.records.rows import IdempotentAnswer
from flows.records.sealed_text import read_sealed, write_sealed
from flows.records.tables import idempotency
from request_models.json_values import canonical_json


class Idempotency:
    """Keys by caller: two callers may use the same key."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], keyring: Keyring) -> None:
        self._connection = connection
        self._clock = clock
        self._keyring = keyring

    def find(self, caller: str, key: str) -> IdempotentAnswer | None:
        """What the key was first used for."""
        rows = select(idempotency.c.body_digest, idempotency.c.request_id)
        found = rows.where(idempotency.c.caller == caller, idempotency.c.key == key)
        row = self._connection.execute(found).one_or_none()
        if row is None:
            return None
        digest = self._keyring.unseal(read_sealed(row.body_digest), _bound_to(caller, key))
        return IdempotentAnswer(digest.decode(), row.request_id)

    def put(self, caller: str, key: str, body_digest: str, request_id: str) -> None:
        """Keep a key; raises Conflict when another transaction was faster: then `find` gives its answer."""
        # Sealed: a body may hold a weak secret, which could be guessed from its digest in a stolen database.
        sealed = write_sealed(self._keyring.seal(body_digest.encode(), _bound_to(caller, key)))
        self._connection.execute(
            insert(idempotency).values(
                caller=caller, key=key, body_digest=sealed, request_id=request_id, stored=self._clock()
            )
        )


def _bound_to(caller: str, key: str) -> bytes:
    return canonical_json(["idempotency", caller, key])

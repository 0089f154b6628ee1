"""Large values of requests, kept apart by digest: what lists or shows a request's steps does not read them.

A value is kept once in each request, however often it is passed on. The digest is that of its canonical JSON.
"""

import hashlib
import json
from typing import cast

from sqlalchemy import Column, Connection, ForeignKey, Integer, LargeBinary, Table, Text, func, select

from flows.records.column_types import ExactText
from flows.records.errors import SealBroken
from flows.records.rows import Kept
from flows.records.tables import metadata
from flows.records.upsert import insert_into
from request_models.json_values import JsonValue

LARGE_BYTES = 64 * 1024
"""Of the canonical JSON; what is longer is kept apart."""

large_values = Table(
    "large_values",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)


class LargeValues:
    """The large values of requests. Sizes are bytes of canonical JSON."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, request_id: str, content: bytes) -> Kept:
        """Keep a value, given as canonical JSON."""
        kept = Kept(hashlib.sha256(content).hexdigest(), len(content))
        new = insert_into(self._connection, large_values).values(
            request_id=request_id, digest=kept.digest, size=kept.size, content=content
        )
        self._connection.execute(new.on_conflict_do_nothing())
        return kept

    def get(self, request_id: str, kept: Kept) -> JsonValue:
        """The value; raises SealBroken when it is not there, or is not what was kept."""
        here = (large_values.c.request_id == request_id, large_values.c.digest == kept.digest)
        content = self._connection.execute(select(large_values.c.content).where(*here)).scalar_one_or_none()
        if content is None or hashlib.sha256(content).hexdigest() != kept.digest:
            what = "is not in the records any more" if content is None else "was altered"
            raise SealBroken(f"A large value of request {request_id} ({kept.digest[:12]}...) {what}.")
        return cast(JsonValue, json.loads(content))

    def size(self, request_id: str) -> int:
        """How much is kept of a request."""
        kept = select(func.coalesce(func.sum(large_values.c.size), 0)).where(large_values.c.request_id == request_id)
        return int(self._connection.execute(kept).scalar_one())

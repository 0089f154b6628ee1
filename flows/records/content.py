"""Archives of the runbooks that plans pin, by digest: a retry reruns what was accepted (design section 2)."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, exists, select

from flows.records.tables import contents
from flows.records.upsert import insert_into


class Content:
    """The pinned archives. A digest is the connector's (`ActionSpec.content_digest`), not that of the archive."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def put(self, digest: str, archive: bytes) -> None:
        """Keep an archive; the first one of a digest stays."""
        insert = insert_into(self._connection, contents).values(digest=digest, archive=archive, stored=self._clock())
        self._connection.execute(insert.on_conflict_do_nothing())

    def get(self, digest: str) -> bytes | None:
        """The archive of a digest."""
        return self._connection.execute(
            select(contents.c.archive).where(contents.c.digest == digest)
        ).scalar_one_or_none()

    def has(self, digest: str) -> bool:
        """Whether there is an archive of this digest."""
        return bool(self._connection.execute(select(exists().where(contents.c.digest == digest))).scalar_one())

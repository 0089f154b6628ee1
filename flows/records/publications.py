"""Which version of each model is open to orders."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from flows.records.reading import each, one, select_rows
from flows.records.rows import Publication
from flows.records.tables import publications


class Publications:
    """Published versions; at most one of a model is current, that is, not retired."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def current(self, model: str) -> Publication | None:
        """The version of a model that can be ordered."""
        rows = select_rows(Publication, publications)
        found = rows.where(publications.c.model == model, publications.c.retired.is_(None))
        return one(Publication, self._connection.execute(found).one_or_none())

    def put(self, model: str, digest: str, at: datetime | None = None) -> Publication:
        """Publish a plan (put into `plans` before) as the next version of its model and retire the one before.

        Publishing what is current already changes nothing. Raises Conflict when another process publishes the same
        model at the same moment, or the plan is unknown.
        """
        now = at or self._clock()
        current = self.current(model)
        if current is not None and current.digest == digest:
            return current
        self.retire(model, now)
        last = select(func.max(publications.c.version)).where(publications.c.model == model)
        version = (self._connection.execute(last).scalar_one() or 0) + 1
        made = Publication(model, version, digest, now)
        self._connection.execute(
            insert(publications).values(model=model, version=version, digest=digest, published=now, retired=None)
        )
        return made

    def retire(self, model: str, at: datetime | None = None) -> None:
        """Close a model to orders; requests in flight go on with their plans."""
        self._connection.execute(
            update(publications)
            .where(publications.c.model == model, publications.c.retired.is_(None))
            .values(retired=at or self._clock())
        )

    def all(self) -> list[Publication]:
        """The current version of each model, by name."""
        rows = select_rows(Publication, publications).where(publications.c.retired.is_(None))
        return each(Publication, self._connection.execute(rows.order_by(publications.c.model)))

    def versions(self, model: str) -> list[Publication]:
        """Every version of a model there ever was, oldest first."""
        rows = select_rows(Publication, publications).where(publications.c.model == model)
        return each(Publication, self._connection.execute(rows.order_by(publications.c.version)))

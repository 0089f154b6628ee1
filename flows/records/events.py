"""Events that come in from other systems, kept for a while, and the steps that wait for them.

The data is encrypted as a whole: when it comes in it is nobody's request's yet, so nothing says what in it is secret.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from flows.records.errors import NotFound
from flows.records.keyring import Keyring
from flows.records.reading import each, one, select_rows
from flows.records.rows import EventRow, EventWait
from flows.records.sealed_text import read_sealed, write_sealed
from flows.records.tables import event_waits, events
from request_models.json_values import JsonValue, canonical_json


class Events:
    """Events by name and key, and waits for them."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], keyring: Keyring) -> None:
        self._connection = connection
        self._clock = clock
        self._keyring = keyring

    def add(self, sender: str, sender_id: str | None, event: str, key: str | None, data: JsonValue) -> EventRow:
        """Keep an event; raises Conflict when the sender has sent one of this id before."""
        self._one_at_a_time(event)
        sealed = write_sealed(self._keyring.seal(canonical_json(data), _bound_to(event, key)))
        made = self._connection.execute(
            insert(events)
            .values(sender=sender, sender_id=sender_id, event=event, key=key, data=sealed, received=self._clock())
            .returning(events.c.id)
        )
        return self._required(made.scalar_one())

    def find(self, sender: str, sender_id: str) -> EventRow | None:
        """The event that a sender calls so."""
        rows = select_rows(EventRow, events).where(events.c.sender == sender, events.c.sender_id == sender_id)
        return one(EventRow, self._connection.execute(rows).one_or_none())

    def data(self, event_id: int) -> JsonValue:
        """What an event says; raises NotFound, SealBroken, KeyringError."""
        row = self._required(event_id)
        sealed = self._connection.execute(select(events.c.data).where(events.c.id == event_id)).scalar_one()
        opened = self._keyring.unseal(read_sealed(sealed), _bound_to(row.event, row.key))
        return cast(JsonValue, json.loads(opened))

    def forget(self, before: datetime) -> int:
        """Delete the events received before a moment, but for those that a step has yet to take up; gives how many."""
        awaited = exists().where(event_waits.c.event_id == events.c.id, event_waits.c.settled.is_(None))
        return self._connection.execute(delete(events).where(events.c.received < before, ~awaited)).rowcount

    # waits

    def wait(
        self, request_id: str, path: str, item_key: str, event: str, key: str | None, until: datetime | None
    ) -> EventWait:
        """Record that a step waits, anew if it waited before."""
        self._one_at_a_time(event)
        before = self.waiting(request_id, path, item_key)
        made = self._connection.execute(
            insert(event_waits)
            .values(
                request_id=request_id,
                path=path,
                item_key=item_key,
                generation=1 if before is None else before.generation + 1,
                event=event,
                key=key,
                began=self._clock(),
                until=until,
            )
            .returning(event_waits.c.id)
        )
        return self._wait(made.scalar_one())

    def waiting(self, request_id: str, path: str, item_key: str) -> EventWait | None:
        """The latest wait of a step."""
        rows = select_rows(EventWait, event_waits).where(
            event_waits.c.request_id == request_id, event_waits.c.path == path, event_waits.c.item_key == item_key
        )
        latest = rows.order_by(event_waits.c.generation.desc()).limit(1)
        return one(EventWait, self._connection.execute(latest).one_or_none())

    def waits_for(self, event: str, key: str | None) -> list[EventWait]:
        """The waits that an event fulfils, each locked until this transaction ends."""
        open_ones = and_(
            event_waits.c.event == event, event_waits.c.settled.is_(None), event_waits.c.event_id.is_(None)
        )
        of_key = or_(event_waits.c.key.is_(None), event_waits.c.key == key)
        rows = select_rows(EventWait, event_waits).where(open_ones, of_key).order_by(event_waits.c.id)
        return each(EventWait, self._connection.execute(rows.with_for_update()))

    def came_before(self, wait: EventWait, since: datetime) -> EventRow | None:
        """The oldest event since a moment that fulfils a wait and that no step of its request has had."""
        had = exists().where(event_waits.c.request_id == wait.request_id, event_waits.c.event_id == events.c.id)
        rows = select_rows(EventRow, events).where(events.c.event == wait.event, events.c.received >= since, ~had)
        if wait.key is not None:
            rows = rows.where(events.c.key == wait.key)
        return one(EventRow, self._connection.execute(rows.order_by(events.c.id).limit(1)).one_or_none())

    def fulfil(self, wait_id: int, event_id: int) -> None:
        """Record which event a wait was for."""
        self._connection.execute(update(event_waits).where(event_waits.c.id == wait_id).values(event_id=event_id))

    def settle(self, wait_id: int) -> None:
        """Record that the step had its outcome."""
        self._connection.execute(update(event_waits).where(event_waits.c.id == wait_id).values(settled=self._clock()))

    def settle_all(self, request_id: str) -> None:
        """End the waits of a request that does not wait any more."""
        of_request = and_(event_waits.c.request_id == request_id, event_waits.c.settled.is_(None))
        self._connection.execute(update(event_waits).where(of_request).values(settled=self._clock()))

    def _one_at_a_time(self, event: str) -> None:
        """Have an event and a wait that come at the same moment see each other; SQLite has one writer anyway."""
        if self._connection.dialect.name == "postgresql":
            number = int.from_bytes(hashlib.sha256(event.encode()).digest()[:8], signed=True)
            self._connection.execute(select(func.pg_advisory_xact_lock(number)))

    def _required(self, event_id: int) -> EventRow:
        row = one(
            EventRow,
            self._connection.execute(select_rows(EventRow, events).where(events.c.id == event_id)).one_or_none(),
        )
        if row is None:
            raise NotFound("event", str(event_id))
        return row

    def _wait(self, wait_id: int) -> EventWait:
        rows = select_rows(EventWait, event_waits).where(event_waits.c.id == wait_id)
        wait = one(EventWait, self._connection.execute(rows).one_or_none())
        assert wait is not None, "it was written in this transaction"
        return wait


def _bound_to(event: str, key: str | None) -> bytes:
    return canonical_json(["events", event, key])

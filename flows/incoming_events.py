"""Events that other systems send: each wakes every request with a step that waits for it, and is kept for a while.

An event may come before the step that waits for it has begun; it counts for requests that had started by then. No step
takes an event that another step of its request has taken.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.lifecycle import Caller
from flows.records.errors import Conflict
from flows.records.records import Records, Transaction
from flows.records.rows import EventRow
from flows.waking import wake
from request_models.json_values import JsonValue

SEND = "events:send"

KEPT = timedelta(hours=24)
"""How long an event is kept for steps that have yet to wait for it."""


@dataclass(frozen=True)
class Incoming:
    """An event as it came in. `id` is the sender's own: the same id again is the same event."""

    event: str
    key: str | None = None
    data: JsonValue = None
    id: str | None = None


@dataclass(frozen=True)
class Received:
    """What was made of an event; `fulfilled` counts the steps that had waited for it. `created`: it is new."""

    row: EventRow
    fulfilled: int
    created: bool


class IncomingEvents:
    """Where events come in."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def receive(self, incoming: Incoming, caller: Caller) -> Received:
        """Keep an event and wake what waits for it: when this returns, it is durable. Raises NotAllowed."""
        caller.require(SEND)
        try:
            return self._records.run(lambda tx: _receive(tx, incoming, caller))
        except Conflict:
            # The same event came twice at the same moment, and the other one was faster.
            return self._records.run(lambda tx: _receive(tx, incoming, caller))


def forget_old_events(records: Records, now: datetime) -> None:
    """Delete the events that have been kept long enough."""
    records.run(lambda tx: tx.events.forget(now - KEPT))


def _receive(tx: Transaction, incoming: Incoming, caller: Caller) -> Received:
    known = None if incoming.id is None else tx.events.find(caller.key_id, incoming.id)
    if known is not None:
        return Received(known, 0, created=False)
    row = tx.events.add(caller.key_id, incoming.id, incoming.event, incoming.key, incoming.data)
    waits = tx.events.waits_for(incoming.event, incoming.key)
    for wait in waits:
        tx.events.fulfil(wait.id, row.id)
    for request_id in sorted({wait.request_id for wait in waits}):
        wake(tx, request_id, caller.person.id, f"the event {incoming.event!r} came")
    return Received(row, len(waits), created=True)

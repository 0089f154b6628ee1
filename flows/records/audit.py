"""The audit trail: a hash chain for each request, which its row closes (invariant 10).

Each event's hash covers the event and the hash before it; the request's row keeps their number and the last hash, so
that an altered, removed or added event, and a cut-off tail, are found.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from flows.records.column_types import to_microseconds
from flows.records.database import reads_only
from flows.records.errors import NotFound
from flows.records.reading import each, select_rows
from flows.records.rows import AuditEvent
from flows.records.states import RequestState
from flows.records.tables import audit, requests
from request_models.json_values import JsonValue, canonical_json

REASONS_ERASED = "reasons_erased"
"""The event that says that the reasons before it were erased."""

_SALT_BYTES = 16


@dataclass(frozen=True)
class ChainProblem:
    """Something wrong in a request's chain; `sequence` is the event it shows at, None for the chain as a whole."""

    request_id: str
    sequence: int | None
    message: str


@dataclass(frozen=True)
class _Link:
    """What the hash of an event covers."""

    request_id: str
    sequence: int
    at: datetime
    actor: str
    event: str
    from_state: RequestState | None
    to_state: RequestState | None
    why_digest: str

    def hash_after(self, before: str) -> str:
        """SHA-256 (hex) of this event and the hash of the one before (empty for the first)."""
        states: list[JsonValue] = [state.value if state else None for state in (self.from_state, self.to_state)]
        event: list[JsonValue] = [self.request_id, self.sequence, to_microseconds(self.at), self.actor, self.event]
        return hashlib.sha256(canonical_json([before, *event, *states, self.why_digest])).hexdigest()


class Audit:
    """Events of requests, in the order they happened."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def add(
        self,
        request_id: str,
        actor: str,
        event: str,
        from_state: RequestState | None = None,
        to_state: RequestState | None = None,
        why: str = "",
        at: datetime | None = None,
    ) -> None:
        """Append an event. `actor` is an id, never a name; raises NotFound when there is no such request."""
        count, head = self._head(request_id)
        salt = secrets.token_bytes(_SALT_BYTES)
        link = _Link(
            request_id, count + 1, at or self._clock(), actor, event, from_state, to_state, _why_digest(salt, why)
        )
        digest = link.hash_after(head)
        self._connection.execute(insert(audit).values(**asdict(link), why=why, why_salt=salt, hash=digest))
        self._connection.execute(
            update(requests).where(requests.c.id == request_id).values(audit_count=count + 1, audit_head=digest)
        )

    def of(self, request_id: str) -> list[AuditEvent]:
        """The events of a request, oldest first."""
        rows = select_rows(AuditEvent, audit).where(audit.c.request_id == request_id)
        return each(AuditEvent, self._connection.execute(rows.order_by(audit.c.sequence)))

    def erase_reasons(self, request_id: str, actor: str, why: str) -> None:
        """Erase the free texts of the events so far, which may hold personal data; the chain goes on to hold."""
        self._head(request_id)
        self._connection.execute(update(audit).where(audit.c.request_id == request_id).values(why=None, why_salt=None))
        self.add(request_id, actor, REASONS_ERASED, why=why)

    def verify(self, request_id: str) -> list[ChainProblem]:
        """Everything wrong in a request's chain, nothing if it holds; raises NotFound."""
        count, head = self._head(request_id)
        events = self._connection.execute(_events(request_id)).all()
        problems = _broken_links(request_id, events)
        if len(events) != count:
            problems.append(ChainProblem(request_id, None, f"{count} events were recorded, {len(events)} are there."))
        elif (events[-1].hash if events else "") != head:
            problems.append(ChainProblem(request_id, None, "The last event is not the one the request's row knows."))
        return problems

    def _head(self, request_id: str) -> tuple[int, str]:
        """Number of events and last hash; keeps others from appending until this transaction ends."""
        row = self._connection.execute(_head_of(request_id, lock=not reads_only(self._connection))).one_or_none()
        if row is None:
            raise NotFound("request", request_id)
        return row.audit_count, row.audit_head


def _head_of(request_id: str, *, lock: bool) -> Select[Any]:
    head = select(requests.c.audit_count, requests.c.audit_head).where(requests.c.id == request_id)
    return head.with_for_update(key_share=True) if lock else head


def _events(request_id: str) -> Select[Any]:
    return select(*audit.c).where(audit.c.request_id == request_id).order_by(audit.c.sequence)


def _broken_links(request_id: str, events: Sequence[Row[Any]]) -> list[ChainProblem]:
    problems: list[ChainProblem] = []
    erased_before = max((event.sequence for event in events if event.event == REASONS_ERASED), default=0)
    before = ""
    for place, event in enumerate(events, start=1):
        if event.sequence != place:
            problems.append(ChainProblem(request_id, event.sequence, f"It stands in place {place}: one is missing."))
            return problems
        link = _Link(**{field.name: getattr(event, field.name) for field in fields(_Link)})
        if link.hash_after(before) != event.hash:
            problems.append(ChainProblem(request_id, event.sequence, "The event does not fit its hash: altered."))
        if event.why is None:
            if event.sequence >= erased_before:
                problems.append(ChainProblem(request_id, event.sequence, "Its reason is gone and was never erased."))
        elif _why_digest(event.why_salt or b"", event.why) != event.why_digest:
            problems.append(ChainProblem(request_id, event.sequence, "Its reason was altered."))
        before = event.hash
    return problems


def _why_digest(salt: bytes, why: str) -> str:
    """Salted, so that an erased reason cannot be guessed back from its digest."""
    return hashlib.sha256(salt + why.encode()).hexdigest()

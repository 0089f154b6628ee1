"""Approvals: what is asked of whom, what each of them decided, and the links by which mails let them decide."""

import base64
import hmac
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, and_, exists, insert, or_, select, update

from flows.records.approval_rows import (
    ApprovalFilter,
    ApprovalRow,
    ApprovalState,
    DecisionRow,
    LinkRow,
    NewApproval,
    NewDecision,
    NewLink,
    NewSeat,
    Seat,
)
from flows.records.approval_tables import approval_decisions, approval_links, approval_seats, approvals
from flows.records.column_types import to_microseconds
from flows.records.errors import Conflict, NotFound
from flows.records.keyring import Keyring
from flows.records.reading import each, one, select_rows
from request_models.json_values import JsonValue, canonical_json

_Rows: TypeAlias = list[ApprovalRow]  # the class has a method of that name
_Seats: TypeAlias = list[Seat]
_Decisions: TypeAlias = list[DecisionRow]


class Approvals:
    """The approvals. One that is decided or withdrawn is never changed again."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], keyring: Keyring) -> None:
        self._connection = connection
        self._clock = clock
        self._keyring = keyring

    def add(self, new: NewApproval, seats: Iterable[NewSeat]) -> ApprovalRow:
        """Record an open approval and who may decide; raises Conflict when there is one of this generation."""
        columns = {**asdict(new), "message": new.message}
        self._connection.execute(
            insert(approvals).values(**columns, state=ApprovalState.OPEN, asked=self._clock(), reason="", version=1)
        )
        for seat in seats:
            self.add_seat(new.id, seat)
        return self._required(new.id)

    def add_seat(self, approval_id: str, seat: NewSeat) -> Seat:
        """Let somebody else decide too."""
        made = self._connection.execute(
            insert(approval_seats).values(approval_id=approval_id, **asdict(seat)).returning(*_columns_of_seats())
        )
        found = one(Seat, made.one_or_none())
        assert found is not None, "it was just inserted"
        return found

    def begin_turn(self, approval_id: str, position: int) -> _Seats:
        """Have those asked whose turn it is now; gives them."""
        now_asked = and_(
            approval_seats.c.approval_id == approval_id,
            approval_seats.c.position == position,
            approval_seats.c.since.is_(None),
        )
        asked = self._connection.execute(
            update(approval_seats).where(now_asked).values(since=self._clock()).returning(*_columns_of_seats())
        )
        return each(Seat, asked)

    def get(self, approval_id: str) -> ApprovalRow | None:
        """An approval as it stands."""
        rows = select_rows(ApprovalRow, approvals).where(approvals.c.id == approval_id)
        return one(ApprovalRow, self._connection.execute(rows).one_or_none())

    def get_for_update(self, approval_id: str) -> ApprovalRow | None:
        """An approval, which nobody else changes until this transaction ends."""
        rows = select_rows(ApprovalRow, approvals).where(approvals.c.id == approval_id).with_for_update()
        return one(ApprovalRow, self._connection.execute(rows).one_or_none())

    def current(self, request_id: str, approval: str) -> ApprovalRow | None:
        """The latest that was asked under a name, None when it never was, or was withdrawn."""
        named = and_(approvals.c.request_id == request_id, approvals.c.approval == approval)
        rows = select_rows(ApprovalRow, approvals).where(named).order_by(approvals.c.generation.desc()).limit(1)
        found = one(ApprovalRow, self._connection.execute(rows).one_or_none())
        return None if found is None or found.state is ApprovalState.WITHDRAWN else found

    def generations(self, request_id: str, approval: str) -> int:
        """How often it was asked."""
        named = and_(approvals.c.request_id == request_id, approvals.c.approval == approval)
        return len(self._connection.execute(select(approvals.c.id).where(named)).all())

    def of(self, request_id: str) -> _Rows:
        """Every approval of a request, in the order they were asked."""
        rows = select_rows(ApprovalRow, approvals).where(approvals.c.request_id == request_id)
        return each(ApprovalRow, self._connection.execute(rows.order_by(approvals.c.asked, approvals.c.approval)))

    def list(self, wanted: ApprovalFilter) -> _Rows:
        """Some approvals, those due first at the head, then the oldest."""
        rows = select_rows(ApprovalRow, approvals)
        if wanted.state is not None:
            rows = rows.where(approvals.c.state == wanted.state)
        if wanted.request_id is not None:
            rows = rows.where(approvals.c.request_id == wanted.request_id)
        whose = []
        if wanted.person is not None:
            whose.append(approval_seats.c.person == wanted.person)
        if wanted.groups is not None:
            whose.append(approval_seats.c.group_name.in_(wanted.groups))
        if whose:
            asked = and_(approval_seats.c.approval_id == approvals.c.id, approval_seats.c.since.is_not(None))
            rows = rows.where(exists().where(asked, or_(*whose)))
        ordered = rows.order_by(approvals.c.due.is_(None), approvals.c.due, approvals.c.asked, approvals.c.id)
        return each(ApprovalRow, self._connection.execute(ordered.limit(wanted.limit)))

    def due(self, now: datetime, limit: int) -> _Rows:
        """Open approvals that the keeper is to look at, the longest waiting first."""
        due = and_(approvals.c.state == ApprovalState.OPEN, approvals.c.next_at <= now)
        rows = select_rows(ApprovalRow, approvals).where(due).order_by(approvals.c.next_at, approvals.c.id)
        return each(ApprovalRow, self._connection.execute(rows.limit(limit)))

    def seats(self, approval_id: str) -> _Seats:
        """Who may decide, in the order they came to."""
        rows = select_rows(Seat, approval_seats).where(approval_seats.c.approval_id == approval_id)
        return each(Seat, self._connection.execute(rows.order_by(approval_seats.c.id)))

    def decisions(self, approval_id: str) -> _Decisions:
        """What was decided by whom, in that order."""
        rows = select_rows(DecisionRow, approval_decisions).where(approval_decisions.c.approval_id == approval_id)
        return each(DecisionRow, self._connection.execute(rows.order_by(approval_decisions.c.id)))

    def decide(self, new: NewDecision) -> None:
        """Record what one person decided. Raises NotFound; Conflict for one not open, or decided by him before."""
        self._open(new.approval_id)
        self._connection.execute(insert(approval_decisions).values(**asdict(new), decided=self._clock()))

    def finish(self, approval_id: str, state: ApprovalState, reason: str) -> ApprovalRow:
        """Record how it ended. Raises NotFound, Conflict."""
        row = self._open(approval_id)
        self._change(row, state=state, reason=reason, decided=self._clock(), next_at=None)
        return self._required(approval_id)

    def withdraw_open(self, request_id: str, reason: str) -> None:
        """End the open approvals of a request that does not want them any more."""
        for row in self.list(ApprovalFilter(request_id=request_id, limit=10_000)):
            self.finish(row.id, ApprovalState.WITHDRAWN, reason)

    def withdraw(self, approval_id: str, reason: str) -> None:
        """Have one asked anew, also one that was decided: what was decided is kept with it. Raises NotFound."""
        row = self.get_for_update(approval_id)
        if row is None:
            raise NotFound("approval", approval_id)
        self._change(
            row, state=ApprovalState.WITHDRAWN, reason=reason, decided=row.decided or self._clock(), next_at=None
        )

    def looked_at(self, approval_id: str, next_at: datetime | None, **done: datetime) -> None:
        """Record what the keeper did (`reminded`, `escalated`, `silent`) and when it looks next. Raises as `finish`."""
        self._change(self._open(approval_id), next_at=next_at, **done)

    def add_link(self, new: NewLink) -> None:
        """Record a link, signed by the active key."""
        key_id, _ = self._keyring.sign(_signed(new))
        self._connection.execute(insert(approval_links).values(**asdict(new), key_id=key_id, created=self._clock()))

    def token(self, link: LinkRow) -> str:
        """What the address of a link ends with: its id, and our signature of all that it is bound to."""
        _, signature = self._keyring.sign(_signed(link), link.key_id)
        return f"{link.id}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    def link_of(self, token: str) -> LinkRow | None:
        """The link of a token; None for one that is not ours, or of another link."""
        link_id, _, _ = token.partition(".")
        link = self.link(link_id)
        return link if link is not None and hmac.compare_digest(self.token(link).encode(), token.encode()) else None

    def link(self, link_id: str) -> LinkRow | None:
        """A link."""
        rows = select_rows(LinkRow, approval_links).where(approval_links.c.id == link_id)
        return one(LinkRow, self._connection.execute(rows).one_or_none())

    def use_link(self, link_id: str) -> bool:
        """Record that a decision is made with a link; false when one was made with it before."""
        unused = and_(approval_links.c.id == link_id, approval_links.c.used.is_(None))
        used = self._connection.execute(update(approval_links).where(unused).values(used=self._clock()))
        return used.rowcount == 1

    def _open(self, approval_id: str) -> ApprovalRow:
        row = self.get_for_update(approval_id)
        if row is None:
            raise NotFound("approval", approval_id)
        if row.state is not ApprovalState.OPEN:
            raise Conflict(f"The approval {approval_id} is {row.state}.")
        return row

    def _change(self, row: ApprovalRow, **columns: Any) -> None:
        self._connection.execute(
            update(approvals).where(approvals.c.id == row.id).values(**columns, version=row.version + 1)
        )

    def _required(self, approval_id: str) -> ApprovalRow:
        row = self.get(approval_id)
        if row is None:
            raise NotFound("approval", approval_id)
        return row


def _signed(link: NewLink) -> bytes:
    expires = to_microseconds(link.expires)
    bound: JsonValue = [link.id, link.approval_id, link.person, link.email, link.group_name, link.digest, expires]
    return canonical_json(bound)


def _columns_of_seats() -> Any:
    return select_rows(Seat, approval_seats).selected_columns

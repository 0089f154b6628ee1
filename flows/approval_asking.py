"""Asking approvals: who is asked what, until when; recorded once, in the caller's transaction.

What is approved has a digest: of the plan, the inputs, values and facts, and the words that the approver reads. A
decision names it, so that nobody approves something else than what he saw.
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from flows.actors import ORDERLY
from flows.approval_rules import Parties, named, same_person
from flows.errors import CannotAsk
from flows.frames import PREREQUISITES
from flows.outbox_kinds import APPROVAL_NOTICE
from flows.records.approval_rows import (
    ANY_TURN,
    ApprovalRow,
    ApprovalState,
    NewApproval,
    NewSeat,
    Seat,
    SeatKind,
)
from flows.records.records import Transaction
from flows.records.rows import Person, RequestRow, Sealed
from flows.scope import Scope
from flows.step_ledger import seal_found
from request_models.expressions import ExpressionError, evaluate, render
from request_models.json_values import JsonValue, canonical_json
from request_models.plan import Approval, Node
from request_models.secrecy import secret_pointers

APPROVAL_ASKED = "approval_asked"
INPUTS_CHANGED = "inputs_changed"
"""Audit event; the reason names the inputs, never their values."""


_APPROVALS = uuid.UUID("5a5b5f7e-6b0c-5d43-9d6e-7d2d0f0f1c34")
_LONGEST = 20_000


@dataclass(frozen=True)
class Named:
    """Whom the model's `by` gives: those who can decide, and why others cannot."""

    seats: tuple[NewSeat, ...]
    missing: tuple[str, ...]


def ask(tx: Transaction, request: RequestRow, approval: Approval, scope: Scope) -> ApprovalRow | None:
    """The approval as it stands, asked now if it was not before; None when its condition does not hold.

    Raises CannotAsk when nobody may decide it.
    """
    known = tx.approvals.current(request.id, approval.id)
    if known is not None:
        return known
    try:
        if approval.when is not None and evaluate(approval.when, scope) is not True:
            return None
        parties = parties_of(tx, request)
        found = _named(approval.by, request, parties, scope)
        escalation = _named(approval.escalate, request, parties, scope)
        message = "" if approval.message is None else _said(render(approval.message, scope))
    except ExpressionError as error:
        raise CannotAsk(f"The approval `{approval.id}` cannot be asked: {error}") from None
    seats = _seats(approval, found, escalation)
    return _record(tx, request, approval, seats, message)


def parties_of(tx: Transaction, request: RequestRow) -> Parties:
    """Whom the request is of: who ordered it, for whom, and who gave it other inputs since."""
    changed_by = [event.actor for event in tx.audit.of(request.id) if event.event == INPUTS_CHANGED]
    return Parties(
        (
            (request.requester, "ordered this"),
            (request.requested_for, "is the one it is for"),
            *((Person(actor), "changed its inputs") for actor in dict.fromkeys(changed_by)),
        )
    )


def escalation_seats(tx: Transaction, request: RequestRow, approval: Approval, scope: Scope) -> tuple[NewSeat, ...]:
    """Who may decide too from now on, for having gone unheard. Raises ExpressionError."""
    found = _named(approval.escalate, request, parties_of(tx, request), scope)
    return tuple(_escalated(seat) for seat in found.seats)


def tell(tx: Transaction, row: ApprovalRow, seats: Iterable[Seat], about: str) -> None:
    """Have those of the seats told by mail, where an address is known: that they are asked, reminded, and so on."""
    ids: list[JsonValue] = [seat.id for seat in seats]
    if ids:
        tx.outbox.put(APPROVAL_NOTICE, row.request_id, {"approval": row.id, "seats": ids, "about": about})


def content_digest(tx: Transaction, request: RequestRow, approval: Approval, generation: int, message: Sealed) -> str:
    """SHA-256 (hex) of what is approved. What is secret counts by where it is: changed, it is asked anew."""
    rows = [row for row in tx.steps.all(request.id) if row.path.startswith(PREREQUISITES) and row.result is not None]
    facts: dict[str, JsonValue] = {row.path: _shown(row.result) for row in rows}
    content: dict[str, JsonValue] = {
        "request": request.id,
        "approval": approval.id,
        "generation": generation,
        "plan": request.plan_digest,
        "inputs": _shown(request.inputs),
        "values": _shown(request.values),
        "facts": facts,
        "message": _shown(message),
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _shown(sealed: Sealed | None) -> JsonValue:
    return None if sealed is None else {"value": sealed.public, "secret": list(sealed.secret_pointers)}


def _record(
    tx: Transaction, request: RequestRow, approval: Approval, seats: Sequence[NewSeat], message: str
) -> ApprovalRow:
    now = tx.now()
    generation = tx.approvals.generations(request.id, approval.id) + 1
    approval_id = str(uuid.uuid5(_APPROVALS, f"{request.id}\n{approval.id}\n{generation}"))
    declared = [] if approval.message is None else list(secret_pointers(approval.message))
    sealed = seal_found(tx, request.id, f"approvals/{approval_id}/message", message, declared)
    due = None if approval.within_seconds is None else now + timedelta(seconds=approval.within_seconds)
    remind_at = None if approval.remind_seconds is None else now + timedelta(seconds=approval.remind_seconds)
    escalate_at = None
    if due is not None and approval.escalate and not any(seat.kind is SeatKind.ESCALATED for seat in seats):
        # Half of the time that is left once the reminder is out, so that there is time to act on either.
        escalate_at = (remind_at or now) + (due - (remind_at or now)) / 2
    row = tx.approvals.add(
        NewApproval(
            id=approval_id,
            request_id=request.id,
            approval=approval.id,
            generation=generation,
            digest=content_digest(tx, request, approval, generation, sealed),
            quorum=approval.quorum,
            in_turn=approval.in_turn,
            message=sealed,
            due=due,
            remind_at=remind_at,
            escalate_at=escalate_at,
            next_at=min((at for at in (due, remind_at, escalate_at) if at is not None), default=None),
        ),
        [replace(seat, since=now if _at_once(seat, approval) else None) for seat in seats],
    )
    tx.audit.add(request.id, ORDERLY, APPROVAL_ASKED, request.state, request.state, f"{approval.id}: {named(seats)}")
    tell(tx, row, [seat for seat in tx.approvals.seats(row.id) if seat.since is not None], "asked")
    return row


def _at_once(seat: NewSeat, approval: Approval) -> bool:
    return not approval.in_turn or seat.position in {0, ANY_TURN}


def _seats(approval: Approval, found: Named, escalation: Named) -> list[NewSeat]:
    """Who is asked; where those that `by` names cannot decide, at once those it would be escalated to."""
    seats = list(found.seats)
    if not _enough(seats, approval.quorum):
        seats += [_escalated(seat) for seat in escalation.seats]
    if not _enough(seats, approval.quorum):
        why = "; ".join((*found.missing, *escalation.missing)) or f"{approval.quorum} must, and only {named(seats)} may"
        raise CannotAsk(
            f"Nobody can decide the approval `{approval.id}`: {why}. Have the directory or the model corrected, then "
            "order anew."
        )
    return seats


def _enough(seats: Sequence[NewSeat], quorum: int) -> bool:
    """Whether so many different people may decide; who is in a group is seen only when they decide."""
    people: list[Person] = []
    for seat in seats:
        if seat.person is None:
            return True
        if not any(same_person(Person(seat.person), one) for one in people):
            people.append(Person(seat.person))
    return len(people) >= quorum


def _escalated(seat: NewSeat) -> NewSeat:
    return replace(seat, kind=SeatKind.ESCALATED, position=ANY_TURN)


def _named(by: Iterable[Node], request: RequestRow, parties: Parties, scope: Scope) -> Named:
    """Whom some texts of a model name, the parties of the request left out. Raises ExpressionError."""
    seats: list[NewSeat] = []
    missing: list[str] = []
    for text in _texts(by, scope):
        found = _seat(text, request, len(seats))
        if isinstance(found, str):
            missing.append(found)
            continue
        why = None if found.person is None else parties.why_not(Person(found.person))
        if why is not None:
            missing.append(f"{text} is {found.person}, who {why}")
        elif not any(seat.who == found.who for seat in seats):
            seats.append(found)
    return Named(tuple(seats), tuple(missing))


def _texts(by: Iterable[Node], scope: Scope) -> Iterator[str]:
    for node in by:
        value = render(node, scope)
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise ExpressionError("approvers are texts or lists of texts", "by")
            yield text


def _seat(text: str, request: RequestRow, position: int) -> NewSeat | str:
    """One approver, or why there is none."""
    kind, _, name = text.partition(":")
    if kind == "manager":
        of = {"user": request.requested_for, "requester": request.requester}.get(name)
        if of is None:
            return f"`{text}` names nobody who could decide"
        if not of.manager:
            return f"{text}: nobody is known as the manager of {of.id}"
        return NewSeat(person=of.manager, origin=text, position=position)
    if not name or kind not in {"person", "group"}:
        return f"`{text}` names nobody who could decide"
    if kind == "person":
        return NewSeat(person=name, origin=text, position=position)
    return NewSeat(group_name=name, origin=text, position=position)


def _said(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else str(value)[:_LONGEST]


def open_ones(rows: Iterable[ApprovalRow | None]) -> list[ApprovalRow]:
    """Those of some approvals that are not decided yet."""
    return [row for row in rows if row is not None and row.state is ApprovalState.OPEN]


def asked_of(tx: Transaction, rows: Iterable[ApprovalRow]) -> str:
    """What a request waits for, in words."""
    parts = [f"`{row.approval}` ({named(seat for seat in tx.approvals.seats(row.id) if seat.since)})" for row in rows]
    return f"somebody must decide: {', '.join(parts)}"

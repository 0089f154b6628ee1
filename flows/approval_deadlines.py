"""What time does to approvals that nobody decides: a reminder, others who may decide too, and the end. Never a yes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from flows.actors import KEEPER
from flows.approval_asking import escalation_seats, tell
from flows.approval_rules import named
from flows.approvals import refuse
from flows.frames import ROOT
from flows.records.approval_rows import ApprovalRow, ApprovalState, Decision, NewSeat, Seat
from flows.records.records import Records, Transaction
from flows.records.rows import RequestRow
from flows.scope import request_frames
from request_models.durations import say_duration
from request_models.expressions import ExpressionError
from request_models.json_values import JsonValue
from request_models.plan import Approval, Plan

REMINDED = "approval_reminded"
ESCALATED = "approval_escalated"
SILENT = "approval_silent"
"""Audit events of the approval's request."""

_AT_ONCE = 50


class Deadlines:
    """Does what is due. Doing it again changes nothing."""

    def __init__(self, records: Records, public_settings: Mapping[str, JsonValue]) -> None:
        self._records = records
        self._public = public_settings

    def look_now(self) -> None:
        """The same, by the time of the records."""
        self.look(self._records.now())

    def look(self, now: datetime) -> None:
        """Remind, escalate, and end what was not decided in time."""
        for row in self._records.read(lambda tx: tx.approvals.due(now, _AT_ONCE)):
            self._records.run(lambda tx, row=row: self._look_at(tx, row.id, row.request_id, now))  # type: ignore[misc] # bound at once

    def _look_at(self, tx: Transaction, approval_id: str, request_id: str, now: datetime) -> None:
        request, row = tx.requests.get_for_update(request_id), tx.approvals.get_for_update(approval_id)
        if request is None or row is None or row.state is not ApprovalState.OPEN:
            return
        if row.next_at is None or row.next_at > now:
            return
        plan = tx.plans.get(request.plan_digest)
        approval = next(one for one in plan.approvals if one.id == row.approval)
        if row.due is not None and row.due <= now and row.silent is None:
            _over(tx, request, row, approval)
        elif row.escalate_at is not None and row.escalate_at <= now and row.escalated is None:
            self._escalate(tx, request, row, plan, approval)
        elif row.remind_at is not None and row.remind_at <= now and row.reminded is None:
            tx.approvals.looked_at(row.id, _next(row, "reminded"), reminded=now)
            _note(tx, request, REMINDED, f"{row.approval}: {named(_silent(tx, row))}")
            tell(tx, row, _silent(tx, row), "reminder")
        else:
            tx.approvals.looked_at(row.id, _next(row, ""))

    def _escalate(self, tx: Transaction, request: RequestRow, row: ApprovalRow, plan: Plan, approval: Approval) -> None:
        now = tx.now()
        tx.approvals.looked_at(row.id, _next(row, "escalated"), escalated=now)
        scope = request_frames(tx, plan, request, self._public).scope(ROOT)
        try:
            found = escalation_seats(tx, request, approval, scope)
        except ExpressionError as error:
            _note(tx, request, ESCALATED, f"{row.approval}: to nobody, since {error}")
            return
        known = {seat.who for seat in tx.approvals.seats(row.id)}
        new = [seat for seat in found if seat.who not in known]
        made = [tx.approvals.add_seat(row.id, _since(seat, now)) for seat in new]
        _note(tx, request, ESCALATED, f"{row.approval}: to {named(made)}")
        tell(tx, row, made, "escalation")


def _over(tx: Transaction, request: RequestRow, row: ApprovalRow, approval: Approval) -> None:
    within = say_duration(approval.within_seconds or 0.0)
    why = f"Nobody decided `{row.approval}` within {within} (asked: {named(tx.approvals.seats(row.id))})."
    _note(tx, request, SILENT, why)
    if approval.if_silent == "wait":
        tx.approvals.looked_at(row.id, None, silent=tx.now())
        return
    refuse(tx, request, row, KEEPER, f"{why} Silence is no approval; order anew if it is still wanted.")


def _next(row: ApprovalRow, done: str) -> datetime | None:
    """When the keeper looks next, once it has done something."""
    left = {"reminded": row.remind_at, "escalated": row.escalate_at, "silent": row.due}
    over = {name for name in left if getattr(row, name) is not None} | {done}
    return min((at for name, at in left.items() if name not in over and at is not None), default=None)


def _silent(tx: Transaction, row: ApprovalRow) -> list[Seat]:
    """The seats of those who were asked and have not answered."""
    answered = {one.approver for one in tx.approvals.decisions(row.id) if one.decision is not Decision.DELEGATE}
    seats = [seat for seat in tx.approvals.seats(row.id) if seat.since is not None]
    return [seat for seat in seats if seat.person not in answered]


def _since(seat: NewSeat, now: datetime) -> NewSeat:
    return replace(seat, since=now)


def _note(tx: Transaction, request: RequestRow, event: str, why: str) -> None:
    tx.audit.add(request.id, KEEPER, event, request.state, request.state, why)

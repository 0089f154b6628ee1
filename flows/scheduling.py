"""What follows once a request is known to be good: approvals are asked, then it is scheduled, now or for its time."""

from datetime import datetime

from flows.acceptance import start_of
from flows.actors import ORDERLY
from flows.approval_asking import ask, asked_of, open_ones
from flows.outbox_kinds import DISPATCH
from flows.records.records import Transaction
from flows.records.rows import RequestRow
from flows.records.states import RequestState
from flows.scope import Scope
from request_models.plan import Plan


def go_ahead(tx: Transaction, request: RequestRow, plan: Plan, scope: Scope, now: datetime) -> RequestRow:
    """Let a validated request go on: to those who must approve, or at once. Raises CannotAsk, InvalidInputs."""
    first = [approval for approval in plan.approvals if approval.before is None]
    waiting = open_ones([ask(tx, request, approval, scope) for approval in first])
    if waiting:
        why = asked_of(tx, waiting)
        return tx.requests.move(request.id, RequestState.AWAITING_APPROVAL, actor=ORDERLY, why=why, at=now)
    return schedule(tx, request, plan, scope, now, "there is nothing to decide or to wait for")


def schedule(
    tx: Transaction, request: RequestRow, plan: Plan, scope: Scope, now: datetime, why: str, actor: str = ORDERLY
) -> RequestRow:
    """Have it run: at once, which `why` explains, or when order and model (`starts`) say. Raises InvalidInputs."""
    start = start_of(plan, scope, max(now, request.not_before or now))
    said = why if start == now else f"it starts at {start:%Y-%m-%d %H:%M %Z}"
    row = tx.requests.move(request.id, RequestState.SCHEDULED, actor=actor, why=said, at=now)
    tx.outbox.put(DISPATCH, request.id, {}, start)
    return row

"""Letting a request go on when what it waits for has come: a task that is done, an event, the end of a child.

It may come while the request still runs something else and has not begun to wait. Then a row of the outbox keeps it
until the request's process is gone, so that nothing is missed whichever comes first.
"""

from datetime import datetime, timedelta

from flows.outbox_kinds import RETRY, WAKE
from flows.records.records import Records, Transaction
from flows.records.rows import OutboxRow, RequestRow
from flows.records.states import RequestState

WAKER = "orderly"
"""The actor where no person let the request go on."""

_AT_ONCE = 100
_LOOK_AGAIN = timedelta(seconds=1)


def wake(tx: Transaction, request_id: str, actor: str, why: str) -> None:
    """Let the request go on, now if it waits, otherwise as soon as it does. On hold it is left for a person."""
    request = tx.requests.get_for_update(request_id)
    if request is None or request.state.ended:
        return
    if _sleeps(request):
        tx.requests.move(request_id, RequestState.IN_PROGRESS, actor=actor, why=why)
        tx.outbox.put(RETRY, request_id, {})
    elif request.state is not RequestState.ON_HOLD:
        tx.outbox.put(WAKE, request_id, {"why": why})


def deliver_wakes(records: Records, now: datetime) -> None:
    """Let those requests go on that something has come for meanwhile."""
    for message in records.read(lambda tx: tx.outbox.due(WAKE, now, _AT_ONCE)):
        records.run(lambda tx, message=message: _deliver(tx, message, now))  # type: ignore[misc] # bound at once


def _deliver(tx: Transaction, message: OutboxRow, now: datetime) -> None:
    request = None if message.request_id is None else tx.requests.get_for_update(message.request_id)
    if request is None:
        tx.outbox.done(message.id)
        return
    claim = tx.claims.get(request.id)
    runs = request.state in {RequestState.IN_PROGRESS, RequestState.UNDOING}
    if runs and claim is not None and not claim.released:
        tx.outbox.defer(message.id, "it still runs something else", now + _LOOK_AGAIN)
        return
    if _sleeps(request):
        tx.requests.move(request.id, RequestState.IN_PROGRESS, actor=WAKER, why=_why(message))
        tx.outbox.put(RETRY, request.id, {})
    elif request.state is RequestState.UNDOING:
        # Awake: should the run miss the retry, for it is just going to sleep, the keeper sees it asleep and wakes it.
        tx.requests.set_wake_at(request.id, None)
        tx.outbox.put(RETRY, request.id, {})
    tx.outbox.done(message.id)


def _sleeps(request: RequestRow) -> bool:
    """Whether it has begun and holds no worker: waiting, or asking before a step."""
    asks = request.state is RequestState.AWAITING_APPROVAL and request.started is not None
    return asks or request.state is RequestState.WAITING


def _why(message: OutboxRow) -> str:
    said = message.payload.get("why") if isinstance(message.payload, dict) else None
    return said if isinstance(said, str) else "what it ordered has ended"

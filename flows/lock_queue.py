"""Whether a request may run now: it holds its locks, or stands in the queue for them and says whom it waits for.

The queue itself, and who is next in it, is the records' (`flows/records/locks.py`). A request takes its locks before it
is dispatched, keeps them to its end and while it is on hold, though not for ever, and takes them anew when it goes on
after that or is undone. None runs without: the entry of its flow run asks too, whatever was pressed in Prefect.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.actors import KEEPER, ORDERLY
from flows.errors import NotPossible
from flows.holder import this_process
from flows.records.locks import Behind
from flows.records.records import Records, Transaction
from flows.records.rows import RequestRow
from flows.records.states import RequestState
from flows.reversal import sentence
from request_models.durations import say_duration

WAITS_FOR_LOCKS = "waits_for_locks"
LOCKS_LET_GO = "locks_let_go"
"""Audit events."""


LOOK_AGAIN = timedelta(minutes=10)
"""Where waiting has no end of its own: whoever waits is woken, and looks anew after this time in any case."""

_LONG_ENOUGH = timedelta(seconds=30)
_ASKS_BEFORE_DISPATCH = frozenset({RequestState.SCHEDULED, RequestState.UNDOING})
_SHOWS_WAIT = frozenset({RequestState.SCHEDULED, RequestState.WAITING})


@dataclass(frozen=True)
class Waiting:
    """Why a request has not got its locks. `for_ever`: it would never get them, and does not stand in the queue."""

    why: str
    for_ever: bool = False


def take_locks(tx: Transaction, request: RequestRow) -> Waiting | None:
    """Have a request, whose row is locked, hold its locks; what it waits for if it cannot now."""
    if tx.locks.take(request.id):
        return None
    circle = tx.locks.circle(request.id)
    if not circle:
        return Waiting(_said(tx.locks.behind([request.id])[request.id]))
    behind = tx.locks.behind(circle)
    tx.locks.release(request.id)
    waits = "; ".join(f"request {one} waits for {_named(behind[one])}" for one in circle if one in behind)
    return Waiting(f"It would wait for ever, since others wait for what is kept for it: {waits}.", for_ever=True)


def may_be_dispatched(tx: Transaction, request: RequestRow) -> bool:
    """Whether a request, whose row is locked, may get its flow run. If not, its turn for its locks dispatches it."""
    if request.state not in _ASKS_BEFORE_DISPATCH:
        return True  # it has been dispatched before: whoever enters it asks
    waiting = take_locks(tx, request)
    if waiting is None:
        return True
    if waiting.for_ever:
        refuse(tx, request, waiting.why, ORDERLY)
        return False
    if request.state is RequestState.SCHEDULED:
        tx.requests.set_reason(request.id, waiting.why)
    tx.audit.add(request.id, ORDERLY, WAITS_FOR_LOCKS, request.state, request.state, waiting.why)
    return False


def refuse(tx: Transaction, request: RequestRow, why: str, actor: str, epoch: int | None = None) -> RequestRow:
    """What becomes of a request that would wait for its locks for ever."""
    to = RequestState.CANCELLED if request.state is RequestState.SCHEDULED else RequestState.ON_HOLD
    return tx.requests.move(request.id, to, actor=actor, why=why, epoch=epoch)


def say_who_waits(records: Records) -> None:
    """Have the reasons of waiting requests name those that hold their locks now."""
    behind = records.read(lambda tx: tx.locks.behind(tx.locks.waiting()))
    for request_id, of in behind.items():
        known = records.read(lambda tx, one=request_id: tx.requests.get(one))  # type: ignore[misc] # bound at once
        if known is not None and known.state in _SHOWS_WAIT and known.state_reason != _said(of):
            records.run(lambda tx, one=request_id: _say(tx, one))  # type: ignore[misc] # bound at once


def let_go_after_hold(records: Records, now: datetime, longest: timedelta) -> None:
    """Free the locks of requests that are on hold for too long, so that others go on; a retry takes them again."""
    for request_id in records.read(lambda tx: tx.locks.held_on_hold(now - longest)):
        records.run(lambda tx, one=request_id: _let_go_after(tx, one, now, longest))  # type: ignore[misc] # bound at once


def let_go(tx: Transaction, request: RequestRow, actor: str, why: str) -> RequestRow:
    """Free the locks of a request on hold, whose claim the caller has: no process of it can write any more.

    Raises NotPossible when it holds none, or when what it ordered still works under them.
    """
    if _at_work(tx, request.id, None):
        raise NotPossible(
            f"A request that request {request.id} ordered still works under its locks. Cancel that first."
        )
    if not _holds_any(tx, request.id):
        raise NotPossible(f"The request {request.id} holds no locks.")
    return _free(tx, request, actor, f": {why}")


def _let_go_after(tx: Transaction, request_id: str, now: datetime, longest: timedelta) -> None:
    request = tx.requests.get_for_update(request_id)
    since = now - longest
    if request is None or request.state is not RequestState.ON_HOLD or request.state_since > since:
        return
    if _at_work(tx, request_id, since):
        return
    # With a new claim, no process that held the request before can write what it did without the locks.
    claim = tx.claims.take(request_id, KEEPER, this_process(), _LONG_ENOUGH)
    if claim is None:
        return
    if _holds_any(tx, request_id):
        _free(tx, request, KEEPER, f" after {say_duration(longest.total_seconds())} on hold")
    tx.claims.release(claim)


def _free(tx: Transaction, request: RequestRow, actor: str, because: str) -> RequestRow:
    names = tx.locks.release(request.id)
    said = f"Its locks ({', '.join(names)}) were let go{because.rstrip('.')}; a retry takes them again."
    tx.audit.add(request.id, actor, LOCKS_LET_GO, request.state, request.state, said)
    return tx.requests.set_reason(request.id, f"{sentence(request.state_reason)} {said}")


def _holds_any(tx: Transaction, request_id: str) -> bool:
    return any(row.held_since is not None for row in tx.locks.of(request_id))


def _at_work(tx: Transaction, request_id: str, since: datetime | None) -> bool:
    """Whether something that it ordered, itself or through others, has not ended, nor is on hold since a moment."""
    for child in tx.requests.open_children(request_id):
        on_hold = since is not None and child.state is RequestState.ON_HOLD and child.state_since <= since
        if not on_hold or _at_work(tx, child.id, since):
            return True
    return False


def _say(tx: Transaction, request_id: str) -> None:
    request = tx.requests.get_for_update(request_id)
    of = tx.locks.behind([request_id]).get(request_id)
    if request is not None and of and request.state in _SHOWS_WAIT:
        tx.requests.set_reason(request_id, _said(of))


def _said(behind: Iterable[Behind]) -> str:
    return f"it waits for {_named(behind)}"


def _named(behind: Iterable[Behind]) -> str:
    return " and for ".join(
        f"lock {one.name}, held by request {one.request_id} since {one.held_since:%Y-%m-%d %H:%M:%S} UTC"
        if one.held_since is not None
        else f"lock {one.name}, which request {one.request_id} gets before"
        for one in behind
    )

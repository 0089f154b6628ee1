"""Beginning and ending the undo of a whole request: who may want it, in which states, and what is then recorded.

An undo is a flow run of its own (invariant 7). The run there was loses the request by that: its dispatch key is not the
request's any more, so whatever is pressed on it in Prefect, it does nothing.
"""

from collections.abc import Callable, Sequence

from flows.dispatch_keys import new_key
from flows.errors import WrongState
from flows.outbox_kinds import DISPATCH, RETRY, SUPERSEDED
from flows.records.records import Transaction
from flows.records.rows import EffectRow, LeftOver, RequestRow, UndoRow
from flows.records.states import LEGAL_MOVES, EffectState, RequestState
from flows.undo_ledger import is_undo
from request_models.actions import Outcome

Reverse = Callable[[Transaction, RequestRow, str, str, bool], RequestRow]
"""What is done in a transaction to a request, by whom and why, and whether what cannot be taken back is left."""

NOTHING_DONE = "Nothing had been done."
_NAMED = 10
"""So many left-overs are named in a reason; the record has all of them."""
_AT_REST = frozenset({RequestState.WAITING, RequestState.ON_HOLD, RequestState.AWAITING_APPROVAL})
UNDOABLE = (RequestState.ON_HOLD, RequestState.FULFILLED)
"""The states in which a request can be undone."""


def is_cancellable(state: RequestState) -> bool:
    """Whether a request can be cancelled in a state. One that is being cancelled may be told so again."""
    return not state.ended and state is not RequestState.UNDOING


def cancel(tx: Transaction, request: RequestRow, actor: str, why: str, leaves: bool) -> RequestRow:
    """Cancel a request: what runs is to stop, what was done is taken back. Cancelling it again changes nothing.

    With `leaves` it ends even if not all can be taken back. Raises WrongState for one that has ended otherwise, or is
    being undone for another reason.
    """
    undo = tx.undos.get(request.id)
    cancelled = undo is not None and undo.ends_as is RequestState.CANCELLED
    if request.state is RequestState.CANCELLED or (request.state is RequestState.UNDOING and cancelled):
        return request
    if request.state.ended or request.state is RequestState.UNDOING:
        allowed = tuple(state.value for state in RequestState if is_cancellable(state))
        raise WrongState(request.id, request.state.value, "cancelling it", allowed, being_undone(request))
    tx.requests.set_cancelled_by(request.id, actor)
    said = f"Cancelled by {actor}: {why}"
    # What is being validated only reads, also where a read has no answer yet.
    nothing_done = request.state is RequestState.VALIDATING or not _did_something(tx, request.id)
    if RequestState.CANCELLED in LEGAL_MOVES[request.state] and nothing_done:
        _supersede(tx, request)
        return tx.requests.move(request.id, RequestState.CANCELLED, actor=actor, why=said)
    return begin_undo(tx, request, RequestState.CANCELLED, actor, said, leaves=leaves)


def undo(tx: Transaction, request: RequestRow, actor: str, why: str, leaves: bool) -> RequestRow:
    """Take back what a request did that is on hold, which then has failed, or fulfilled, which is then cancelled.

    One whose undo is on hold is undone further, and ends as it was to. With `leaves` it ends even if not all can be
    taken back. Raises WrongState for any other.
    """
    if request.state not in UNDOABLE:
        allowed = tuple(state.value for state in UNDOABLE)
        raise WrongState(request.id, request.state.value, "undoing it", allowed, being_undone(request))
    known = tx.undos.get(request.id)
    if request.state is RequestState.FULFILLED:
        tx.requests.set_cancelled_by(request.id, actor)
        return begin_undo(tx, request, RequestState.CANCELLED, actor, f"Undone by {actor}: {why}", leaves=leaves)
    if known is not None:
        said = f"{sentence(known.why)} Undone further by {actor}: {why}"
        return begin_undo(tx, request, known.ends_as, actor, said, leaves=leaves)
    said = f"{sentence(request.state_reason)} Undone by {actor}: {why}"
    return begin_undo(tx, request, RequestState.FAILED, actor, said, leaves=leaves)


def begin_undo(
    tx: Transaction,
    request: RequestRow,
    ends_as: RequestState,
    actor: str,
    why: str,
    *,
    leaves: bool = False,
    epoch: int | None = None,
) -> RequestRow:
    """Have what a request did taken back by a flow run of its own; one at rest that did nothing ends at once."""
    continued = tx.undos.get(request.id) is not None
    at_rest = request.state in _AT_REST
    tx.undos.begin(request.id, ends_as, actor, why, leaves=leaves)
    tx.corrections.withdraw(request.id)
    row = tx.requests.move(request.id, RequestState.UNDOING, actor=actor, why=why, epoch=epoch)
    if at_rest and not _did_something(tx, request.id):
        row = tx.requests.move(request.id, ends_as, actor=actor, why=f"{sentence(why)} {NOTHING_DONE}")
        _supersede(tx, request)
        return row
    if continued and request.state is RequestState.ON_HOLD:
        tx.outbox.put(RETRY, request.id, {})
        return row
    _supersede(tx, request)
    tx.outbox.put(DISPATCH, request.id, {})
    return tx.requests.set_flow_run(request.id, None, new_key(request.id))


def resume_undo(tx: Transaction, request: RequestRow, actor: str, why: str) -> RequestRow:
    """Go on with an undo that is on hold, in the flow run it has."""
    row = tx.requests.move(request.id, RequestState.UNDOING, actor=actor, why=why)
    tx.outbox.put(RETRY, request.id, {})
    return row


def end_undo(tx: Transaction, undone: UndoRow, left_over: Sequence[LeftOver], *, actor: str, epoch: int) -> RequestRow:
    """Record that an undo is done, and what was left over on purpose."""
    tx.undos.set_left_over(undone.request_id, left_over)
    took_back = any(effect.state is EffectState.UNDONE for effect in tx.effects.all(undone.request_id))
    said = [sentence(undone.why)]
    if took_back:
        said.append("What else it did was taken back." if left_over else "What it did was taken back.")
    elif not left_over:
        said.append(NOTHING_DONE)
    if left_over:
        said.append(f"Left over: {named(left_over)}.")
    why = " ".join(said)
    return tx.requests.move(undone.request_id, undone.ends_as, actor=actor, why=why, epoch=epoch)


def named(left_over: Sequence[LeftOver]) -> str:
    """What is left over, in words; of much, the beginning."""
    told = [f"{one.what} ({one.action}, {one.outcome}): {one.why.rstrip('.')}" for one in left_over[:_NAMED]]
    more = len(left_over) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def being_undone(request: RequestRow) -> str:
    """What to say to whoever wants something else done to a request that is being undone."""
    if request.state is not RequestState.UNDOING:
        return ""
    return "What it did is being taken back; that ends by itself, or on hold if something cannot be taken back."


def sentence(text: str) -> str:
    """A reason with a full stop, so that more can follow."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _supersede(tx: Transaction, request: RequestRow) -> None:
    if request.flow_run_id is not None:
        tx.outbox.put(SUPERSEDED, request.id, {"flow_run_id": request.flow_run_id})


def _did_something(tx: Transaction, request_id: str) -> bool:
    return any(_may_be_there(effect) for effect in tx.effects.latest(request_id) if not is_undo(effect.path))


def _may_be_there(effect: EffectRow) -> bool:
    if effect.state is EffectState.DONE:
        return effect.outcome in {Outcome.MADE, Outcome.CHANGED}
    return effect.state in {EffectState.OPEN, EffectState.UNKNOWN}

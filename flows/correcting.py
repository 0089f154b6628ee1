"""Having a correction of inputs hold: what depends on it is as if it had never run, and the inputs are the new ones.

Until then the request has its old inputs, since what is taken back is taken back with what it was made from.
"""

from typing import cast

from flows.records.corrections import CorrectionRow
from flows.records.records import Transaction
from flows.records.rows import EffectRow, RequestRow, Sealed
from flows.records.states import EffectState, StepState
from flows.undo_ledger import forget_undos
from request_models.actions import EffectClass, Outcome
from request_models.plan import Step

_THERE = frozenset({Outcome.MADE, Outcome.CHANGED})


def may_be_there(step: Step | None, effect: EffectRow | None) -> bool:
    """Whether something of a step's effect is there, or may be, so that it has to be taken back first."""
    if effect is None:
        return False
    if effect.state is EffectState.DONE:
        return effect.outcome in _THERE
    reads = step is not None and step.effect is EffectClass.READ_ONLY
    return effect.state in {EffectState.OPEN, EffectState.UNKNOWN} and not reads


def apply_correction(tx: Transaction, correction: CorrectionRow, epoch: int) -> RequestRow:
    """Have a pending correction hold, after all that it concerns was taken back.

    Raises ClaimLost, and Conflict when it is not pending any more.
    """
    request_id = correction.request_id
    for path, item_key in correction.steps:
        row = tx.steps.get(request_id, path, item_key=item_key)
        effect = tx.effects.current(request_id, path, item_key)
        if effect is not None and effect.state in {EffectState.DONE, EffectState.UNKNOWN}:
            assert effect.outcome not in _THERE, "it was taken back"
            tx.effects.close(effect.id, EffectState.UNDONE, None, None, epoch)  # it had made nothing
        if row is not None and row.state is not StepState.UNDONE:
            tx.steps.forget(request_id, path, epoch, item_key=item_key)
    forget_undos(tx, request_id, epoch, correction.steps)
    tx.blocks.forget(request_id, correction.decisions, epoch)
    tx.requests.set_inputs(request_id, _moved(tx, request_id, "inputs", correction.inputs))
    tx.requests.set_values(request_id, _moved(tx, request_id, "values", correction.values))
    tx.corrections.applied(correction)
    return cast(RequestRow, tx.requests.get(request_id))


def _moved(tx: Transaction, request_id: str, owner: str, sealed: Sealed) -> Sealed:
    return tx.secrets.seal(request_id, owner, tx.secrets.reveal(request_id, sealed), sealed.secret_pointers)

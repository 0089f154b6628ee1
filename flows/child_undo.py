"""Taking back what a step ordered of another model: that request is cancelled or undone, and waited for.

A request that still runs is cancelled at once, so that nothing more is done for one that is not wanted; one that is
fulfilled is undone when its turn comes. Either ends by itself, in flow runs of its own, and its end wakes whoever
ordered it; no worker is held meanwhile. What it could not take back is left over of the request that ordered it too.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flows.children import ordered_by
from flows.lock_queue import LOOK_AGAIN
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, EffectRow, LeftOver, RequestRow
from flows.records.states import RequestState
from flows.reversal import cancel, undo
from flows.walk import Pause
from request_models.engine_actions import REQUEST_SUBMIT


@dataclass(frozen=True)
class Asked:
    """Who has it taken back, and why; `leaves`: what cannot be taken back may be left."""

    actor: str
    why: str
    leaves: bool = False


class ChildUndo:
    """The requests that a claimed request ordered. Writes raise ClaimLost once its claim is stale."""

    def __init__(self, records: Records, claim: Claim, asked: Asked) -> None:
        self._records = records
        self._claim = claim
        self._asked = asked

    def stop(self, effects: Iterable[EffectRow]) -> None:
        """Cancel what the steps of these effects ordered and that has not come to an end."""
        for effect in effects:
            child = self._records.read(lambda tx, of=effect: ordered_by(tx, of))  # type: ignore[misc] # bound at once
            if child is not None and not child.state.ended:
                self._records.run(lambda tx, one=child.id: self._reverse(tx, one))  # type: ignore[misc] # bound at once

    def take_back(self, effect: EffectRow) -> RequestRow | None:
        """Have what a step ordered taken back, as far as that is to be begun; the request as it stands then."""

        def write(tx: Transaction) -> RequestRow | None:
            child = ordered_by(tx, effect)
            return None if child is None else self._reverse(tx, child.id)

        return self._records.run(write)

    def wait(self, child: RequestRow) -> Pause:
        """What is waited for until it has ended."""
        on_hold = f", which is on hold: {child.state_reason}" if child.state is RequestState.ON_HOLD else ""
        why = f"it waits until request {child.id} ({child.model}) is taken back{on_hold}"
        return Pause(why, self._records.now() + LOOK_AGAIN)

    def left_over(self, path: str, item_key: str) -> list[LeftOver]:
        """What those could not take back that a step ordered, each time it did, and that have ended."""
        return self._records.read(lambda tx: list(self._left_over(tx, path, item_key)))

    def _reverse(self, tx: Transaction, child_id: str) -> RequestRow:
        tx.claims.check(self._claim.request_id, self._claim.epoch)
        child = tx.requests.get_for_update(child_id)
        assert child is not None, "a request is never removed"
        actor, leaves = self._asked.actor, self._asked.leaves
        why = f"request {self._claim.request_id}, which ordered it, is taken back ({self._asked.why.rstrip('.')})"
        known = tx.undos.get(child_id)
        if child.state is RequestState.FULFILLED or (child.state is RequestState.ON_HOLD and known and leaves):
            return undo(tx, child, actor, why, leaves)
        if child.state.ended or known is not None:
            return child  # it has ended otherwise, or is being taken back already
        return cancel(tx, child, actor, why, leaves)

    def _left_over(self, tx: Transaction, path: str, item_key: str) -> Iterable[LeftOver]:
        for effect in tx.effects.all(self._claim.request_id):
            if (effect.path, effect.item_key, effect.action) != (path, item_key, REQUEST_SUBMIT):
                continue
            child = ordered_by(tx, effect)
            undone = None if child is None else tx.undos.get(child.id)
            if child is None or undone is None or not child.state.ended:
                continue
            for one in undone.left_over:
                what = f"{one.what} of request {child.id} ({child.model})"
                yield LeftOver(path, item_key, what, one.action, one.outcome, one.why)

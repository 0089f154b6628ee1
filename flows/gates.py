"""Approvals on the way through a plan: nothing that they hold back is begun before they are given.

Whatever is pressed in Prefect, a flow run comes by here, and here only what was decided over the API counts
(invariant 8). A retry finds the decision on record: nothing is asked again.
"""

from collections.abc import Iterable

from flows.approval_asking import ask, asked_of
from flows.errors import CannotAsk
from flows.frames import ROOT, Frame, Frames
from flows.records.approval_rows import ApprovalState
from flows.records.errors import NotFound
from flows.records.records import Records, Transaction
from flows.records.rows import Claim
from flows.walk import PASSED, Passage, Pause
from request_models.expressions import ExpressionError, evaluate
from request_models.plan import Approval, Block, Plan


class Gates:
    """The approvals of a claimed request. Raises ClaimLost once the claim is stale."""

    def __init__(self, records: Records, claim: Claim, plan: Plan, frames: Frames) -> None:
        self._records = records
        self._claim = claim
        self._plan = plan
        self._frames = frames
        self._first = [approval for approval in plan.approvals if approval.before is None]

    def begin(self) -> Passage:
        """Whether anything may be done: those asked before dispatch are given, or, after a correction, asked anew."""
        return self._passes(self._first, ROOT) if self._first else PASSED

    def pass_to(self, block: Block, frame: Frame) -> Passage:
        """Whether a block may be begun. One whose condition is false does nothing, so nobody is asked."""
        approvals = [one for one in self._plan.approvals if block.path and one.before == block.path]
        if not approvals or not self._would_run(block, frame):
            return PASSED
        return self._passes(approvals, frame)

    def _would_run(self, block: Block, frame: Frame) -> bool:
        return block.when is None or evaluate(block.when, self._frames.scope(frame)) is not False

    def _passes(self, approvals: Iterable[Approval], frame: Frame) -> Passage:
        scope = self._frames.scope(frame)

        def write(tx: Transaction) -> Passage:
            request = tx.requests.get_for_update(self._claim.request_id)
            if request is None:
                raise NotFound("request", self._claim.request_id)
            tx.claims.check(request.id, self._claim.epoch)
            rows = [ask(tx, request, approval, scope) for approval in approvals]
            waiting = [row for row in rows if row is not None and row.state is not ApprovalState.APPROVED]
            if not waiting:
                return PASSED
            return Passage(pauses=(Pause(asked_of(tx, waiting), decision=True),))

        try:
            return self._records.run(write)
        except CannotAsk as error:
            raise ExpressionError(str(error), "approvals") from None

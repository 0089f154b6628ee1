"""The approvers of an example: they decide as it says, by the rules that are for everybody."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from flows.approval_deadlines import Deadlines
from flows.approvals import DECIDE, Approvals, Verdict
from flows.lifecycle import Caller
from flows.records.approval_rows import ApprovalFilter, ApprovalRow, Decision, Seat
from flows.records.records import Records
from flows.records.rows import Person

Wanted = Literal["approve", "reject", "none"]


class Deciders:
    """Decides what a request asks; for those of whom the example says that they are silent, time goes on."""

    def __init__(
        self,
        records: Records,
        approvals: Approvals,
        deadlines: Deadlines,
        wait_until: Callable[[datetime], None],
        wanted: Mapping[str, Wanted],
    ) -> None:
        self._records = records
        self._approvals = approvals
        self._deadlines = deadlines
        self._wait_until = wait_until
        self._wanted = wanted

    def next(self, request_id: str) -> Callable[[], None] | None:
        """What brings the request further; None when only somebody could who is silent for ever."""
        rows = self._records.read(lambda tx: tx.approvals.list(ApprovalFilter(request_id=request_id)))
        for row in rows:
            wanted = self._wanted.get(row.approval, "approve")
            if wanted != "none":
                return lambda row=row, wanted=wanted: self._decide(row, wanted)  # type: ignore[misc] # bound at once
        moment = min((row.next_at for row in rows if row.next_at is not None), default=None)
        return None if moment is None else lambda: self._let_pass(moment)

    def _decide(self, row: ApprovalRow, wanted: Wanted) -> None:
        """One decision, by the first of those asked who may make it."""
        seats, number = self._records.read(lambda tx: (tx.approvals.seats(row.id), len(tx.approvals.decisions(row.id))))
        decision = Decision.APPROVE if wanted == "approve" else Decision.REJECT
        for seat in seats:
            caller = Caller("examples", _person(seat, number), frozenset({DECIDE}))
            shown = self._approvals.get(row.id, caller) if seat.since is not None else None
            if shown is not None and shown.decidable:
                self._approvals.decide(row.id, caller, Verdict(decision, row.digest, "as the example says"))
                return
        raise AssertionError(f"nobody may decide {row.approval}, though it was asked")

    def _let_pass(self, moment: datetime) -> None:
        self._wait_until(moment)
        self._deadlines.look_now()


def _person(seat: Seat, number: int) -> Person:
    """The person of a seat; of a group, a member of it, each time another."""
    if seat.person is not None:
        return Person(seat.person)
    group = seat.group_name or ""
    return Person(f"{group} member {number + 1}", groups=(group,))

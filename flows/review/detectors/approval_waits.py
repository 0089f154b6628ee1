"""A decision that takes a large part of the time there is: remind, or let somebody stand in."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.lengths import rounded_up, write_length
from flows.review.statistics.intervals import Interval, p_at_least, quantile
from flows.review.subject import Subject

NAME = "approval_waits"
_LEAST = 40


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The 90th percentile of the wait against what is due, for most approvers and not one alone."""
    due = subject.due_seconds
    if subject.plan is None or not due:
        return
    for approval in subject.plan.approvals:
        rows = subject.history.rows(
            "SELECT approver, (coalesce(decided, ?) - asked) / 1e6 FROM approvals JOIN req ON req.id = request "
            "WHERE current AND approval = ? AND asked IS NOT NULL ORDER BY request, approver",
            [subject.until, approval.id],
        )
        waits = [wait for _, wait in rows]
        if len(waits) < _LEAST:
            continue
        found = quantile(waits, gate["quantile"])
        limit = gate["share"] * due
        slow = sum(wait > limit for wait in waits)
        p = p_at_least(slow, len(waits), 1 - gate["quantile"])
        remind = quantile(waits, gate["remind"])
        useful = approval.remind_seconds is None
        passes = useful and found is not None and found.low > limit and _most(rows, limit, gate["quantile"])
        if found is not None and remind is not None:
            yield Test(p, passes, partial(_finding, subject, approval.id, found, remind, len(waits), p))


def _most(rows: list[tuple[str, float]], limit: float, q: float) -> bool:
    """Whether approvers of more than half of the decisions wait so long."""
    by_approver: dict[str, list[float]] = {}
    for approver, wait in rows:
        by_approver.setdefault(approver or "", []).append(wait)
    slow = [waits for waits in by_approver.values() if sum(wait > limit for wait in waits) > (1 - q) * len(waits)]
    return 2 * sum(map(len, slow)) > len(rows)


def _finding(subject: Subject, approval: str, found: Interval, remind: Interval, count: int, p: float) -> Finding:
    due = subject.due_seconds or 0.0
    return subject.finding(
        NAME,
        f"One in ten decisions of {approval} takes longer than {found.estimate / due:.0%} of what is due.",
        Edit(Operation.SET, f"approvals.{approval}.remind", write_length(rounded_up(remind.estimate))),
        subject.evidence_of_requests(
            f"{count} decisions; the 90th percentile of the wait is {found.low:.0f} to {found.high:.0f} s, "
            f"due are {due:.0f} s.",
            "id IN (SELECT request FROM approvals WHERE approval = ?)",
            [approval],
            decisions=count,
            p90=found.estimate,
            p75=remind.estimate,
            due=due,
        ),
        Prediction("wait for the decision, less", basis=Basis.HYPOTHESIS),
        risk="One more message to the approvers.",
        p_value=p,
    )

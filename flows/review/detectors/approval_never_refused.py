"""An approval that is always given: it controls nothing. Removing a control needs its owner, always."""

from collections.abc import Iterator
from functools import partial

from flows.review.decisions import GRANTED
from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import p_at_most, upper_bound
from flows.review.statistics.resampling import mean_interval, seed_of
from flows.review.subject import Subject

NAME = "approval_never_refused"
_LEAST = 100


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Decisions of current requests; what ran out in silence, or was delegated, is no grant and no refusal."""
    rows = subject.history.rows(
        f"SELECT approval, count(*), count(*) FILTER (WHERE decision NOT IN ({GRANTED})) "
        "FROM approvals JOIN req ON req.id = request "
        "WHERE current AND decided IS NOT NULL AND decision <> 'delegate' GROUP BY 1 ORDER BY 1"
    )
    known = {approval.id for approval in subject.plan.approvals} if subject.plan is not None else set()
    for approval, decided, refused in rows:
        if approval in known and decided >= _LEAST:
            p = p_at_most(refused, decided, gate["ordinary"])
            passes = upper_bound(refused, decided) < gate["bound"]
            yield Test(p, passes, partial(_finding, subject, approval, decided, refused, p))


def _finding(subject: Subject, approval: str, decided: int, refused: int, p: float) -> Finding:
    waits = subject.history.rows(
        "SELECT (decided - asked) / 1e6 FROM approvals JOIN req ON req.id = request "
        "WHERE current AND approval = ? AND decided >= asked ORDER BY request, approver",
        [approval],
    )
    saved = mean_interval([row[0] for row in waits] or [0.0], seed_of(NAME, approval, decided))
    owner = subject.plan.owners.accountable if subject.plan is not None else None
    return subject.finding(
        NAME,
        f"The approval {approval} was refused {refused} of {decided} times.",
        Edit(Operation.REMOVE, f"approvals.{approval}"),
        subject.evidence_of_requests(
            f"{decided} decisions, {refused} refusals; at most {upper_bound(refused, decided):.2%} are refused.",
            "id IN (SELECT request FROM approvals WHERE approval = ?)",
            [approval],
            decided=decided,
            refused=refused,
            upper_bound=upper_bound(refused, decided),
        ),
        Prediction("wait for the decision, less", "seconds", saved.estimate, saved.low, saved.high),
        risk="An approval also keeps people from asking for what would be refused: no history tells that. A notice "
        "to the approvers keeps them informed.",
        p_value=p,
        owner=owner,
    )

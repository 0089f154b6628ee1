"""A step that people skip or do otherwise: the model says one thing, the work is another."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import lower_bound, p_at_least, share
from flows.review.subject import Subject

NAME = "not_followed"
_LEAST = 60


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The share of requests in which a person skipped or completed the step in its stead."""
    if subject.current < _LEAST:
        return
    rows = subject.history.rows(
        "SELECT path, count(DISTINCT request), count(DISTINCT request) FILTER (WHERE kind = 'skip') "
        "FROM touches JOIN req ON id = request WHERE current AND kind IN ('skip', 'complete') GROUP BY 1 ORDER BY 1"
    )
    known = {step.path for step in subject.steps}
    for path, count, skipped in rows:
        if path in known:
            p = p_at_least(count, subject.current, gate["ordinary"])
            passes = lower_bound(count, subject.current) > gate["share"]
            yield Test(p, passes, partial(_finding, subject, path, count, skipped, p))


def _finding(subject: Subject, path: str, count: int, skipped: int, p: float) -> Finding:
    exact = share(count, subject.current)
    mostly_skipped = 2 * skipped >= count
    return subject.finding(
        NAME,
        f"{path} was {'skipped' if mostly_skipped else 'done by hand'} in {count} of {subject.current} requests.",
        Edit(Operation.SET, f"steps.{path}.on_failure", "continue")
        if mostly_skipped
        else Edit(Operation.NONE, f"steps.{path}"),
        subject.evidence_of_requests(
            f"{exact.low:.0%} to {exact.high:.0%} of the requests.",
            "plan_digest = ? AND id IN (SELECT request FROM touches WHERE path = ? AND kind IN ('skip', 'complete'))",
            [subject.digest, path],
            requests=subject.current,
            otherwise=count,
            skipped=skipped,
        ),
        Prediction(
            "requests that need nobody for this step", "share", exact.estimate, exact.low, exact.high, Basis.MODELLED
        ),
        risk="If the step matters, forbid the path instead: nobody should go on without it.",
        p_value=p,
        owner=subject.plan.owners.accountable if subject.plan is not None else None,
    )

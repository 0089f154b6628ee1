"""After failures people clean up by hand what a step made: the step needs an undo."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import lower_bound, p_at_least, share
from flows.review.subject import Subject
from request_models.actions import EffectClass

NAME = "undo_missing"


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Requests that did not come through although the step had made something, and how many were cleaned up by hand."""
    for step in subject.steps:
        has_undo = step.undo is not None and (step.undo.actions or step.undo.covered_by)
        if has_undo or step.effect is EffectClass.READ_ONLY or step.uses.partition(".")[0] in {"wait", "request"}:
            continue
        failed, cleaned = subject.history.one(
            "SELECT count(DISTINCT id), count(DISTINCT id) FILTER (WHERE EXISTS (SELECT 1 FROM touches t "
            "WHERE t.request = id AND t.kind = 'clean_up' AND t.path = run.path)) "
            "FROM req JOIN run ON request = id WHERE current AND state IN ('failed', 'cancelled', 'on_hold') "
            "AND path = ? AND outcome IN ('made', 'changed', 'undone')",
            [step.path],
        )
        if failed >= gate["least"]:
            p = p_at_least(cleaned, failed, gate["share"] / 2)
            passes = lower_bound(cleaned, failed) > gate["share"]
            yield Test(p, passes, partial(_finding, subject, step.path, failed, cleaned, p))


def _finding(subject: Subject, path: str, failed: int, cleaned: int, p: float) -> Finding:
    exact = share(cleaned, failed)
    return subject.finding(
        NAME,
        f"What {path} made was cleaned up by hand after {cleaned} of {failed} failures.",
        Edit(Operation.SET, f"steps.{path}.undo", {"none": "TODO: write the undo; until then a person cleans up."}),
        subject.evidence_of_requests(
            f"{exact.low:.0%} to {exact.high:.0%} of the requests that did not come through.",
            "id IN (SELECT request FROM touches WHERE kind = 'clean_up' AND path = ?)",
            [path],
            failed=failed,
            cleaned=cleaned,
        ),
        Prediction("failures that nobody cleans up after", basis=Basis.HYPOTHESIS),
        risk="The edit marks the place only: what takes the effect back has to be written.",
        p_value=p,
    )

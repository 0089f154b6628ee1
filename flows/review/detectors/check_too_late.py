"""A condition that could be known at once is looked at after something has been made already."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import lower_bound, p_at_least
from flows.review.statistics.resampling import mean_interval, seed_of
from flows.review.subject import Subject
from request_models.actions import EffectClass
from request_models.dependence import dependents
from request_models.plan import Step

NAME = "check_too_late"
_LEAST = 100


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Steps that read and expect, need no earlier step, and stand behind one that makes something."""
    if subject.plan is None:
        return
    effects: list[Step] = []
    for step in subject.steps:
        if step.effect is not EffectClass.READ_ONLY:
            effects.append(step)
            continue
        needed = any(step.path in dependents(subject.plan, [f"steps.{one.path}"]) for one in subject.steps)
        if not effects or step.expect is None or needed or step.loop is not None:
            continue
        reached, failed = subject.history.one(
            "SELECT count(*), count(*) FILTER (WHERE outcome = 'failed' AND error_class = 'rejected') FROM run "
            "WHERE path = ?",
            [step.path],
        )
        if reached >= _LEAST:
            p = p_at_least(failed, reached, gate["ordinary"])
            passes = lower_bound(failed, reached) > gate["share"]
            yield Test(p, passes, partial(_finding, subject, step, reached, failed, p))


def _finding(subject: Subject, step: Step, reached: int, failed: int, p: float) -> Finding:
    lost = [
        row[0]
        for row in subject.history.rows(
            "SELECT greatest((run.ended - req.started) / 1e6, 0) FROM run JOIN req ON id = request "
            "WHERE path = ? AND outcome = 'failed' AND run.ended IS NOT NULL AND req.started IS NOT NULL "
            "ORDER BY request",
            [step.path],
        )
    ]
    saved = mean_interval(lost or [0.0], seed_of(NAME, step.path, len(lost)))
    return subject.finding(
        NAME,
        f"{step.path} refused {failed} of {reached} requests after something had been made for them.",
        Edit(Operation.MOVE, f"steps.{step.path}", "prerequisites"),
        subject.evidence(
            f"{failed / reached:.1%} are refused there.",
            "path = ? AND outcome = 'failed'",
            [step.path],
            reached=reached,
            refused=failed,
        ),
        Prediction("time until such a request is refused, less", "seconds", saved.estimate, saved.low, saved.high),
        risk="What holds at the start may not hold any more when it matters.",
        p_value=p,
    )

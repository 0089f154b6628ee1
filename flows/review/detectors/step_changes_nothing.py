"""A step that finds everything as it should be, almost always: it may be left out, or asked for only when needed."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import lower_bound, p_at_least
from flows.review.statistics.resampling import mean_interval, seed_of
from flows.review.subject import Subject
from request_models.plan import Step

NAME = "step_changes_nothing"
_LEAST = 100


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Of the times the step was done, how often it was `already_so`. Steps that only read are not meant to change."""
    rows = subject.history.rows(
        "SELECT path, count(*), count(*) FILTER (WHERE outcome = 'already_so') FROM run "
        "WHERE outcome IN ('made', 'changed', 'already_so') GROUP BY path ORDER BY path"
    )
    steps = {step.path: step for step in subject.steps}
    for path, done, unchanged in rows:
        if path in steps and done >= _LEAST:
            p = p_at_least(unchanged, done, gate["ordinary"])
            passes = lower_bound(unchanged, done) > gate["bound"]
            yield Test(p, passes, partial(_finding, subject, steps[path], done, unchanged, p))


def _finding(subject: Subject, step: Step, done: int, unchanged: int, p: float) -> Finding:
    took = subject.history.rows(
        "SELECT seconds FROM run WHERE path = ? AND seconds IS NOT NULL ORDER BY request, item_key", [step.path]
    )
    saved = mean_interval([row[0] for row in took] or [0.0], seed_of(NAME, step.path, done))
    return subject.finding(
        NAME,
        f"{step.path} changed something {done - unchanged} of {done} times.",
        Edit(Operation.REMOVE, f"steps.{step.path}"),
        subject.evidence(
            f"Of {done} times, {unchanged} found all as it should be; at least {lower_bound(unchanged, done):.1%} do.",
            "path = ?",
            [step.path],
            done=done,
            unchanged=unchanged,
            lower_bound=lower_bound(unchanged, done),
        ),
        Prediction("time of a request, less", "seconds", saved.estimate, saved.low, saved.high),
        risk="What the step puts right now and then stays wrong. If it guards something, give it a `when` instead.",
        p_value=p,
    )

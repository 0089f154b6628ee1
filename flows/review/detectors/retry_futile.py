"""Retries after errors of one class that almost never help: they cost time and change nothing."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import p_at_most, upper_bound
from flows.review.statistics.resampling import mean_interval, seed_of
from flows.review.subject import Subject
from request_models.json_values import JsonValue
from request_models.plan import Step

NAME = "retry_futile"


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """A retry by the engine counts, one by a person does not: the person may have mended something first."""
    for step in subject.steps:
        if step.retry.attempts < 2:
            continue
        for error in step.retry.errors:
            tried, helped = subject.history.one(
                "SELECT count(*), count(*) FILTER (WHERE next_outcome NOT IN ('failed', 'unknown')) FROM att "
                "WHERE path = ? AND error_class = ? AND next_outcome IS NOT NULL AND NOT next_touched",
                [step.path, error.value],
            )
            if tried >= gate["least"]:
                passes = upper_bound(helped, tried) < gate["bound"]
                p = p_at_most(helped, tried, gate["ordinary"])
                yield Test(p, passes, partial(_finding, subject, step, error.value, tried, helped, p))


def _finding(subject: Subject, step: Step, error: str, tried: int, helped: int, p: float) -> Finding:
    left: list[JsonValue] = [one.value for one in step.retry.errors if one.value != error]
    edit = (
        Edit(Operation.SET, f"steps.{step.path}.retry.errors", left)
        if left
        else Edit(Operation.REMOVE, f"steps.{step.path}.retry")
    )
    costs = subject.history.rows(
        "SELECT request, sum(CAST(round(until_next_end * 1e6) AS BIGINT)) / 1e6 FROM att "
        "WHERE path = ? AND error_class = ? AND next_outcome IS NOT NULL "
        "AND NOT next_touched AND until_next_end IS NOT NULL GROUP BY request ORDER BY request",
        [step.path, error],
    )
    saved = mean_interval([row[1] for row in costs] or [0.0], seed_of(NAME, step.path, len(costs)))
    return subject.finding(
        NAME,
        f"Trying {step.path} again after {error} errors helped {helped} of {tried} times.",
        edit,
        subject.evidence(
            f"{tried} retries after {error} errors, of which {helped} succeeded; at most "
            f"{upper_bound(helped, tried):.1%} do.",
            "path = ? AND (error_class = ? OR attempt > 1)",
            [step.path, error],
            retries=tried,
            helped=helped,
            upper_bound=upper_bound(helped, tried),
        ),
        Prediction(
            "time until a request that fails so is on hold, less", "seconds", saved.estimate, saved.low, saved.high
        ),
        risk=f"About {helped / tried:.1%} of these failures would have gone away by themselves; they come on hold.",
        p_value=p,
    )

"""Failures that took far longer than any success: a timeout would have ended them sooner."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.lengths import rounded_up, write_length
from flows.review.statistics.intervals import p_at_least, plain_quantile
from flows.review.statistics.resampling import mean_interval, seed_of
from flows.review.subject import Subject
from request_models.plan import Step

NAME = "timeout_missing"
_LEAST_SUCCESSES = 50


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Steps that say no timeout of their own, or a much longer one."""
    for step in subject.steps:
        if step.uses.partition(".")[0] in {"human", "wait", "request"}:
            continue
        rows = subject.history.rows(
            "SELECT outcome IN ('failed', 'unknown'), seconds FROM att WHERE path = ? AND seconds IS NOT NULL "
            "AND outcome IS NOT NULL AND outcome <> 'skipped' ORDER BY seconds",
            [step.path],
        )
        successes = [seconds for failed, seconds in rows if not failed]
        failures = [seconds for failed, seconds in rows if failed]
        if len(successes) < _LEAST_SUCCESSES or len(failures) < gate["least"]:
            continue
        limit = gate["factor"] * plain_quantile(successes, gate["quantile"])
        hung = [seconds for seconds in failures if seconds > limit]
        useful = step.timeout_seconds is None or step.timeout_seconds > 2 * limit
        p = p_at_least(len(hung), len(failures), gate["ordinary"])
        yield Test(
            p,
            len(hung) >= gate["least"] and useful,
            partial(_finding, subject, step, limit, hung, len(failures), p),
        )


def _finding(subject: Subject, step: Step, limit: float, hung: list[float], failures: int, p: float) -> Finding:
    timeout = rounded_up(limit)
    saved = mean_interval([max(0.0, seconds - timeout) for seconds in hung], seed_of(NAME, step.path, len(hung)))
    return subject.finding(
        NAME,
        f"{len(hung)} failures of {step.path} took longer than {timeout:.0f} s; successes do not.",
        Edit(Operation.SET, f"steps.{step.path}.timeout", write_length(timeout)),
        subject.evidence(
            f"{len(hung)} of {failures} failures took longer than 1.5 times the 99th percentile of successes.",
            "path = ? AND outcome IN ('failed', 'unknown') AND (steps.ended - steps.started) / 1e6 > ?",
            [step.path, limit],
            hung=len(hung),
            failures=failures,
            limit_seconds=limit,
        ),
        Prediction("time until such a failure is known, less", "seconds", saved.estimate, saved.low, saved.high),
        risk="A success that would have taken longer than ever before is ended.",
        p_value=p,
    )

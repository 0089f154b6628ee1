"""Failures that people cure by trying again, of steps that may be repeated: the engine can do that."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.lengths import rounded_up, write_length
from flows.review.statistics.intervals import lower_bound, p_at_least, quantile
from flows.review.statistics.shrinkage import JEFFREYS
from flows.review.subject import Subject
from request_models.actions import REPEATABLE, EffectClass
from request_models.json_values import JsonValue
from request_models.plan import Step

NAME = "retry_helps"


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The first failure of a step and what the next attempt gave, for error classes that are not retried yet."""
    for step in subject.steps:
        if step.effect not in REPEATABLE | {EffectClass.HAS_PROBE}:
            continue
        retried = {one.value for one in step.retry.errors} if step.retry.attempts > 1 else set()
        rows = subject.history.rows(
            "SELECT error_class, count(*), count(*) FILTER (WHERE next_outcome NOT IN ('failed', 'unknown')) FROM att "
            "WHERE path = ? AND attempt = 1 AND outcome = 'failed' AND next_outcome IS NOT NULL "
            "AND error_class IN ('transient', 'unknown') GROUP BY 1 ORDER BY 1",
            [step.path],
        )
        for error, tried, helped in rows:
            if error not in retried and tried >= gate["least"]:
                passes = lower_bound(helped, tried) > gate["bound"]
                p = p_at_least(helped, tried, gate["ordinary"])
                yield Test(p, passes, partial(_finding, subject, step, error, tried, helped, p))


def _finding(subject: Subject, step: Step, error: str, tried: int, helped: int, p: float) -> Finding:
    pauses = [
        row[0]
        for row in subject.history.rows(
            "SELECT pause FROM att WHERE path = ? AND attempt = 1 AND error_class = ? AND pause >= 0 "
            "AND next_outcome NOT IN ('failed', 'unknown') ORDER BY pause",
            [step.path, error],
        )
    ]
    found = quantile(pauses, 0.75)
    delay = pauses[min(len(pauses) - 1, int(0.75 * len(pauses)))] if pauses else 1.0
    delay = rounded_up(found.estimate if found is not None else delay)
    if step.retry.attempts > 1:
        edit = Edit(Operation.SET, f"steps.{step.path}.retry.errors", [*(e.value for e in step.retry.errors), error])
    else:
        retry: dict[str, JsonValue] = {"attempts": 3, "delay": write_length(delay)}
        if error != "transient":
            retry["errors"] = [error]
        edit = Edit(Operation.SET, f"steps.{step.path}.retry", retry)
    share = JEFFREYS.posterior(helped, tried)
    return subject.finding(
        NAME,
        f"Trying {step.path} again after {error} errors helped {helped} of {tried} times; the engine does not do it.",
        edit,
        subject.evidence(
            f"{tried} first failures with {error} errors were tried again, {helped} with success; "
            f"at least {lower_bound(helped, tried):.0%} do.",
            "path = ? AND error_class = ?",
            [step.path, error],
            retried=tried,
            helped=helped,
            lower_bound=lower_bound(helped, tried),
            delay_p75=delay,
        ),
        Prediction("share of these failures that need no person", "share", share.estimate, share.low, share.high),
        risk="The step is sent again when it fails; its action says that this does no harm.",
        p_value=p,
    )

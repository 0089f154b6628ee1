"""The timeouts of all steps, and the retries of each, can fit within what is due."""

from collections.abc import Iterator

from request_models.durations import parse_duration, say_duration
from request_models.findings import Finding
from request_models.resolving import Resolved
from request_models.schema import StepDocument


def check(resolved: Resolved) -> Iterator[Finding]:
    """`due-too-short`: all steps once, or one step with all its retries, take longer than the request may.

    That every step needs all its retries is not assumed. Steps without a timeout of their own count with their pauses.
    """
    within = parse_duration(resolved.document.due.within).total_seconds()
    once = sum(timeout_seconds(step.document) for step in resolved.steps)
    if once > within:
        message = f"the steps may take {say_duration(once)}, but the request is due within {say_duration(within)}"
        yield Finding(("due", "within"), "due-too-short", message, "shorten timeouts, or promise less")
    for step in resolved.steps:
        longest = longest_seconds(step.document)
        if longest > within:
            message = f"all attempts may take {say_duration(longest)}; the request is due within {say_duration(within)}"
            hint = "fewer attempts, shorter timeouts or pauses, or promise less"
            yield Finding((*step.path, "retry"), "due-too-short", message, hint, on_key=True)


def timeout_seconds(step: StepDocument) -> float:
    """How long one attempt may take; 0 when the step says nothing."""
    return 0.0 if step.timeout is None else parse_duration(step.timeout).total_seconds()


def longest_seconds(step: StepDocument) -> float:
    """How long a step may take with all its attempts and the pauses between them."""
    delay = parse_duration(step.retry.delay).total_seconds()
    pauses = sum(delay * step.retry.factor**number for number in range(step.retry.attempts - 1))
    return timeout_seconds(step) * step.retry.attempts + pauses

"""All attempts of all steps, at their longest, fit within what is due."""

from collections.abc import Iterator

from request_models.durations import parse_duration, say_duration
from request_models.findings import Finding
from request_models.resolving import Resolved
from request_models.schema import StepDocument


def check(resolved: Resolved) -> Iterator[Finding]:
    """`due-too-short`. Steps without a timeout of their own count only with the pauses between their attempts."""
    within = parse_duration(resolved.document.due.within).total_seconds()
    longest = sum(longest_seconds(step.document) for step in resolved.steps)
    if longest > within:
        message = f"the steps may take {say_duration(longest)}, but the request is due within {say_duration(within)}"
        hint = "shorten timeouts or retries, or promise less"
        yield Finding(("due", "within"), "due-too-short", message, hint)


def longest_seconds(step: StepDocument) -> float:
    """How long a step may take with all its attempts and the pauses between them."""
    timeout = 0.0 if step.timeout is None else parse_duration(step.timeout).total_seconds()
    delay = parse_duration(step.retry.delay).total_seconds()
    pauses = sum(delay * step.retry.factor**number for number in range(step.retry.attempts - 1))
    return timeout * step.retry.attempts + pauses

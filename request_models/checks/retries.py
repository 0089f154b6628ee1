"""Only what may be repeated is retried."""

from collections.abc import Iterator

from request_models.actions import EffectClass
from request_models.findings import Finding
from request_models.resolving import Resolved


def check(resolved: Resolved) -> Iterator[Finding]:
    """`retry-not-repeatable`."""
    for step in resolved.steps:
        retry = step.document.retry
        if step.spec is None or retry.attempts == 1:
            continue
        if step.spec.effect is EffectClass.NOT_REPEATABLE:
            message = f"`{step.spec.name}` is not known to be repeatable: a second attempt could do it twice"
            hint = "leave out `retry`; a failed attempt puts the request on hold, where a person decides"
            yield Finding((*step.path, "retry"), "retry-not-repeatable", message, hint, on_key=True)

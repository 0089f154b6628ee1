"""Only what may be repeated is retried.

An error that is `transient` had no effect (its class says so), so trying again then is a first attempt. After one that
is `unknown` the call may have had its effect; where it can be sent again exactly, `transient` covers that too.
"""

from collections.abc import Iterator

from request_models.actions import EffectClass
from request_models.diagnostics import Severity
from request_models.durations import parse_duration
from request_models.findings import Finding
from request_models.resolved import Resolved

_MANY = 3
"""From this many attempts on, a pause between them is missed."""


def check(resolved: Resolved) -> Iterator[Finding]:
    """`retry-not-repeatable`; `retry-at-once`, a warning."""
    for call in resolved.calls:
        retry = call.document.retry
        if retry.attempts >= _MANY and not parse_duration(retry.delay):
            message = f"{retry.attempts} attempts without a pause are over before what failed can have recovered"
            hint = "write `delay: PT2S, factor: 2`"
            yield Finding((*call.path, "retry"), "retry-at-once", message, hint, Severity.WARNING, on_key=True)
        if call.spec is None or retry.attempts == 1 or "unknown" not in retry.errors:
            continue
        if call.spec.lifetime_argument in call.arguments.members:
            continue  # the model promises that a token is honoured
        if call.spec.effect is EffectClass.NOT_REPEATABLE:
            message = f"`{call.spec.name}` is not repeatable: after an unknown outcome it could be done twice"
            hint = "retry `[transient]` only; an unknown outcome puts the request on hold, where a person decides"
            yield Finding((*call.path, "retry", "errors"), "retry-not-repeatable", message, hint)

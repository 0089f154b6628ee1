"""Each step has an id of its own."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.resolving import Resolved


def check(resolved: Resolved) -> Iterator[Finding]:
    """`duplicate-id`."""
    seen: set[str] = set()
    for step in resolved.steps:
        if step.id in seen:
            message = f"another step before this one is called `{step.id}`"
            hint = "results are bound to ids: give each step its own"
            yield Finding((*step.path, "id"), "duplicate-id", message, hint)
        seen.add(step.id)

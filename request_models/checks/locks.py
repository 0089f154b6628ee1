"""A lock is of what one request works on, not of all requests."""

from collections.abc import Iterator

from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.plan import Literal
from request_models.resolved import Resolved


def check(resolved: Resolved) -> Iterator[Finding]:
    """`lock-for-all`: a warning."""
    for place in resolved.places:
        if place.role == "lock" and isinstance(place.node, Literal) and place.node.value != resolved.document.model:
            name = resolved.document.model
            message = "every request of this model takes this same lock: they run one after the other"
            hint = f'name what one works on: `"bucket:{{{{ inputs.name }}}}"`; or, if it is meant, the model: `{name}`'
            yield Finding(place.path, "lock-for-all", message, hint, Severity.WARNING)

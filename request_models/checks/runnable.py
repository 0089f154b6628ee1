"""What is part of the language, and read, typed and planned, but cannot be run by this version yet.

Each of these is refused with that reason, so that it is never silently ignored. What becomes runnable leaves the list.
"""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.resolved import Resolved
from request_models.yaml_source import Path

NOT_YET_RUNNABLE = "not-yet-runnable"

_MODEL_KEYS = ("notify", "feedback", "triggers", "lease")
_INPUT_KEYS = ("choices", "shown_to")


def check(resolved: Resolved) -> Iterator[Finding]:
    """`not-yet-runnable`."""
    document = resolved.document
    for key in _MODEL_KEYS:
        if key in document.model_fields_set and getattr(document, key) not in (None, ()):
            yield _not_yet((key,), f"`{key}`")
    for name, schema in document.inputs.items():
        for key in _INPUT_KEYS:
            if key in schema:
                yield _not_yet(("inputs", name, key), f"`{key}`")
    for name, output in document.outputs.items():
        for key in ("once", "to"):
            if getattr(output, key):
                yield _not_yet(("outputs", name, key), f"`{key}`")
    yield from _blocks(resolved)


def _blocks(resolved: Resolved) -> Iterator[Finding]:
    for call in resolved.calls:
        if isinstance(call.document.hosts, dict):
            yield _not_yet((*call.path, "hosts"), "a map of hosts")


def _not_yet(path: Path, what: str) -> Finding:
    message = f"{what} is part of the language, but not yet runnable in this version"
    return Finding(path, NOT_YET_RUNNABLE, message, on_key=True)

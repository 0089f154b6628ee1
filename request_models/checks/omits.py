"""`omit` leaves out an argument; nothing else can be left out."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.typed import Typed, TypedNode


def check(typed: Typed) -> Iterator[Finding]:
    """`omit-misplaced`."""
    for node in _elsewhere(typed):
        for leaf in node.walk():
            if leaf.may_be_omitted:
                hint = "`omit` is for arguments and their members: `with`"
                yield Finding(leaf.path, "omit-misplaced", "this cannot be left out", hint, at="omit")


def _elsewhere(typed: Typed) -> Iterator[TypedNode]:
    yield from typed.values.values()
    for step in typed.steps:
        yield from (node for node in (step.when, step.expect, step.otherwise, step.hosts) if node is not None)
    for output in typed.outputs:
        yield output.value
        if output.url is not None:
            yield output.url

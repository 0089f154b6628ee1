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
    yield from typed.conditions()
    yield from (place.node for place in typed.places.values() if place.place.role not in {"condition", "input"})
    for loop in typed.loops.values():
        yield from (node for node in (loop.items, loop.key) if node is not None)
    for call in typed.calls:
        yield from (node for node in (call.otherwise, call.hosts) if node is not None)
    yield from (one.select for one in typed.choices.values() if one.select is not None)
    for output in typed.outputs:
        yield output.value
        if output.url is not None:
            yield output.url

"""A call names hosts when its action acts on hosts, and only then."""

from collections.abc import Iterator

from request_models.assignability import mismatches
from request_models.findings import Finding
from request_models.typed import Typed, TypedNode, TypedStep
from request_models.value_types import ArrayType, Member, ObjectType, StringType, UnionType

_NAME = StringType(min_length=1)
_GROUPS = UnionType(options=(_NAME, ArrayType(items=_NAME, min_items=1)))
_MADE = ObjectType(
    members={
        "addresses": Member(type=ArrayType(items=_NAME, min_items=1), required=True),
        "group": Member(type=_NAME, required=True),
    }
)


def check(typed: Typed) -> Iterator[Finding]:
    """`hosts-missing`, `hosts-not-taken`, `hosts-type`."""
    told = {undo.resolved.path for step in typed.steps if takes_hosts(step) for undo in step.undo}
    for call in typed.calls:
        spec = call.resolved.spec
        if spec is None:
            continue
        if call.hosts is not None and not spec.takes_hosts:
            path = (*call.resolved.path, "hosts")
            yield Finding(path, "hosts-not-taken", f"`{spec.name}` takes no hosts", on_key=True)
        elif call.hosts is not None:
            yield from _fits(call.hosts)
        elif spec.takes_hosts and call.resolved.hosts is None and call.resolved.path not in told:
            hint = "write `hosts: GROUP`, a group of the inventory or a list of them"
            path = (*call.resolved.path, "uses")
            yield Finding(path, "hosts-missing", f"`{spec.name}` acts on hosts, but none are named", hint)


def takes_hosts(step: TypedStep) -> bool:
    """Whether a step acts on hosts: an undo of it acts on the same, which are looked at there."""
    return step.resolved.spec is not None and step.resolved.spec.takes_hosts


def _fits(hosts: TypedNode) -> Iterator[Finding]:
    kind = hosts.given_type
    if kind is None:
        return
    wanted = _MADE if isinstance(kind, ObjectType) else _GROUPS
    for mismatch in mismatches(kind, wanted)[:1]:
        what = "`{addresses: [...], group: NAME}`" if wanted is _MADE else "a group or a list of groups"
        at = f"{mismatch.pointer} " if mismatch.pointer else ""
        yield Finding(hosts.path, "hosts-type", f"hosts are {what}: {at}{mismatch.message}")

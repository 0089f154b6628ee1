"""A step names hosts when its action acts on hosts, and only then."""

from collections.abc import Iterator

from request_models.actions import ActionSpec
from request_models.assignability import mismatches
from request_models.findings import Finding
from request_models.typed import Typed, TypedNode
from request_models.value_types import ArrayType, StringType, UnionType
from request_models.yaml_source import Path

_HOSTS = UnionType(options=(StringType(min_length=1), ArrayType(items=StringType(min_length=1), min_items=1)))


def check(typed: Typed) -> Iterator[Finding]:
    """`hosts-missing`, `hosts-not-taken`, `hosts-type`, and `not-yet-runnable` for the map form."""
    for step in typed.steps:
        yield from _check(step.resolved.spec, step.hosts, step.resolved.path, step.resolved.document.uses)
        for undo in step.undo:
            # The step's hosts, which an undo inherits, are simply not used by one that acts on none.
            inherited = undo.resolved.document.hosts is None
            takes = undo.resolved.spec is not None and undo.resolved.spec.takes_hosts
            if takes and inherited and step.resolved.spec is not None and step.resolved.spec.takes_hosts:
                continue  # they are the step's own, which are told of there
            hosts = None if inherited and not takes else undo.hosts
            yield from _check(undo.resolved.spec, hosts, undo.resolved.path, undo.resolved.document.uses)


def _check(spec: ActionSpec | None, hosts: TypedNode | None, path: Path, uses: str) -> Iterator[Finding]:
    if spec is None:
        return
    if spec.takes_hosts and hosts is None:
        hint = "write `hosts: GROUP`, a group of the inventory or a list of them"
        yield Finding((*path, "uses"), "hosts-missing", f"`{uses}` acts on hosts, but none are named", hint)
    elif hosts is not None and not spec.takes_hosts:
        yield Finding((*path, "hosts"), "hosts-not-taken", f"`{uses}` takes no hosts", on_key=True)
    elif hosts is not None and (hosts.members is not None or _is_map(hosts)):
        message = "a map of hosts is part of the language, but not yet runnable in this version"
        yield Finding((*path, "hosts"), "not-yet-runnable", message, on_key=True)
    elif hosts is not None and (kind := hosts.given_type) is not None:
        for mismatch in mismatches(kind, _HOSTS)[:1]:
            yield Finding(hosts.path, "hosts-type", f"hosts are a group or a list of groups: {mismatch.message}")


def _is_map(hosts: TypedNode) -> bool:
    return isinstance(getattr(hosts.node, "value", None), dict)

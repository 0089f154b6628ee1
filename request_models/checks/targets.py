"""What a model says about the system it acts on is what that system's connector takes."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from request_models.actions import ActionSpec
from request_models.assignability import mismatches
from request_models.findings import Finding
from request_models.resolved import ResolvedStep
from request_models.typed import Typed, TypedNode
from request_models.value_types import ObjectType
from request_models.yaml_source import Path


def check(typed: Typed) -> Iterator[Finding]:
    """`target-type`, `unknown-target`."""
    for call in typed.calls:
        source = call.resolved
        if source.spec is not None:
            undone = source.undo if isinstance(source, ResolvedStep) else ()
            systems = {spec.system for spec in (source.spec, *(undo.spec for undo in undone)) if spec is not None}
            yield from _systems(source.document.target, (*source.path, "target"), systems)
            yield from _members(source.spec, call.target.nodes, source.path)
    calls = [call for call in typed.resolved.calls if call.uses]
    if all(call.spec is not None for call in calls):
        used = {call.spec.system for call in calls if call.spec is not None}
        yield from _systems(typed.resolved.document.target, ("target",), used)


def _systems(target: Mapping[str, object], path: Path, systems: set[str | None]) -> Iterator[Finding]:
    known = sorted(system for system in systems if system is not None)
    for system, members in target.items():
        if system not in known:
            near = get_close_matches(system, known, n=1)
            hint = f"is `{near[0]}` meant?" if near else f"systems used here: {', '.join(known) or 'none'}"
            yield Finding((*path, system), "unknown-target", f"nothing here acts on `{system}`", hint, on_key=True)
        elif not isinstance(members, dict):
            yield Finding((*path, system), "target-type", "a target is a map")


def _members(spec: ActionSpec, nodes: Mapping[str, TypedNode], step: Path) -> Iterator[Finding]:
    wanted = spec.target or ObjectType()
    for name, node in nodes.items():
        member = wanted.members.get(name)
        if member is None and wanted.others is None:
            near = get_close_matches(name, list(wanted.members), n=1)
            known = ", ".join(sorted(wanted.members)) or "nothing"
            hint = f"is `{near[0]}` meant?" if near else f"`{spec.system}` takes {known}"
            yield Finding(node.path, "target-type", f"`{spec.system}` takes no `{name}`", hint, on_key=True)
            continue
        kind = member.type if member is not None else wanted.others
        given = node.given_type
        if kind is not None and given is not None:
            for mismatch in mismatches(given, kind)[:3]:
                yield Finding(node.path, "target-type", f"`{name}` {mismatch.message}")
    for name, member in wanted.members.items():
        if member.required and name not in nodes:
            message = f"`{spec.name}` needs `{name}` in `target: {{{spec.system}: ...}}`"
            yield Finding((*step, "uses"), "target-type", message)

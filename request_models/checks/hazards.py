"""What anybody may type reaches no place of an action's content where it would be more than data."""

from collections.abc import Iterator

from request_models.actions import ActionSpec, Hazard, HazardKind
from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.origins import Origins
from request_models.plain_texts import is_listed, is_plain
from request_models.type_algebra import any_secret, member_of
from request_models.typed import Typed, TypedNode
from request_models.value_types import ValueType

_SAYS = {
    HazardKind.COMMAND: "makes it part of a command",
    HazardKind.SPLIT: "splits it at its spaces",
    HazardKind.EXPANDED: "replaces `$NAME` and `~` in it",
    HazardKind.STEERS: "lets it choose where, or as whom, it acts",
}


def check(typed: Typed) -> Iterator[Finding]:
    """`hazardous-argument`; and the warnings `secret-logged` and `unread-argument`."""
    forward = {id(undo): step for step in typed.steps for undo in step.undo}
    for call in typed.calls:
        spec = call.resolved.spec
        if spec is not None and spec.hazards:
            # In an undo, `args` and `result` are the step's.
            yield from _call(spec, call.arguments, Origins(typed, forward.get(id(call), call)))


def _call(spec: ActionSpec, arguments: TypedNode, origins: Origins) -> Iterator[Finding]:
    for name, node in (arguments.members or {}).items():
        member = member_of(spec.arguments, name)
        wanted = None if member is None else member.type
        for kind, hazards in _by_kind(_hazards(spec, name)).items():
            if kind is HazardKind.UNREAD:
                message = f"nothing in `{spec.name}` reads `{name}`: what is given to it has no effect"
                yield Finding(node.path, "unread-argument", message, hazards[0].hint, Severity.WARNING, on_key=True)
            elif kind is HazardKind.LOGGED:
                yield from _logged(name, node, wanted, hazards)
            else:
                yield from _typed_by_somebody(name, node, wanted, hazards, origins)


def _hazards(spec: ActionSpec, name: str) -> tuple[Hazard, ...]:
    """Those of an argument, by its name or one of its aliases."""
    for key, member in spec.arguments.members.items():
        if name in member.aliases:
            name = key
    return spec.hazards.get(name, ())


def _by_kind(hazards: tuple[Hazard, ...]) -> dict[HazardKind, list[Hazard]]:
    found: dict[HazardKind, list[Hazard]] = {}
    for hazard in hazards:
        found.setdefault(hazard.kind, []).append(hazard)
    return found


def _typed_by_somebody(
    name: str, node: TypedNode, wanted: ValueType | None, hazards: list[Hazard], origins: Origins
) -> Iterator[Finding]:
    harmless = is_listed if hazards[0].kind is HazardKind.STEERS else is_plain
    if wanted is not None and harmless(wanted):
        return
    found = origins.outside(node, harmless)
    if found is None:
        return
    leaf, source = found
    steers = hazards[0].kind is HazardKind.STEERS
    what = "not one of a few that are given" if steers else "any text"
    message = f"`{name}` holds `{source}`, which may be {what}, and {_places(hazards)} {_SAYS[hazards[0].kind]}"
    yield Finding(leaf.path, "hazardous-argument", message, f"{hazards[0].hint}{_or_narrow(source, steers)}")


def _or_narrow(source: str, steers: bool) -> str:
    if not source.startswith("inputs."):
        return ""
    kind = "an enum" if steers else "an enum, or have a pattern of letters, digits, `.`, `_` and `-` from `^` to `$`"
    return f"; or let `{source}` be {kind}"


def _logged(name: str, node: TypedNode, wanted: ValueType | None, hazards: list[Hazard]) -> Iterator[Finding]:
    if wanted is None or any_secret(wanted):
        message = f"`{name}` is secret, but {_places(hazards)} writes it into a log"
        yield Finding(node.path, "secret-logged", message, hazards[0].hint, Severity.WARNING)


def _places(hazards: list[Hazard]) -> str:
    places = list(dict.fromkeys(hazard.where for hazard in hazards))
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    return f"{places[0]}{more}"

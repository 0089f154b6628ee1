"""Every action that is used exists, and can be used."""

from collections.abc import Iterator

from request_models.actions import ActionBroken, EffectClass
from request_models.findings import Finding
from request_models.resolved import Resolved, ResolvedCall, ResolvedChoices, ResolvedRead
from request_models.yaml_source import Path


def check(resolved: Resolved) -> Iterator[Finding]:
    """`unknown-action`, `broken-action`; `read-only` for what must not change the world, but would."""
    for call in resolved.calls:
        if call.uses and call.spec is None:
            yield _unknown(resolved, call.uses, (*call.path, "uses"))
        yield from _changing(call)


def _changing(call: ResolvedCall) -> Iterator[Finding]:
    match call:
        case ResolvedChoices():
            what = "choices are read"
        case ResolvedRead(id=str()):
            what = "a prerequisite only reads: it runs before anything is decided"
        case ResolvedRead():
            what = "`verify` only looks"
        case _:
            return
    if call.spec is not None and call.spec.effect is not EffectClass.READ_ONLY:
        message = f"{what}, but `{call.spec.name}` changes the world"
        yield Finding((*call.path, "uses"), "read-only", message, "use an action that reads; make what changes a step")


def _unknown(resolved: Resolved, name: str, path: Path) -> Finding:
    try:
        resolved.actions.spec(name)
    except ActionBroken as error:
        return Finding(path, "broken-action", f"`{name}` is there, but cannot be used: {error}")
    near = resolved.actions.suggestions(name)
    hint = f"is {' or '.join(f'`{other}`' for other in near[:3])} meant?" if near else "names are SYSTEM.NAME: http.get"
    return Finding(path, "unknown-action", f"there is no action `{name}`", hint)

"""Every action a step or an undo uses exists, and can be used."""

from collections.abc import Iterator

from request_models.actions import ActionBroken
from request_models.findings import Finding
from request_models.resolving import Resolved
from request_models.yaml_source import Path

ENGINE_ACTIONS = frozenset({"human.task", "wait.event", "wait.until", "request.submit"})
"""Actions of the engine itself, known words of the language."""


def check(resolved: Resolved) -> Iterator[Finding]:
    """`unknown-action`, `broken-action`, and `not-yet-runnable` for the engine's own."""
    for step in resolved.steps:
        if step.spec is None:
            yield _unknown(resolved, step.document.uses, (*step.path, "uses"))
        for undo in step.undo:
            if undo.spec is None:
                yield _unknown(resolved, undo.document.uses, (*undo.path, "uses"))


def _unknown(resolved: Resolved, name: str, path: Path) -> Finding:
    if name in ENGINE_ACTIONS:
        message = f"`{name}` is part of the language, but not yet runnable in this version"
        return Finding(path, "not-yet-runnable", message)
    try:
        resolved.actions.spec(name)
    except ActionBroken as error:
        return Finding(path, "broken-action", f"`{name}` is there, but cannot be used: {error}")
    near = resolved.actions.suggestions(name)
    hint = f"is {' or '.join(f'`{other}`' for other in near[:3])} meant?" if near else "names are SYSTEM.NAME: http.get"
    return Finding(path, "unknown-action", f"there is no action `{name}`", hint)

"""Every effect has its undo, or says why it has none."""

from collections.abc import Iterator

from request_models.actions import EffectClass
from request_models.engine_actions import REQUEST_SUBMIT
from request_models.findings import Finding
from request_models.reach import Reach, reach
from request_models.resolved import Resolved, ResolvedStep


def check(resolved: Resolved) -> Iterator[Finding]:
    """`undo-missing`, `undo-covered-by`, `undo-read-only`."""
    for step in resolved.steps:
        undo = step.document.undo
        if step.spec is None:
            continue
        reads = step.spec.effect is EffectClass.READ_ONLY
        if undo is None and not reads and step.uses != REQUEST_SUBMIT:
            hint = "write `undo: {uses: ..., with: {...}}`, `{covered_by: STEP}` or `{none: WHY}`"
            message = f"`{step.spec.name}` changes the world, but nothing says how to take that back"
            yield Finding(step.path, "undo-missing", message, hint)
        if undo is not None and reads:
            message = f"`{step.spec.name}` only reads: there is nothing to undo"
            yield Finding((*step.path, "undo"), "undo-read-only", message, on_key=True)
        if undo is not None and undo.covered_by is not None:
            yield from _covered(resolved, step, undo.covered_by)
        yield from _reading_undos(step)


def _covered(resolved: Resolved, step: ResolvedStep, name: str) -> Iterator[Finding]:
    path = (*step.path, "undo", "covered_by")
    cover = resolved.step(name)
    if cover is None:
        yield Finding(path, "undo-covered-by", f"there is no step `{name}`")
        return
    if reach(step.path, cover.path, resolved.loops) is not Reach.BEFORE:
        hint = "what is undone last was made first, in the same line of work"
        yield Finding(path, "undo-covered-by", f"`{name}` does not run before this step", hint)
    elif cover.document.undo is None or not (cover.document.undo.actions or cover.document.undo.covered_by):
        message = f"`{name}` has no undo that would take this along"
        yield Finding(path, "undo-covered-by", message, f"give `{name}` an undo with an action")


def _reading_undos(step: ResolvedStep) -> Iterator[Finding]:
    effects = [undo.spec.effect for undo in step.undo if undo.spec is not None]
    if effects and len(effects) == len(step.undo) and all(effect is EffectClass.READ_ONLY for effect in effects):
        message = "this undo only reads: it takes nothing back"
        yield Finding((*step.path, "undo"), "undo-missing", message, on_key=True)

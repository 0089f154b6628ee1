"""No undo needs what an earlier one took away: what was made last is undone first, a step's actions as written."""

from collections.abc import Iterator

from request_models.actions import EffectClass
from request_models.findings import Finding
from request_models.reach import Reach, reach
from request_models.sameness import Sources, Thing
from request_models.typed import Typed, TypedStep, TypedUndo


def check(typed: Typed) -> Iterator[Finding]:
    """`undo-after-removal`."""
    sources = Sources(typed)
    for step in typed.steps:
        yield from _within(step, sources)
    for later in typed.steps:
        gone = [(undo, thing) for undo in later.undo if (thing := sources.removed(later, undo)) is not None]
        for earlier in typed.steps if gone else ():
            if reach(later.resolved.path, earlier.resolved.path, typed.resolved.loops) is Reach.BEFORE:
                yield from _between(earlier, later, gone, sources)


def _within(step: TypedStep, sources: Sources) -> Iterator[Finding]:
    gone: list[tuple[TypedUndo, Thing]] = []
    for undo in step.undo:
        found = _needed(undo, step, gone, sources)
        if found is not None:
            message = f"`{undo.resolved.uses}` needs what `{found.resolved.uses}` before it has taken away"
            hint = "the actions of an undo run in the order written: put this one first"
            yield Finding((*undo.resolved.path, "uses"), "undo-after-removal", message, hint)
        thing = sources.removed(step, undo)
        gone += [] if thing is None else [(undo, thing)]


def _between(
    earlier: TypedStep, later: TypedStep, gone: list[tuple[TypedUndo, Thing]], sources: Sources
) -> Iterator[Finding]:
    for undo in earlier.undo:
        found = _needed(undo, earlier, gone, sources)
        if found is not None:
            who = f"`{found.resolved.uses}`, the undo of `{later.resolved.id}`,"
            message = f"`{undo.resolved.uses}` needs what {who} has taken away by then"
            hint = "what was made last is undone first: let one undo do both, or make the other step the earlier one"
            yield Finding((*undo.resolved.path, "uses"), "undo-after-removal", message, hint)


def _needed(
    undo: TypedUndo, step: TypedStep, gone: list[tuple[TypedUndo, Thing]], sources: Sources
) -> TypedUndo | None:
    """What took away the thing that an undo acts on.

    To look whether it is gone, to remove it again or to make it anew does not need it.
    """
    spec = undo.resolved.spec
    if spec is None or spec.effect is EffectClass.READ_ONLY or spec.makes:
        return None
    own = sources.removed(step, undo)
    return next((by for by, thing in gone if thing != own and sources.acts_on(step, undo, thing)), None)

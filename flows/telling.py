"""Telling expressions what came of blocks: the `items` of loops, the states of groups, and what was not reached."""

from collections.abc import Iterable, Iterator

from flows.decisions import Decided, Decision
from flows.frames import Frame, Frames
from flows.records.states import StepState
from request_models.plan import Block, Group, Parallel, Step


class Teller:
    """Tells the frames of blocks that are behind."""

    def __init__(self, frames: Frames, decisions: Decided) -> None:
        self._frames = frames
        self._decisions = decisions

    def ended(self, block: Block, frame: Frame, place: str, decision: Decision) -> None:
        """Tell of a block that ended in an earlier entry."""
        assert decision.ended is not None
        loop = None if isinstance(block, Parallel) else block.loop
        listed = self._decisions.recorded(f"{place}/items", frame.key)
        if loop is not None and listed is not None and isinstance(block, Step | Group):
            inner = [frame.inner(block.path, key, item) for key, item in listed.items]
            self.loop(block, frame, inner, place, decision.ended)
        self.unreached(block, frame, decision.ended)

    def loop(self, block: Step | Group, frame: Frame, inner: Iterable[Frame], place: str, state: StepState) -> None:
        """The `items` of a loop: each with what came of it, of the step itself or of the steps in the group."""
        items: list[object] = []
        for one in inner:
            recorded = self._decisions.recorded(f"{place}/item", one.key)
            ended = StepState.SKIPPED if recorded is None or recorded.ended is None else recorded.ended
            entries = self._frames.inside(one)
            came_of_it = entries.get(block.path, {}) if isinstance(block, Step) else {"steps": entries}
            items.append({"item": one.item, "state": ended.value, **came_of_it})
        self._frames.put(frame, block.path, {"state": state.value, "items": items})

    def unreached(self, block: Block, frame: Frame, state: StepState) -> None:
        """What was not reached in a block that is behind counts as skipped; its own state can be read."""
        for inner in _read_outside(block):
            if self._frames.entry(frame, inner.path) is None:
                looped = isinstance(inner, Step | Group) and inner.loop is not None
                self._frames.put(frame, inner.path, {"state": "skipped", **({"items": []} if looped else {})})
        if block.path and not isinstance(block, Step) and self._frames.entry(frame, block.path) is None:
            looped = isinstance(block, Group) and block.loop is not None
            self._frames.put(frame, block.path, {"state": state.value, **({"items": []} if looped else {})})


def _read_outside(block: Block) -> Iterator[Block]:
    """The blocks in a block that can be read from outside it: those in a loop cannot."""
    match block:
        case Step():
            yield block
        case Group(loop=None, blocks=inner, alternative=alternative):
            for one in (*inner, *alternative):
                yield from _named(one)
        case Group(blocks=_, alternative=alternative):
            for one in alternative:
                yield from _named(one)
        case Parallel(branches=branches):
            for one in branches:
                yield from _named(one)


def _named(block: Block) -> Iterator[Block]:
    if block.path:
        yield block
    if not isinstance(block, Step):
        yield from _read_outside(block)

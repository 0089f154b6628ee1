"""Where a step stands in its plan: the blocks around it and itself, as the walk names their places."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.records.rows import BlockRow
from flows.records.states import StepState
from request_models.plan import Block, Group, OnFailure, Parallel, Plan, Step


@dataclass(frozen=True)
class Surround:
    """A block around a step, or the step itself. `depth` counts the loops around the block, not its own."""

    block: Block
    place: str
    depth: int

    @property
    def looped(self) -> bool:
        """Whether it is done once for each item of a list."""
        return not isinstance(self.block, Parallel) and self.block.loop is not None

    def key(self, item_key: str) -> str:
        """The key of the item that the block stands in, of a step in it whose item has this key."""
        return _outer(item_key, self.depth)

    def end(self, item_key: str) -> tuple[str, str]:
        """Place and key under which the end of the block is recorded; of a loop, the end of the item."""
        if self.looped:
            return f"{self.place}/item", _outer(item_key, self.depth + 1)
        return self.place, self.key(item_key)


def surrounds(plan: Plan) -> Mapping[str, tuple[Surround, ...]]:
    """Of each step, the blocks around it from the outermost on, itself the last."""
    return {found[-1].block.path: found for found in _of_blocks(plan.blocks, "", 0, ())}


def is_behind(around: Iterable[Surround], item_key: str, rows: Iterable[BlockRow]) -> bool:
    """Whether the walk has left the step behind: it, or a block around it, has ended."""
    ended = {(row.place, row.item_key) for row in rows if row.state is not StepState.STARTED}
    return any((one.place, one.key(item_key)) in ended or one.end(item_key) in ended for one in around)


def gone_on_without(around: Sequence[Surround]) -> Surround | None:
    """The innermost block that the model goes on without when it fails (`on_failure: continue`)."""
    return next((one for one in reversed(around) if one.block.on_failure is OnFailure.CONTINUE), None)


def label_of(around: Sequence[Surround], item_key: str) -> str:
    """The step as operators call it: `create`, `join[anna].add`; a loop on a step is `join[anna]`."""
    keys = [part.replace("~1", "/").replace("~0", "~") for part in item_key.split("/")] if item_key else []
    parts: list[str] = []
    for one in around:
        if one.looped:
            parts.append(f"{one.block.path}[{keys.pop(0)}]" if keys else one.block.path)
        elif isinstance(one.block, Step):
            parts.append(one.block.path)
    return ".".join(parts)


def _of_blocks(
    blocks: Sequence[Block], place: str, depth: int, around: tuple[Surround, ...]
) -> Iterator[tuple[Surround, ...]]:
    for number, block in enumerate(blocks):
        yield from _of_block(block, f"{place}/{number}", depth, around)


def _of_block(block: Block, place: str, depth: int, around: tuple[Surround, ...]) -> Iterator[tuple[Surround, ...]]:
    inner = (*around, Surround(block, place, depth))
    match block:
        case Step():
            yield inner
        case Group(loop=None):
            yield from _of_blocks(block.blocks, f"{place}/steps", depth, inner)
            yield from _of_blocks(block.alternative, f"{place}/else", depth, inner)
        case Group():
            yield from _of_blocks(block.blocks, f"{place}/item", depth + 1, inner)
            yield from _of_blocks(block.alternative, f"{place}/else", depth, inner)
        case Parallel():
            yield from _of_blocks(block.branches, place, depth, inner)


def _outer(item_key: str, depth: int) -> str:
    return "/".join(item_key.split("/")[:depth]) if depth else ""

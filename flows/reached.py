"""The steps a request may have reached, each in the item it stands in, and which of them stand in one line of work."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flows.decisions import Decisions
from flows.frames import ROOT, Frame, Frames
from flows.telling import Teller
from flows.walk import Unit
from request_models.plan import Block, Group, Parallel, Plan, Step

Place = tuple[str, ...]
"""Where a step stands, part by part from the outermost block; one that begins with `|` goes beside its neighbours."""


@dataclass(frozen=True)
class Reached:
    """A step in an item. `place` says with what it is in one line of work."""

    unit: Unit
    place: Place

    @property
    def key(self) -> tuple[str, str]:
        """The path of the step and the key of the item."""
        return self.unit.step.path, self.unit.frame.key


def is_beside(one: Place, other: Place) -> bool:
    """Whether neither comes before the other: branches of a parallel block, or items of a loop."""
    for part, other_part in zip(one, other, strict=False):
        if part != other_part:
            return part.startswith("|") and other_part.startswith("|")
    return False


class Steps:
    """Finds the steps by what the blocks around them decided, and tells the frames of blocks that had ended."""

    def __init__(self, frames: Frames, decisions: Decisions) -> None:
        self._decisions = decisions
        self._teller = Teller(frames, decisions)

    def of(self, plan: Plan) -> list[Reached]:
        """All of a plan."""
        return list(self._sequence(plan.blocks, ROOT, "", ()))

    def within(self, block: Block, frame: Frame, place: str) -> list[Reached]:
        """Those of one block, in the item it stands in."""
        return list(self._block(block, frame, place, ()))

    def _sequence(self, blocks: Sequence[Block], frame: Frame, place: str, at: Place) -> Iterator[Reached]:
        for index, block in enumerate(blocks):
            yield from self._block(block, frame, f"{place}/{index}", (*at, str(index)))

    def _block(self, block: Block, frame: Frame, place: str, at: Place) -> Iterator[Reached]:
        match block:
            case Step(loop=None):
                yield Reached(Unit(block, frame), at)
            case Step():
                for item, inner in self._items(block, frame, place, at):
                    yield Reached(Unit(block, item), inner)
            case Group(loop=None):
                yield from self._sequence(block.blocks, frame, f"{place}/steps", (*at, "steps"))
                yield from self._sequence(block.alternative, frame, f"{place}/else", (*at, "else"))
            case Group():
                for item, inner in self._items(block, frame, place, at):
                    yield from self._sequence(block.blocks, item, f"{place}/item", inner)
                yield from self._sequence(block.alternative, frame, f"{place}/else", (*at, "else"))
            case Parallel():
                for number, branch in enumerate(block.branches):
                    yield from self._block(branch, frame, f"{place}/{number}", (*at, f"|{number}"))
        self._tell(block, frame, place)

    def _items(self, block: Step | Group, frame: Frame, place: str, at: Place) -> Iterator[tuple[Frame, Place]]:
        listed = self._decisions.recorded(f"{place}/items", frame.key)
        for key, item in () if listed is None else listed.items:
            yield frame.inner(block.path, key, item), (*at, f"|{key}")

    def _tell(self, block: Block, frame: Frame, place: str) -> None:
        recorded = self._decisions.recorded(place, frame.key)
        if recorded is not None and recorded.ended is not None:
            self._teller.ended(block, frame, place, recorded)

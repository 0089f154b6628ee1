"""Which steps an expression can read, told from where both stand: what has run before it, in its own line of work.

Places are paths of the file. A block's path says all about its place: `("steps", 2, "else", 0)` is the first block of
the alternative of the third.
"""

from collections.abc import Collection
from enum import StrEnum

from request_models.yaml_source import Path

_LISTS = frozenset({"steps", "else", "parallel"})


class Reach(StrEnum):
    """How a step stands to a place that reads it; only `BEFORE` can be read."""

    BEFORE = "before"
    ITSELF = "itself"
    AROUND = "around"
    AFTER = "after"
    OTHER_BRANCH = "other branch"
    OTHERWISE = "otherwise"
    IN_LOOP = "in loop"


def reach(place: Path, block: Path, loops: Collection[Path]) -> Reach:
    """How the block at `block` stands to the block at `place`; `loops` are the paths of blocks with `for_each`.

    `place` is the path of the block that reads, or of something that is evaluated before all steps (`("values", ...)`)
    or after them (any other path).
    """
    if not place or place[0] != "steps":
        return Reach.AFTER if place and place[0] in BEFORE_STEPS else _from_outside(block, (), loops)
    shared = _shared(place, block)
    if shared == block:
        return Reach.ITSELF if shared == place else Reach.AROUND
    if shared == place:
        return Reach.AFTER  # the group's own `when` or `for_each` reads what is in the group
    mine, other = place[len(shared) : len(shared) + 2], block[len(shared) : len(shared) + 2]
    if mine[0] != other[0]:
        return Reach.OTHERWISE
    if mine[0] == "parallel":
        return Reach.OTHER_BRANCH
    if int(other[1]) > int(mine[1]):
        return Reach.AFTER
    return _from_outside(block, shared, loops)


BEFORE_STEPS = frozenset(
    {"values", "prerequisites", "approvals", "starts", "locks", "inputs", "eligible", "notify", "triggers"}
)
"""Keys of a model whose expressions read no step."""


def _from_outside(block: Path, shared: Path, loops: Collection[Path]) -> Reach:
    """What is in a loop is read from outside only through the loop's `items`."""
    inner = [block[:length] for length in range(len(shared) + 2, len(block), 2)]
    return Reach.IN_LOOP if any(path in loops for path in inner) else Reach.BEFORE


def _shared(first: Path, second: Path) -> Path:
    """The longest path of a block, or of the model, that both are in."""
    length = 0
    while first[length : length + 2] == second[length : length + 2] and length < min(len(first), len(second)):
        if first[length] not in _LISTS:
            break
        length += 2
    return first[:length]

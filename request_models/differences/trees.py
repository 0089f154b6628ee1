"""Where the blocks of a plan stand, and which blocks of two plans are the same one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from request_models.differences.words import names, same
from request_models.plan import Block, Group, Parallel, Step, steps_of


@dataclass(frozen=True)
class Place:
    """A block and where it stands: in which part (`blocks`, `alternative`, `branches`) of which block, and after what.

    `key` names the block in its own plan: its path, or a number for one without an id. `inside` is empty at the top.
    """

    key: str
    block: Block
    inside: str = ""
    part: str = "blocks"


@dataclass(frozen=True)
class Matched:
    """The blocks of two plans: `partners` are the keys of before by the keys of now."""

    before: Mapping[str, Place]
    after: Mapping[str, Place]
    partners: Mapping[str, str]


def matched(before: Sequence[Block], after: Sequence[Block]) -> Matched:
    """Find the blocks of before again: by id; a step that does exactly the same; a group by most of its steps."""
    was = {place.key: place for place in _places(before, "", "blocks")}
    now = {place.key: place for place in _places(after, "", "blocks")}
    partners = {key: key for key, place in now.items() if key in was and _alike(was[key], place) and place.block.path}
    for wanted in (_same_step, _overlap):
        for key, place in now.items():
            left = [one for one in was.values() if one.key not in partners.values() and _alike(one, place)]
            best = max(left, key=lambda one: wanted(one.block, place.block), default=None)
            if key not in partners and best is not None and wanted(best.block, place.block) > 0:
                partners[key] = best.key
    return Matched(was, now, partners)


def say_block(block: Block) -> str:
    """What a block is called: a step or a group by its id, the others by what is in them."""
    if isinstance(block, Step):
        return f"`{block.path}`"
    kind = "the group" if isinstance(block, Group) else "the parallel block"
    if block.path:
        return f"{kind} `{block.path}`"
    return f"{kind} of {names(step.path for step in steps_of([block])) or 'nothing'}"


def parts_of(block: Block) -> Iterator[tuple[str, tuple[Block, ...]]]:
    """What stands in a block, by the name of the field."""
    match block:
        case Group(blocks=blocks, alternative=alternative):
            yield "blocks", blocks
            yield "alternative", alternative
        case Parallel(branches=branches):
            yield "branches", branches
        case _:
            return


def _places(blocks: Sequence[Block], inside: str, part: str) -> Iterator[Place]:
    for index, block in enumerate(blocks):
        key = block.path or f"{inside}/{part}/{index}"
        yield Place(key, block, inside, part)
        for name, inner in parts_of(block):
            yield from _places(inner, key, name)


def _alike(one: Place, other: Place) -> bool:
    return type(one.block) is type(other.block)


def _same_step(one: Block, other: Block) -> float:
    if not isinstance(one, Step) or not isinstance(other, Step):
        return 0.0
    return float(same(replace(one, path="", title={}), replace(other, path="", title={})))


def _overlap(one: Block, other: Block) -> float:
    """The share of steps that two groups have in common; none for steps, and for two groups of other names."""
    if isinstance(one, Step) or isinstance(other, Step):
        return 0.0
    was, now = ({step.path for step in steps_of([block])} for block in (one, other))
    return len(was & now) / max(len(was | now), 1) or (0.01 if same(one, other) else 0.0)

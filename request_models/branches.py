"""The ways a model may go: what its examples should show, each at its place in the file.

A step is done; a condition holds or does not; a loop has no, one or many items; an answer is refused by `expect`, or
ends polling by `fails`; a failure goes another way than to `hold`; somebody may not order; an input or an approval is
asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.resolved import (
    Resolved,
    ResolvedBlock,
    ResolvedGroup,
    ResolvedParallel,
    ResolvedRead,
    ResolvedStep,
    blocks_of,
    loop_of,
)
from request_models.yaml_source import Path

UNTESTED_BRANCH = "untested-branch"


class Way(StrEnum):
    """What is to be seen of a branch."""

    DONE = "done"
    HOLDS = "when true"
    HOLDS_NOT = "when false"
    NO_ITEM = "no item"
    ONE_ITEM = "one item"
    MANY_ITEMS = "many items"
    REFUSED = "refused"
    FAILS = "fails"
    FAILED = "failed"
    NOT_ELIGIBLE = "not eligible"
    GIVEN = "given"
    NOT_GIVEN = "not given"
    ASKED = "asked"
    NOT_ASKED = "not asked"


_SAID = {
    Way.DONE: "{name} is never done",
    Way.HOLDS: "the condition of {name} never holds",
    Way.HOLDS_NOT: "the condition of {name} always holds",
    Way.NO_ITEM: "the loop {name} is never without an item",
    Way.ONE_ITEM: "the loop {name} never has exactly one item",
    Way.MANY_ITEMS: "the loop {name} never has several items",
    Way.REFUSED: "what {name} expects is always so",
    Way.FAILS: "the polling of {name} is never ended by `fails`",
    Way.FAILED: "{name} never fails, so `on_failure` is never taken",
    Way.NOT_ELIGIBLE: "nobody is ever refused by {name}",
    Way.GIVEN: "{name} is never asked and given",
    Way.NOT_GIVEN: "{name} is always given",
    Way.ASKED: "{name} is never asked",
    Way.NOT_ASKED: "{name} is always asked",
}
_KEYS = {
    Way.HOLDS: "when", Way.HOLDS_NOT: "when", Way.NO_ITEM: "for_each", Way.ONE_ITEM: "for_each",
    Way.MANY_ITEMS: "for_each", Way.REFUSED: "expect", Way.FAILS: "fails", Way.FAILED: "on_failure",
    Way.GIVEN: "when", Way.NOT_GIVEN: "when", Way.NOT_ASKED: "when",
}  # fmt: skip


@dataclass(frozen=True)
class Branch:
    """One way. `path` is where what branches stands in the file, and `place` where it stands in the plan's tree.

    `name` is for people. `steps` are the ids of the steps concerned: the step itself, or all those in the block.
    `own`: it is a way of that one step, and not of a block around it.
    """

    way: Way
    path: Path
    name: str
    place: str = ""
    steps: tuple[str, ...] = ()
    own: bool = False

    @property
    def at(self) -> Path:
        """The path of the key that makes the branch."""
        return (*self.path, _KEYS[self.way]) if self.way in _KEYS else self.path

    def untested(self) -> Finding:
        """The warning that no example goes this way."""
        message = f"{_SAID[self.way].format(name=self.name)} in an example"
        return Finding(self.at, UNTESTED_BRANCH, message, severity=Severity.WARNING, on_key=self.way in _KEYS)


def branches_of(resolved: Resolved) -> tuple[Branch, ...]:
    """Every way of a model, in the order written."""
    found = [*_before(resolved)]
    for index, block in enumerate(resolved.blocks):
        found += _block(block, f"/{index}")
    for number, look in enumerate(resolved.verify, start=1):
        found += _read(look, f"verify.{number}")
    if resolved.document.on_failure == "undo":
        steps = tuple(step.id for step in resolved.steps)
        found.append(Branch(Way.FAILED, (), "the request", "", steps))
    return tuple(found)


def no_examples() -> Finding:
    """The warning that a model has no examples at all."""
    hint = "write `examples:`, each with what is `given` and what must `then` come of it"
    return Finding(("model",), UNTESTED_BRANCH, "this model has no examples", hint, Severity.WARNING)


def _before(resolved: Resolved) -> Iterator[Branch]:
    eligible = resolved.document.eligible
    for who in ("requester", "user"):
        if eligible is not None and getattr(eligible, who) is not None:
            yield Branch(Way.NOT_ELIGIBLE, ("eligible", who), f"`eligible.{who}`", who)
    for name, one in resolved.inputs.items():
        if one.when is not None:
            given = Branch(Way.GIVEN, ("inputs", name), f"input `{name}`", name)
            yield from (given, replace(given, way=Way.NOT_GIVEN))
    for read in resolved.prerequisites:
        yield from _read(read, f"prerequisites.{read.id}")
    for index, approval in enumerate(resolved.document.approvals):
        branch = Branch(Way.ASKED, ("approvals", index), f"the approval `{approval.id}`", approval.id)
        yield branch
        if approval.when is not None:
            yield replace(branch, way=Way.NOT_ASKED)


def _read(read: ResolvedRead, place: str) -> Iterator[Branch]:
    name = f"`{place}`"
    if read.uses:
        yield Branch(Way.DONE, read.path, name, place, (place,))
    if read.expect is not None:
        yield Branch(Way.REFUSED, read.path, name, place, (place,))


def _block(block: ResolvedBlock, place: str) -> Iterator[Branch]:
    name = _name(block)
    steps = tuple(one.id for one in blocks_of((block,)) if isinstance(one, ResolvedStep))

    def branch(way: Way) -> Branch:
        return Branch(way, block.path, name, place, steps, own=isinstance(block, ResolvedStep))

    if isinstance(block, ResolvedStep):
        yield branch(Way.DONE)
    if block.when is not None:
        yield branch(Way.HOLDS)
        yield branch(Way.HOLDS_NOT)
    if loop_of(block) is not None:
        yield from (branch(way) for way in (Way.NO_ITEM, Way.ONE_ITEM, Way.MANY_ITEMS))
    if isinstance(block, ResolvedStep) and block.expect is not None:
        yield branch(Way.REFUSED)
    if isinstance(block, ResolvedStep) and block.fails is not None:
        yield branch(Way.FAILS)
    if block.document.on_failure != "hold":
        yield branch(Way.FAILED)
    yield from _inside(block, place)


def _inside(block: ResolvedBlock, place: str) -> Iterator[Branch]:
    """The ways of what is in a block; the places are those the walk records decisions at."""
    match block:
        case ResolvedGroup():
            inner = f"{place}/item" if block.loop is not None else f"{place}/steps"
            yield from _all(block.blocks, inner)
            yield from _all(block.alternative, f"{place}/else")
        case ResolvedParallel():
            yield from _all(block.branches, place)
        case ResolvedStep():
            pass


def _all(blocks: Sequence[ResolvedBlock], place: str) -> Iterator[Branch]:
    for index, block in enumerate(blocks):
        yield from _block(block, f"{place}/{index}")


def _name(block: ResolvedBlock) -> str:
    match block:
        case ResolvedStep():
            return f"step `{block.id}`"
        case ResolvedGroup():
            return f"group `{block.id}`" if block.id else "this group"
        case ResolvedParallel():
            return f"block `{block.id}`" if block.id else "this parallel block"

"""What the stage `resolved` knows of a model: the tree of blocks, calls with their specs, places that read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from request_models.actions import ActionCatalogue, ActionSpec
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.loading import ModelSource
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text
from request_models.schema import ModelDocument
from request_models.scope_types import ROOTS
from request_models.step_documents import (
    CallDocument,
    ChoicesDocument,
    GroupDocument,
    ParallelDocument,
    PrerequisiteDocument,
    StepDocument,
    UndoActionDocument,
    VerifyDocument,
)
from request_models.surroundings import Surroundings
from request_models.yaml_source import Path


@dataclass(frozen=True)
class Targets:
    """What a call says about the system it acts on: each member's node, and where it is written."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class ResolvedCall:
    """One call with its action's spec, None when there is no such action (or none is called)."""

    path: Path
    document: CallDocument
    spec: ActionSpec | None
    arguments: MapOf
    target: Targets
    hosts: Node | None
    expect: Expression | None
    otherwise: Node | None
    until: Expression | None
    fails: Expression | None

    @property
    def uses(self) -> str:
        """The name of the action; empty for a prerequisite that calls none."""
        return self.document.uses or ""


@dataclass(frozen=True)
class ResolvedUndo(ResolvedCall):
    """One action of an undo. `hosts` and `target` may be the step's."""

    document: UndoActionDocument
    when: Expression | None


@dataclass(frozen=True)
class ResolvedLoop:
    """The loop of a step or group; `items` is None when the expression cannot be read."""

    path: Path
    items: Expression | None
    key: Expression | None
    concurrency: int


@dataclass(frozen=True)
class ResolvedStep(ResolvedCall):
    """One step. `index` is its place among all steps, in the order written."""

    index: int
    document: StepDocument
    when: Expression | None
    loop: ResolvedLoop | None
    undo: tuple[ResolvedUndo, ...] = ()

    @property
    def id(self) -> str:
        """The step's id."""
        return self.document.id


@dataclass(frozen=True)
class ResolvedGroup:
    """A group of blocks."""

    path: Path
    document: GroupDocument
    when: Expression | None
    loop: ResolvedLoop | None
    blocks: tuple["ResolvedBlock", ...]
    alternative: tuple["ResolvedBlock", ...]

    @property
    def id(self) -> str | None:
        """The group's id, if it has one."""
        return self.document.id


@dataclass(frozen=True)
class ResolvedParallel:
    """A parallel block."""

    path: Path
    document: ParallelDocument
    when: Expression | None
    branches: tuple["ResolvedBlock", ...]

    @property
    def id(self) -> str | None:
        """The block's id, if it has one."""
        return self.document.id


ResolvedBlock = ResolvedStep | ResolvedGroup | ResolvedParallel


@dataclass(frozen=True)
class ResolvedRead(ResolvedCall):
    """A prerequisite (it has an `id`) or a look of `verify`."""

    document: PrerequisiteDocument | VerifyDocument

    @property
    def id(self) -> str | None:
        """The prerequisite's id; None for a look of `verify`."""
        return self.document.id if isinstance(self.document, PrerequisiteDocument) else None


@dataclass(frozen=True)
class ResolvedChoices(ResolvedCall):
    """What an input may be."""

    input: str
    choices: ChoicesDocument
    select: Expression | None


@dataclass(frozen=True)
class ResolvedInput:
    """What the language adds to an input."""

    path: Path
    when: Expression | None = None
    choices: ResolvedChoices | None = None


@dataclass(frozen=True)
class ResolvedOutput:
    """One output."""

    path: Path
    name: str
    value: Node
    url: Node | None


@dataclass(frozen=True)
class Place:
    """One value outside steps, where it stands, and what kind of place that is.

    `role` is `value`, `condition`, `text`, `approvers`, `moment`, `lock`, `recipient`, `input`.
    """

    path: Path
    role: str
    node: Node


@dataclass(frozen=True)
class Resolved:
    """A model whose parts are found. `broken` are places whose expressions could not be read, told in `findings`.

    `places` are the values outside steps and outputs: of eligibility, approvals, `starts`, locks, notices, triggers and
    the lease.
    """

    source: ModelSource
    surroundings: Surroundings
    inputs: Mapping[str, ResolvedInput]
    values: Mapping[str, Node]
    prerequisites: tuple[ResolvedRead, ...]
    blocks: tuple[ResolvedBlock, ...]
    verify: tuple[ResolvedRead, ...]
    outputs: tuple[ResolvedOutput, ...]
    places: tuple[Place, ...]
    findings: tuple[Finding, ...] = ()
    broken: frozenset[Path] = frozenset()

    @property
    def document(self) -> ModelDocument:
        """The document as loaded."""
        return self.source.document

    @property
    def actions(self) -> ActionCatalogue:
        """The actions there are."""
        return self.surroundings.actions

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """The settings that models may read."""
        return self.surroundings.settings

    @cached_property
    def all_blocks(self) -> tuple[ResolvedBlock, ...]:
        """Every block, in the order written, a group before what is in it."""
        return tuple(blocks_of(self.blocks))

    @cached_property
    def steps(self) -> tuple[ResolvedStep, ...]:
        """Every step, whatever it is nested in, in the order written."""
        return tuple(block for block in self.all_blocks if isinstance(block, ResolvedStep))

    @cached_property
    def calls(self) -> tuple[ResolvedCall, ...]:
        """Every call of an action."""
        undos = [undo for step in self.steps for undo in step.undo]
        choices = [one.choices for one in self.inputs.values() if one.choices is not None]
        return (*choices, *self.prerequisites, *self.steps, *undos, *self.verify)

    @cached_property
    def loops(self) -> frozenset[Path]:
        """The paths of the blocks with `for_each`."""
        return frozenset(block.path for block in self.all_blocks if loop_of(block) is not None)

    def step(self, identifier: str) -> ResolvedStep | None:
        """The first step of an id."""
        return next((step for step in self.steps if step.id == identifier), None)

    def block(self, identifier: str) -> ResolvedBlock | None:
        """The first block of an id."""
        return next((block for block in self.all_blocks if block.id == identifier), None)

    def to_json(self) -> dict[str, JsonValue]:
        """The stage `resolved`: each call's action, and what every expression reads."""
        return {
            "model": self.document.model,
            "calls": [
                {
                    "at": "/".join(map(str, call.path)),
                    "uses": call.uses,
                    "effect": None if call.spec is None else str(call.spec.effect),
                    "contract": None if call.spec is None else call.spec.contract,
                }
                for call in self.calls
            ],
            "reads": {"/".join(map(str, site.path)): [*site.node.reads] for site in sites(self) if site.node.reads},
        }


def loop_of(block: ResolvedBlock) -> ResolvedLoop | None:
    """The loop of a block, if it is one."""
    return None if isinstance(block, ResolvedParallel) else block.loop


def blocks_of(blocks: tuple[ResolvedBlock, ...]) -> Iterator[ResolvedBlock]:
    """Some blocks and all that is in them, in the order written."""
    for block in blocks:
        yield block
        match block:
            case ResolvedGroup():
                yield from blocks_of(block.blocks)
                yield from blocks_of(block.alternative)
            case ResolvedParallel():
                yield from blocks_of(block.branches)
            case ResolvedStep():
                pass


@dataclass(frozen=True)
class Site:
    """An expression or text, where it stands, and which names are in scope there.

    `block` is the path of the block it belongs to, or of what it is outside steps: it says which steps can be read.
    `roots` are the names that can be read, `facts` the prerequisites whose answers are there.
    """

    path: Path
    node: Expression | Text
    block: Path
    roots: frozenset[str]
    facts: frozenset[str] = frozenset()
    value: str | None = None


_EVERYWHERE = frozenset(ROOTS)
_ASKED = frozenset({"inputs", "requester", "user", "settings"})
_EVENT = frozenset({"event", "settings"})
_ANSWERED = frozenset({"args", "result"})


def sites(resolved: Resolved) -> Iterator[Site]:
    """Every expression and text of the model."""
    facts = frozenset(read.id for read in resolved.prerequisites if read.id is not None and read.uses)
    for name, one in resolved.inputs.items():
        yield from _input_sites(name, one)
    for name, node in resolved.values.items():
        yield from _sites(
            node, ("values", name), Site(("values", name), Text(""), ("values", name), _EVERYWHERE, value=name)
        )
    known: frozenset[str] = frozenset()
    for read in resolved.prerequisites:
        yield from _call_sites(read, _at(read.path, _EVERYWHERE, known))
        known |= {read.id} if read.id is not None and read.uses else set()
    for place in resolved.places:
        yield from _sites(place.node, place.path, _at(place.path, *_scope_of(place, facts)))
    for block in resolved.blocks:
        yield from _block_sites(block, _EVERYWHERE, facts)
    for look in resolved.verify:
        yield from _call_sites(look, _at(look.path, _EVERYWHERE, facts))
    for output in resolved.outputs:
        site = _at(output.path, _EVERYWHERE, facts)
        yield from _sites(output.value, (*output.path, "value"), site)
        yield from _sites(output.url, (*output.path, "url"), site)


def _scope_of(place: Place, facts: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    match place.path[0]:
        case "triggers":
            return _EVENT, frozenset()
        case "eligible" | "notify":
            return _EVERYWHERE, frozenset()
        case _:
            return _EVERYWHERE, facts


def _at(block: Path, roots: frozenset[str], facts: frozenset[str]) -> Site:
    return Site(block, Text(""), block, roots, facts)


def _input_sites(name: str, one: ResolvedInput) -> Iterator[Site]:
    site = _at(("inputs", name), _ASKED, frozenset())
    yield from _sites(one.when, (*one.path, "when"), site)
    if one.choices is not None:
        yield from _call_sites(one.choices, site)
        answered = replace(site, roots=site.roots | _ANSWERED)
        yield from _sites(one.choices.select, (*one.choices.path, "select"), answered)


def _block_sites(block: ResolvedBlock, roots: frozenset[str], facts: frozenset[str]) -> Iterator[Site]:
    outside = _at(block.path, roots, facts)
    loop = loop_of(block)
    yield from _sites(None if loop is None else loop.items, (*block.path, "for_each"), outside)
    if loop is None:
        yield from _sites(block.when, (*block.path, "when"), outside)
        inside = outside
    else:
        inside = replace(outside, roots=roots | {"item"})
        # The condition of a loop on a step is asked of each item; that of a group, once.
        each = isinstance(block, ResolvedStep)
        yield from _sites(block.when, (*block.path, "when"), inside if each else outside)
        yield from _sites(loop.key, (*block.path, "key"), inside)
    match block:
        case ResolvedStep():
            yield from _call_sites(block, inside)
            for undo in block.undo:
                undone = replace(inside, roots=inside.roots | _ANSWERED)
                yield from _sites(undo.when, (*undo.path, "when"), undone)
                yield from _call_sites(undo, undone)
        case ResolvedGroup():
            for inner in (*block.blocks, *block.alternative):
                yield from _block_sites(inner, inside.roots, facts)
        case ResolvedParallel():
            for inner in block.branches:
                yield from _block_sites(inner, inside.roots, facts)


def _call_sites(call: ResolvedCall, site: Site) -> Iterator[Site]:
    answered = replace(site, roots=site.roots | _ANSWERED)
    yield from _sites(call.arguments, (*call.path, "with"), site)
    for name, node in call.target.nodes.items():
        yield from _sites(node, call.target.paths[name], site)
    yield from _sites(call.hosts, (*call.path, "hosts"), site)
    for key in ("expect", "otherwise", "until", "fails"):
        yield from _sites(getattr(call, key), (*call.path, key), answered)


def _sites(node: Node | None, path: Path, like: Site) -> Iterator[Site]:
    match node:
        case Expression() | Text():
            yield replace(like, path=path, node=node)
        case ListOf(items=items):
            for index, item in enumerate(items):
                yield from _sites(item, (*path, index), like)
        case MapOf(members=members):
            for key, member in members.items():
                yield from _sites(member, (*path, key), like)
        case Literal() | None:
            pass

"""What the stage `typed` knows of a model: every value with its type, where it stands, and what is wrong in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from request_models.diagnostics import Severity
from request_models.inference import Problem
from request_models.json_schema import as_json
from request_models.json_values import JsonValue
from request_models.plan import Expression, Node, Text
from request_models.resolved import (
    Place,
    Resolved,
    ResolvedCall,
    ResolvedChoices,
    ResolvedRead,
    ResolvedStep,
    ResolvedUndo,
)
from request_models.type_algebra import any_secret, join, of_bounded_size, options, say_type, with_secrecy
from request_models.value_types import AnyType, Member, ObjectType, OmitType, ValueType
from request_models.yaml_source import Path


@dataclass(frozen=True)
class TypedNode:
    """A value of the model with its type. `members` and `items` are set for maps and lists that hold expressions.

    `outcome` is what a condition comes out as, where that is known before anything runs.
    """

    path: Path
    node: Node
    type: ValueType
    problems: tuple[Problem, ...] = ()
    members: Mapping[str, "TypedNode"] | None = None
    items: tuple["TypedNode", ...] | None = None
    outcome: bool | None = None

    @property
    def wrong(self) -> bool:
        """Whether an error was found in it, so that nothing further is worth saying."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    @property
    def may_be_omitted(self) -> bool:
        """Whether it may come out as `omit`."""
        return any(isinstance(option, OmitType) for option in options(self.type))

    @cached_property
    def given_type(self) -> ValueType | None:
        """Its type when it is not omitted, as JSON; None when it always is."""
        kept = [option for option in options(self.type) if not isinstance(option, OmitType)]
        return of_bounded_size(as_json(join(kept))) if kept else None

    def walk(self) -> Iterator["TypedNode"]:
        """The node and all below it."""
        yield self
        for child in (*(self.members or {}).values(), *(self.items or ())):
            yield from child.walk()


@dataclass(frozen=True)
class TypedTargets:
    """The members of a call's target."""

    nodes: Mapping[str, TypedNode] = field(default_factory=dict)


@dataclass(frozen=True)
class TypedCall:
    """One call, typed. `conditions` are those of it that must be true or false, by the key they stand under."""

    resolved: ResolvedCall
    arguments: TypedNode
    target: TypedTargets
    hosts: TypedNode | None
    otherwise: TypedNode | None
    conditions: Mapping[str, TypedNode]
    result: ValueType

    def nodes(self) -> Iterator[TypedNode]:
        """All typed values of the call."""
        yield self.arguments
        yield from self.target.nodes.values()
        yield from (node for node in (self.hosts, self.otherwise) if node is not None)
        yield from self.conditions.values()


@dataclass(frozen=True)
class TypedUndo(TypedCall):
    """One action of an undo, typed; `hosts` is None when they are the step's own."""

    resolved: ResolvedUndo


@dataclass(frozen=True)
class TypedStep(TypedCall):
    """One step, typed."""

    resolved: ResolvedStep
    undo: tuple[TypedUndo, ...]


@dataclass(frozen=True)
class TypedRead(TypedCall):
    """A prerequisite or a look of `verify`, typed."""

    resolved: ResolvedRead


@dataclass(frozen=True)
class TypedChoices(TypedCall):
    """The choices of an input, typed."""

    resolved: ResolvedChoices
    select: TypedNode | None


@dataclass(frozen=True)
class TypedLoop:
    """The loop of a block: the list, and what names an item."""

    items: TypedNode | None
    key: TypedNode | None


@dataclass(frozen=True)
class TypedOutput:
    """One output, typed."""

    name: str
    path: Path
    value: TypedNode
    url: TypedNode | None


@dataclass(frozen=True)
class TypedPlace:
    """A value outside steps and outputs, typed."""

    place: Place
    node: TypedNode


@dataclass(frozen=True)
class Typed:
    """A model whose every value has a type. In `value_order` each value reads only those before it.

    `whens` and `loops` are those of blocks, by the block's path; `asked` the conditions of inputs by name.
    """

    resolved: Resolved
    inputs: ObjectType
    asked: Mapping[str, TypedNode]
    choices: Mapping[str, TypedChoices]
    values: Mapping[str, TypedNode]
    value_order: tuple[str, ...]
    prerequisites: tuple[TypedRead, ...]
    places: Mapping[Path, TypedPlace]
    steps: tuple[TypedStep, ...]
    whens: Mapping[Path, TypedNode]
    loops: Mapping[Path, TypedLoop]
    verify: tuple[TypedRead, ...]
    outputs: tuple[TypedOutput, ...]

    @cached_property
    def calls(self) -> tuple[TypedCall, ...]:
        """Every call, undo included."""
        undos = [undo for step in self.steps for undo in step.undo]
        return (*self.choices.values(), *self.prerequisites, *self.steps, *undos, *self.verify)

    def conditions(self) -> Iterator[TypedNode]:
        """All that must be true or false."""
        yield from self.asked.values()
        yield from self.whens.values()
        yield from (place.node for place in self.places.values() if place.place.role == "condition")
        for call in self.calls:
            yield from call.conditions.values()

    def nodes(self) -> Iterator[TypedNode]:
        """All typed values of the model."""
        yield from self.asked.values()
        yield from self.values.values()
        yield from (place.node for place in self.places.values())
        yield from self.whens.values()
        for loop in self.loops.values():
            yield from (node for node in (loop.items, loop.key) if node is not None)
        for call in self.calls:
            yield from call.nodes()
        yield from (one.select for one in self.choices.values() if one.select is not None)
        for output in self.outputs:
            yield output.value
            if output.url is not None:
                yield output.url

    def to_json(self) -> dict[str, JsonValue]:
        """The stage `typed`: for each place with an expression its source, type and secrecy."""
        leaves = [leaf for node in self.nodes() for leaf in node.walk() if isinstance(leaf.node, Expression | Text)]
        return {
            "model": self.resolved.document.model,
            "types": {
                "/".join(map(str, leaf.path)): {
                    "source": leaf.node.source if isinstance(leaf.node, Expression | Text) else "",
                    "type": say_type(leaf.type),
                    "secret": any_secret(leaf.type),
                }
                for leaf in leaves
            },
        }

    def output_types(self) -> ObjectType:
        """What whoever orders this model from another gets: its outputs by name."""
        document = self.resolved.document.outputs
        members = {
            output.name: Member(
                type=with_secrecy(output.value.given_type or AnyType(), document[output.name].secret),
                required=not output.value.may_be_omitted,
            )
            for output in self.outputs
        }
        return ObjectType(members=members)

"""What is known where an expression stands: the types of names, what must be guarded, and which conditions hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from jinja2 import nodes

from request_models.value_types import ValueType


@dataclass(frozen=True)
class Condition:
    """A condition that holds, known by one way of writing it."""

    text: str
    tree: nodes.Node = field(compare=False)

    @cached_property
    def names(self) -> frozenset[str]:
        """The first names of all it reads."""
        own = {self.tree.name} if isinstance(self.tree, nodes.Name) else set()
        return frozenset({name.name for name in self.tree.find_all(nodes.Name)} | own)


@dataclass(frozen=True)
class Facts:
    """What is known where an expression stands: paths that are there, conditions that hold, types made narrower."""

    present: frozenset[tuple[str, ...]] = frozenset()
    holds: frozenset["Condition"] = frozenset()
    narrowed: Mapping[tuple[str, ...], ValueType] = field(default_factory=dict)

    def without(self, names: Iterable[str]) -> "Facts":
        """What is still known where the names stand for something else."""
        present = frozenset(path for path in self.present if path[0] not in names)
        holds = frozenset(one for one in self.holds if not one.names & set(names))
        return Facts(present, holds, {path: kind for path, kind in self.narrowed.items() if path[0] not in names})

    def __or__(self, other: "Facts") -> "Facts":
        narrowed = {**self.narrowed, **other.narrowed}
        return Facts(self.present | other.present, self.holds | other.holds, narrowed)


@dataclass(frozen=True)
class TypeScope:
    """The types of the names in scope.

    `guards` are paths that may be absent (a result of a step with `when`, an optional input), each with the conditions
    that, when they all hold, make sure it is there; None where only `is defined` helps.
    """

    names: Mapping[str, ValueType]
    guards: Mapping[tuple[str, ...], frozenset["Condition"] | None] = field(default_factory=dict)
    facts: Facts = Facts()

    def knowing(self, facts: Facts) -> "TypeScope":
        """The scope where more is known."""
        return replace(self, facts=self.facts | facts)

    def hiding(self, names: Mapping[str, ValueType]) -> "TypeScope":
        """The scope where names stand for something else: nothing is known of them beside their type."""
        guards = {path: needed for path, needed in self.guards.items() if path[0] not in names}
        return TypeScope({**self.names, **names}, guards, self.facts.without(names))

    def with_names(self, names: Mapping[str, ValueType]) -> "TypeScope":
        """The scope with further names."""
        return replace(self, names={**self.names, **names})


def conjuncts(tree: nodes.Node) -> frozenset["Condition"]:
    """The conditions that all hold when this one does, each in one way of writing."""
    if isinstance(tree, nodes.And):
        return conjuncts(tree.left) | conjuncts(tree.right)
    return frozenset({Condition(repr(tree), tree)})


def negated(tree: nodes.Node) -> frozenset["Condition"]:
    """The condition that holds when this one does not, in the same way of writing as `conjuncts`."""
    if isinstance(tree, nodes.Not):
        return conjuncts(tree.node)
    opposite = nodes.Not(tree)
    return frozenset({Condition(repr(opposite), opposite)})

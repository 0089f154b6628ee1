"""Where a value of a model comes from: whether somebody outside of it may choose its text."""

from collections.abc import Callable, Sequence

from request_models.plan import Expression, Text
from request_models.scope_types import PERSON
from request_models.type_algebra import item_of, member_of
from request_models.typed import Typed, TypedCall, TypedNode
from request_models.value_types import AnyType, Member, ObjectType, ValueType

Harmless = Callable[[ValueType], bool]
"""Whether any value of a type may come from outside."""


class Origins:
    """Follows what an expression of one call reads; for that of an undo, the call is the step's."""

    def __init__(self, typed: Typed, call: TypedCall, within: frozenset[str] = frozenset()) -> None:
        self._typed = typed
        self._call = call
        self._within = within  # the values it came through, which may read one another in a circle by mistake
        self._steps = {step.resolved.id: step for step in typed.steps}
        facts = {str(read.resolved.id): Member(type=read.result) for read in typed.prerequisites}
        self._types = {
            "inputs": typed.inputs, "requester": PERSON, "user": PERSON, "facts": ObjectType(members=facts)
        }  # fmt: skip

    def outside(self, node: TypedNode, harmless: Harmless) -> tuple[TypedNode, str] | None:
        """The first part of a value that may be any text from outside, and the name it reads that from.

        Inputs, persons, events and results of steps are outside, unless their type is harmless. Through values and
        arguments of steps the search goes on.
        """
        for leaf in node.walk():
            if isinstance(leaf.node, Expression | Text) and not harmless(leaf.given_type or AnyType()):
                for name in leaf.node.reads:
                    source = self._source(name, harmless)
                    if source is not None:
                        return leaf, source
        return None

    def _source(self, name: str, harmless: Harmless) -> str | None:
        root, *rest = name.split(".")
        if root in self._types:
            return self._typed_as(self._types[root], rest, name, harmless)
        match root:
            case "settings" | "request" | "loop":  # the operator's, and the engine's
                return None
            case "values" if rest and rest[0] in self._typed.values:
                return self._of_value(rest[0], harmless)
            case "item":
                return self._of_item(rest, name, harmless)
            case "args" | "result":
                return self._of_call(self._call, [root, *rest], name, harmless)
            case "steps" if rest and rest[0] in self._steps:
                return self._of_call(self._steps[rest[0]], rest[1:], name, harmless)
            case _:
                return name

    def _of_call(self, call: TypedCall, rest: Sequence[str], name: str, harmless: Harmless) -> str | None:
        if rest and rest[0] == "state":
            return None
        members = call.arguments.members or {}
        if len(rest) > 1 and rest[0] == "args" and rest[1] in members:
            found = Origins(self._typed, call, self._within).outside(members[rest[1]], harmless)
            return None if found is None else found[1]
        if rest and rest[0] == "result":
            return self._typed_as(call.result, rest[1:], name, harmless)
        return name

    def _of_item(self, rest: Sequence[str], name: str, harmless: Harmless) -> str | None:
        """An item of the nearest loop around the call: harmless by its type, or by what the list is made of."""
        place = self._call.resolved.path
        around = [path for path in self._typed.loops if place[: len(path)] == path]
        items = self._typed.loops[max(around, key=len)].items if around else None
        kind = None if items is None else item_of(items.type)
        if items is None or kind is None:
            return name
        if self._typed_as(kind, rest, name, harmless) is None:
            return None
        found = self.outside(items, harmless)
        return None if found is None else found[1]

    def _of_value(self, value: str, harmless: Harmless) -> str | None:
        if value in self._within:
            return None
        inner = Origins(self._typed, self._call, self._within | {value})
        found = inner.outside(self._typed.values[value], harmless)
        return None if found is None else found[1]

    @staticmethod
    def _typed_as(kind: ValueType, rest: Sequence[str], name: str, harmless: Harmless) -> str | None:
        for part in rest:
            member = member_of(kind, part)
            if member is None:
                return name
            kind = member.type
        return None if harmless(kind) else name

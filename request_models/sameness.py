"""Whether two calls act on the same thing: their arguments come from the same place, by whatever way."""

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import nodes

from request_models.expression_syntax import chain_of, parse_expression, parse_text
from request_models.json_values import canonical_json
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text
from request_models.typed import Typed, TypedCall, TypedStep, TypedUndo

_MOST_HOPS = 20


@dataclass(frozen=True)
class Thing:
    """A thing of a system, by the arguments that name it (in one way of writing), and where it is."""

    service: str
    names: tuple[tuple[str, str], ...]
    place: str


class Sources:
    """Where the arguments of a model's calls come from, through arguments, values and results."""

    def __init__(self, typed: Typed) -> None:
        self._typed = typed
        self._steps = {step.resolved.id: step for step in typed.steps}

    def removed(self, step: TypedStep, undo: TypedUndo) -> Thing | None:
        """The thing that is gone once an undo of a step ran; None where none is known to be."""
        spec = undo.resolved.spec
        if spec is None or not spec.removes:
            return None
        members = undo.resolved.arguments.members
        if not all(name in members for name in spec.removes):
            return None
        names = tuple((name, self._written(members[name], step)) for name in spec.removes)
        return Thing(_service(undo), names, self._place(undo, step))

    def acts_on(self, step: TypedStep, undo: TypedUndo, thing: Thing) -> bool:
        """Whether an undo of a step acts on a thing: it gives the same to the same arguments of the same service."""
        members = undo.resolved.arguments.members
        return (
            _service(undo) == thing.service
            and self._place(undo, step) == thing.place
            and all(name in members and self._written(members[name], step) == what for name, what in thing.names)
        )

    def _place(self, undo: TypedUndo, step: TypedStep) -> str:
        hosts = undo.resolved.hosts
        target = {name: self._written(node, step) for name, node in sorted(undo.resolved.target.nodes.items())}
        return f"{target} {'' if hosts is None else self._written(hosts, step)}"

    def _written(self, node: Node, step: TypedStep, hops: int = 0) -> str:
        """A value in one way of writing: two that are written alike are the same."""
        match node:
            case Literal(value=value):
                return canonical_json(value).decode()
            case Expression(source=source):
                return self._part(parse_expression(source), step, hops)
            case Text(source=source):
                return self._part(parse_text(source), step, hops)
            case ListOf(items=items):
                return f"[{','.join(self._written(item, step, hops) for item in items)}]"
            case MapOf(members=members):
                return f"{{{','.join(f'{key}:{self._written(item, step, hops)}' for key, item in members.items())}}}"

    def _part(self, part: object, step: TypedStep, hops: int) -> str:
        if isinstance(part, nodes.Node):
            chain = chain_of(part)
            if chain is not None:
                return self._path(chain, step, hops)
            fields = ",".join(self._part(value, step, hops) for _, value in part.iter_fields())
            return f"{type(part).__name__}({fields})"
        if isinstance(part, list):
            return f"[{','.join(self._part(one, step, hops) for one in part)}]"
        return repr(part)

    def _path(self, chain: tuple[str, ...], step: TypedStep, hops: int) -> str:
        match chain:
            case ("args", name, *rest):
                return self._through(step.resolved.arguments.members, name, rest, step, hops)
            case ("steps", identifier, "args", name, *rest) if identifier in self._steps:
                other = self._steps[identifier]
                return self._through(other.resolved.arguments.members, name, rest, other, hops)
            case ("values", name, *rest):
                return self._value(name, rest, step, hops)
            case ("result", *rest):
                return ".".join(("steps", step.resolved.id, "result", *rest))
            case ("item", *rest):
                return ".".join((f"item of {self._loop(step)}", *rest))
            case _:
                return ".".join(chain)

    def _through(self, members: Mapping[str, Node], name: str, rest: list[str], step: TypedStep, hops: int) -> str:
        """What stands in an argument of a step, or its path where only a part of it is read."""
        if name in members and not rest and hops < _MOST_HOPS:
            return self._written(members[name], step, hops + 1)
        return ".".join(("steps", step.resolved.id, "args", name, *rest))

    def _value(self, name: str, rest: list[str], step: TypedStep, hops: int) -> str:
        values = self._typed.resolved.values
        if name in values and not rest and hops < _MOST_HOPS:
            return self._written(values[name], step, hops + 1)
        return ".".join(("values", name, *rest))

    def _loop(self, step: TypedCall) -> str:
        """The nearest loop that a step is in: its items are those of `item`."""
        place = step.resolved.path
        around = [path for path in self._typed.loops if place[: len(path)] == path]
        return str(max(around, key=len)) if around else ""


def _service(undo: TypedUndo) -> str:
    """`aws.s3` of `aws.s3.delete_bucket`, `http` of `http.delete`."""
    return undo.resolved.uses.rpartition(".")[0]

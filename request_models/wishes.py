"""What the expressions of a model read of the answers they get, and what they hope to find there.

An example's steps answer by themselves with so much that the model goes through: members that are read are there, and
what a condition compares with a literal has that value where the condition holds.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Final, TypeGuard

from jinja2 import nodes

from request_models.expression_syntax import chain_of, parse_expression
from request_models.json_values import JsonValue
from request_models.plan import Call, Expression, Plan, Step, Text

Chain = tuple[str, ...]


@dataclass(frozen=True)
class Wishes:
    """What is hoped for in a value: members by name, so many items, or one of these values (the first that fits)."""

    members: Mapping[str, "Wishes"] = field(default_factory=dict)
    values: tuple[JsonValue, ...] = ()
    items: int = 0

    def at(self, chain: Chain, wish: "Wishes") -> "Wishes":
        """These wishes, with one more for what is at a path of names."""
        if not chain:
            members = dict(self.members)
            for name, inner in wish.members.items():
                members[name] = members.get(name, NO_WISHES).at((), inner)
            return Wishes(members, self.values + wish.values, max(self.items, wish.items))
        inner = self.members.get(chain[0], NO_WISHES).at(chain[1:], wish)
        return replace(self, members={**self.members, chain[0]: inner})


NO_WISHES: Final = Wishes()


def wishes_of(plan: Plan) -> dict[str, Wishes]:
    """What the plan hopes for in each answer: by the path of a step, `prerequisites.ID` or `verify.N`."""
    found: dict[str, Wishes] = {}

    def wish(path: str, chain: Chain, wished: Wishes) -> None:
        found[path] = found.get(path, NO_WISHES).at(chain, wished)

    for path, call in _answers(plan):
        for chain, wished in _own(call):
            wish(path, chain, wished)
    for site in _sites(plan):
        for path, chain in _elsewhere(site):
            wish(path, chain, NO_WISHES)
    return found


def _answers(plan: Plan) -> Iterator[tuple[str, Call]]:
    yield from ((step.path, step) for step in plan.steps)
    yield from ((read.path, read) for read in (*plan.prerequisites, *plan.verify))


def _own(call: Call) -> Iterator[tuple[Chain, Wishes]]:
    """What a call's own conditions, and its undo, hope for in its `result`."""
    for condition in (call.expect, None if call.polling is None else call.polling.until):
        if condition is not None:
            yield from (
                (chain[1:], wished)
                for chain, wished in _hopes(parse_expression(condition.source))
                if chain[0] == "result"
            )
    undo = call.undo if isinstance(call, Step) else None
    for site in _sites([call.otherwise, undo]):
        for read in site.reads:
            first, *rest = read.split(".")
            if first == "result":
                yield tuple(rest), NO_WISHES


def _elsewhere(site: Expression | Text) -> Iterator[tuple[str, Chain]]:
    """Which answers an expression reads by the names of steps and facts."""
    for read in site.reads:
        match read.split("."):
            case ["steps", step, "result", *rest]:
                yield step, tuple(rest)
            case ["facts", fact, *rest]:
                yield f"prerequisites.{fact}", tuple(rest)
            case _:
                pass
    if isinstance(site, Expression):
        yield from _of_items(parse_expression(site.source))


def _of_items(tree: nodes.Node) -> Iterator[tuple[str, Chain]]:
    """What `steps.LOOP.items | map(attribute='result.x')` reads of the step, or of the steps in the group."""
    for found in tree.find_all(nodes.Filter):
        base: nodes.Node | None = found
        while isinstance(base, nodes.Filter):
            base = base.node
        chain = None if base is None else chain_of(base)
        if chain is None or len(chain) != 3 or (chain[0], chain[2]) != ("steps", "items"):
            continue
        for said in _texts(found):
            match said.split("."):
                case ["result", *rest]:
                    yield chain[1], tuple(rest)
                case ["steps", step, "result", *rest]:
                    yield step, tuple(rest)
                case _:
                    pass


def _texts(found: nodes.Filter) -> Iterator[str]:
    """The texts given to a filter."""
    for given in (*found.args, *(keyword.value for keyword in found.kwargs)):
        if isinstance(given, nodes.Const) and isinstance(given.value, str):
            yield given.value


def _hopes(tree: nodes.Node) -> Iterator[tuple[Chain, Wishes]]:
    """What makes a condition true, as far as that can be seen: comparisons with literals, and what is true or there."""
    match tree:
        case nodes.And(left=left, right=right):
            yield from _hopes(left)
            yield from _hopes(right)
        case nodes.Or(left=left):
            yield from _hopes(left)
        case nodes.Not(node=inner):
            yield from _plain(inner, Wishes(values=(False,)))
        case nodes.Compare(expr=left, ops=[nodes.Operand(op=operator, expr=right)]):
            yield from _compared(left, operator, right)
        case nodes.Test(node=inner, name="defined"):
            yield from _plain(inner, NO_WISHES)
        case _:
            yield from _plain(tree, Wishes(values=(True,)))


def _plain(tree: nodes.Node, wished: Wishes) -> Iterator[tuple[Chain, Wishes]]:
    chain = chain_of(tree)
    if chain is not None:
        yield chain, wished
    else:
        for inner in tree.iter_child_nodes():
            yield from _plain(inner, NO_WISHES)


def _compared(left: nodes.Expr, operator: str, right: nodes.Expr) -> Iterator[tuple[Chain, Wishes]]:
    values = tuple(_values(operator, right))
    if isinstance(left, nodes.Filter) and left.name in {"length", "count"} and left.node is not None:
        yield from _plain(left.node, Wishes(items=max((one for one in values if _is_count(one)), default=0)))
    else:
        yield from _plain(left, Wishes(values=values))
        yield from _plain(right, NO_WISHES)


def _values(operator: str, right: nodes.Expr) -> Iterator[JsonValue]:
    match operator, right:
        case "eq" | "gteq" | "lteq", nodes.Const(value=value):
            yield value
        case "gt", nodes.Const(value=int() as value):
            yield value + 1
        case "lt", nodes.Const(value=int() as value):
            yield value - 1
        case "in", nodes.List(items=items) | nodes.Tuple(items=items):
            yield from (item.value for item in items if isinstance(item, nodes.Const))
        case _:
            pass


def _is_count(value: JsonValue) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value <= 100


def _sites(part: object) -> Iterator[Expression | Text]:
    """Every expression and text in some part of a plan."""
    if isinstance(part, Expression | Text):
        yield part
    elif isinstance(part, Mapping):
        for inner in part.values():
            yield from _sites(inner)
    elif is_dataclass(part) and not isinstance(part, type):
        for one in fields(part):
            yield from _sites(getattr(part, one.name))
    elif isinstance(part, Iterable) and not isinstance(part, str | bytes):
        for inner in part:
            yield from _sites(inner)

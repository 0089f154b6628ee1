"""Ansible's templates, read and never rendered: which variables reach a text, and whether `quote` was applied to them.

Jinja2 only parses here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from jinja2 import Environment, TemplateError, nodes

from connectors.runbook.ansible_yaml import Verbatim

_ENVIRONMENT = Environment(trim_blocks=True)  # noqa: S701 - nothing is rendered by it


class Form(IntEnum):
    """How a variable's text arrives. Where it arrives in two ways the lower, the worse, counts."""

    ALTERED = 0
    """Worked on: if it was quoted before, it may be so no more."""
    AS_IT_IS = 1
    QUOTED = 2


Flow = Mapping[str, Form]
"""The variables whose text may be in a value, and how."""

NOTHING: Flow = {}


@dataclass(frozen=True)
class Piece:
    """One expression of a template. `within` is the shell's quote that is open around it, or empty."""

    flow: Flow
    within: str = ""


_HARMLESS = frozenset(
    {"abs", "b64encode", "bool", "checksum", "count", "float", "hash", "int", "length", "md5", "round", "sha1", "sum",
     "to_uuid", "type_debug", "urlencode"}
)  # fmt: skip
"""Filters whose result means nothing more to a shell, whatever they are given."""
_KEEPS_ITEMS = frozenset(
    {"combine", "d", "default", "dict2items", "difference", "first", "flatten", "intersect", "items", "join", "last",
     "list", "mandatory", "max", "min", "random", "reject", "rejectattr", "reverse", "select", "selectattr", "shuffle",
     "slice", "sort", "string", "trim", "union", "unique", "zip"}
)  # fmt: skip
"""Filters that leave each text in what they are given as it is."""
_ONLY_ASKS = frozenset({"difference", "intersect", "join", "reject", "rejectattr", "select", "selectattr", "sort"})
"""Of these, the ones whose arguments are no part of the result."""
_LOOKUPS = frozenset({"lookup", "query", "q"})
_LOOKUPS_OF_ITEMS = frozenset(
    {"cartesian", "dict", "first_found", "flattened", "indexed_items", "items", "list", "nested", "random_choice",
     "subelements", "together"}
)  # fmt: skip


@lru_cache(maxsize=4096)
def pieces(text: str) -> tuple[Piece, ...]:
    """The expressions of a template, in order; empty for a text without any, and for one that Jinja2 cannot read."""
    tree = _tree(text)
    return () if tree is None else tuple(_Reading().body(tree.body))


@lru_cache(maxsize=4096)
def piped(text: str) -> Flow:
    """What reaches a command that the template itself starts: `lookup('pipe', ...)`."""
    tree = _tree(text) if "pipe" in text else None
    calls = () if tree is None else tree.find_all(nodes.Call)
    return _worst(*(_flow(part, {}) for call in calls if _lookup(call) == "pipe" for part in call.args[1:]))


def _tree(text: str) -> nodes.Template | None:
    if isinstance(text, Verbatim) or ("{{" not in text and "{%" not in text):
        return None
    try:
        return _ENVIRONMENT.parse(text)
    except (TemplateError, RecursionError):
        return None


class _Reading:
    """Goes through a template in order, and knows which of the shell's quotes is open."""

    def __init__(self) -> None:
        self._within = ""
        self._local: dict[str, Flow] = {}

    def body(self, statements: list[nodes.Node]) -> Iterator[Piece]:
        for statement in statements:
            match statement:
                case nodes.Output(nodes=parts):
                    yield from self._output(parts)
                case nodes.Assign(target=nodes.Name(name=name), node=value):
                    self._local[name] = _flow(value, self._local)
                case nodes.For(target=target, iter=over, body=inner, else_=otherwise):
                    for item in [target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name):
                        self._local[item.name] = _flow(over, self._local)
                    yield from self.body([*inner, *otherwise])
                case _:
                    yield from self.body(list(statement.iter_child_nodes()))

    def _output(self, parts: list[nodes.Expr]) -> Iterator[Piece]:
        for part in parts:
            if isinstance(part, nodes.TemplateData):
                self._within = _quote_open_after(part.data, self._within)
            else:
                yield Piece(_flow(part, self._local), "" if self._within == "#" else self._within)


def _quote_open_after(text: str, within: str) -> str:
    """The quote that is open behind a text of a shell; `#` stands for a comment."""
    before, skip = " ", False
    for character in text:
        if skip:
            skip = False
        elif within == "#":
            within = "" if character == "\n" else "#"
        elif character == "\\" and within != "'":
            skip = True
        elif within:
            within = "" if character == within else within
        elif character in "'\"" or (character == "#" and before.isspace()):
            within = character
        before = character
    return within


def _worst(*flows: Flow) -> Flow:
    merged: dict[str, Form] = {}
    for flow in flows:
        for name, form in flow.items():
            merged[name] = min(form, merged.get(name, form))
    return merged


def _all_as(form: Form, flow: Flow) -> Flow:
    return dict.fromkeys(flow, form)


def _flow(node: nodes.Node | None, local: Mapping[str, Flow]) -> Flow:
    named = _named_variable(node)
    if named is not None:
        return local.get(named, {named: Form.AS_IT_IS})
    match node:
        case nodes.Filter():
            return _filtered(node, local)
        case nodes.Call():
            return _called(node, local)
        case nodes.Getattr(node=inner) | nodes.Getitem(node=inner) | nodes.Pair(value=inner):
            return _flow(inner, local)
        case nodes.CondExpr(expr1=one, expr2=other):
            return _worst(_flow(one, local), _flow(other, local))
        case nodes.Mod() | nodes.Mul():
            return _all_as(Form.ALTERED, _of_children(node, local))
        case nodes.And() | nodes.Or() | nodes.Add() | nodes.Concat() | nodes.List() | nodes.Tuple() | nodes.Dict():
            return _of_children(node, local)
        case _:  # tests and comparisons are true or false, other arithmetic gives numbers
            return NOTHING


def _named_variable(node: nodes.Node | None) -> str | None:
    """The variable in `x`, `vars['x']`, `hostvars[...].x` and `hostvars[...]['x']`."""
    match node:
        case nodes.Name(name=str() as name):
            return name
        case nodes.Getitem(node=nodes.Name(name="vars"), arg=nodes.Const(value=str() as name)):
            return name
        case nodes.Getattr(node=nodes.Getitem(node=nodes.Name(name="hostvars")), attr=str() as name):
            return name
        case nodes.Getitem(node=nodes.Getitem(node=nodes.Name(name="hostvars")), arg=nodes.Const(value=str() as name)):
            return name
        case _:
            return None


def _of_children(node: nodes.Node, local: Mapping[str, Flow]) -> Flow:
    return _worst(*(_flow(child, local) for child in node.iter_child_nodes()))


def _filtered(node: nodes.Filter, local: Mapping[str, Flow]) -> Flow:
    given = _flow(node.node, local)
    name = node.name.rpartition(".")[2]
    arguments = node.args
    if name == "map":
        if not arguments or not isinstance(arguments[0], nodes.Const):
            return given if not arguments else _all_as(Form.ALTERED, given)  # map(attribute=...) picks
        name, arguments = str(arguments[0].value).rpartition(".")[2], arguments[1:]
    if name in _HARMLESS:
        return NOTHING
    if name == "quote":
        return _all_as(Form.QUOTED, given)
    more = _worst(*(_flow(argument, local) for argument in arguments))
    if name == "ternary":
        return more
    if name in _KEEPS_ITEMS:
        return given if name in _ONLY_ASKS else _worst(given, more)
    return _all_as(Form.ALTERED, _worst(given, more))


def _called(node: nodes.Call, local: Mapping[str, Flow]) -> Flow:
    lookup = _lookup(node)
    if lookup == "vars":
        named = (part.value for part in node.args[1:] if isinstance(part, nodes.Const))
        return {str(name): Form.AS_IT_IS for name in named}
    arguments = _worst(*(_flow(part, local) for part in (*node.args, *(pair.value for pair in node.kwargs))))
    if lookup is not None:
        return arguments if lookup in _LOOKUPS_OF_ITEMS else NOTHING
    if isinstance(node.node, nodes.Getattr):  # a method of a text
        return _all_as(Form.ALTERED, _worst(_flow(node.node.node, local), arguments))
    return _all_as(Form.ALTERED, arguments)


def _lookup(node: nodes.Call) -> str | None:
    """The name of the lookup that is called, None when it is none or not known."""
    if isinstance(node.node, nodes.Name) and node.node.name in _LOOKUPS and node.args:
        first = node.args[0]
        return str(first.value).removeprefix("ansible.builtin.") if isinstance(first, nodes.Const) else "?"
    return None

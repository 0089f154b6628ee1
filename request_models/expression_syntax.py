"""The published subset of Jinja2: parsing, and the allow list every node of an expression or text must be on.

Jinja2 only parses here. Nothing it compiles is ever run: `evaluation` interprets the tree.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

from jinja2 import Environment, TemplateError, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from request_models.errors import ExpressionSyntaxError
from request_models.scope_types import ROOTS

MAX_EXPRESSION = 10_000
"""Longest expression, in characters."""
MAX_TEXT = 64_000
"""Longest text with expressions in it, in characters."""
MAX_NESTING = 60
"""Deepest nesting of an expression's parts."""

_TAKEN = frozenset({*ROOTS, "loop", "omit"})

CALLS = frozenset({"duration"})
"""The functions an expression may call."""

_ENVIRONMENT = Environment(keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - nothing is rendered by it
_WHOLE = re.compile(r"\{\{(?P<inner>.*)\}\}", re.DOTALL)
_TEMPLATE_MARKS = re.compile(r"\{\{|\{%|\{#")

_EXPRESSION_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat, nodes.Filter, nodes.Test,
    nodes.Call, nodes.Keyword,
)  # fmt: skip
_TEXT_NODES: tuple[type[nodes.Node], ...] = (nodes.Template, nodes.Output, nodes.TemplateData)
_BLOCK_NODES: tuple[type[nodes.Node], ...] = (nodes.If, nodes.For)
_REFUSED_BECAUSE = {
    nodes.Pow: "the power operator `**` is left out: its result can grow without bound",
    nodes.Assign: "`set` is left out: give it a name under `values:`",
    nodes.AssignBlock: "`set` is left out: give it a name under `values:`",
    nodes.Include: "`include` is left out: a model is one file",
    nodes.Import: "`import` is left out: a model is one file",
    nodes.FromImport: "`import` is left out: a model is one file",
    nodes.Extends: "`extends` is left out: a model is one file",
    nodes.Macro: "macros are left out",
}


@lru_cache(maxsize=8192)
def parse_expression(source: str) -> nodes.Expr:
    """The tree of one expression without braces; raises ExpressionSyntaxError when it is not in the subset."""
    if len(source) > MAX_EXPRESSION:
        raise ExpressionSyntaxError(f"an expression may have {MAX_EXPRESSION} characters at most", source)
    if not source.strip():
        raise ExpressionSyntaxError("an expression is missing here", source)
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise ExpressionSyntaxError(
                f"`{parser.stream.current.value}` is not expected after the end of the expression",
                source,
                part=str(parser.stream.current.value),
            )
    except (TemplateError, RecursionError, ValueError, OverflowError) as error:
        raise _syntax_error(error, source) from None
    _refuse_what_is_not_listed(tree, source, _EXPRESSION_NODES)
    return tree


@lru_cache(maxsize=8192)
def parse_text(source: str) -> nodes.Template:
    """The tree of a text with `{{ ... }}` in it; block tags are allowed when it has more than one line.

    Raises ExpressionSyntaxError when it is not in the subset.
    """
    if len(source) > MAX_TEXT:
        raise ExpressionSyntaxError(f"a text with expressions may have {MAX_TEXT} characters at most", source)
    try:
        tree = _ENVIRONMENT.parse(source)
    except (TemplateError, RecursionError, ValueError, OverflowError) as error:
        raise _syntax_error(error, source) from None
    blocks = _BLOCK_NODES if "\n" in source else ()
    _refuse_what_is_not_listed(tree, source, _EXPRESSION_NODES + _TEXT_NODES + blocks)
    return tree


def has_template(text: str) -> bool:
    """Whether a text holds anything that is to be rendered."""
    return _TEMPLATE_MARKS.search(text) is not None


def whole_expression(text: str) -> str | None:
    """The source of the expression, when the text is exactly one `{{ ... }}`; None when it is anything else."""
    found = _WHOLE.fullmatch(text.strip())
    if found is None:
        return None
    body = parse_text(text.strip()).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or len(body[0].nodes) != 1:
        return None
    inner = found["inner"]
    inner = inner[1:] if inner.startswith(("-", "+")) else inner
    inner = inner[:-1] if inner.endswith(("-", "+")) else inner
    return inner.strip()


def literal_text(text: str) -> str | None:
    """The text itself when nothing in it is rendered (comments and `raw` blocks resolved), otherwise None."""
    parts: list[str] = []
    for output in parse_text(text).body:
        for part in output.nodes if isinstance(output, nodes.Output) else [output]:
            if not isinstance(part, nodes.TemplateData):
                return None
            parts.append(part.data)
    return "".join(parts)


def references(tree: nodes.Node) -> tuple[str, ...]:
    """The dotted names a tree reads (`inputs.region`, `steps.create.result.Location`), sorted, loop variables apart."""
    return tuple(sorted({".".join(chain) for chain in _chains(tree, frozenset())}))


def chain_of(node: nodes.Node) -> tuple[str, ...] | None:
    """The names of a plain path such as `steps.create.result` or `inputs['region']`; None for anything else."""
    match node:
        case nodes.Name(name=name):
            return (name,)
        case nodes.Getattr(node=base, attr=attribute):
            before = chain_of(base)
            return None if before is None else (*before, attribute)
        case nodes.Getitem(node=base, arg=nodes.Const(value=str() as key)):
            before = chain_of(base)
            return None if before is None else (*before, key)
        case _:
            return None


def _chains(node: nodes.Node, bound: frozenset[str]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, nodes.For):
        yield from _chains(node.iter, bound)
        inner = bound | {"loop", cast(nodes.Name, node.target).name}
        for child in [*node.body, *([node.test] if node.test is not None else [])]:
            yield from _chains(child, inner)
        for child in node.else_:
            yield from _chains(child, bound)
        return
    chain = chain_of(node)
    if chain is not None:
        if chain[0] not in bound and chain[0] != "omit":
            yield chain
        return
    if isinstance(node, nodes.Call):
        for argument in node.args:
            yield from _chains(argument, bound)
        return
    for child in node.iter_child_nodes():
        yield from _chains(child, bound)


def _syntax_error(error: Exception, source: str) -> ExpressionSyntaxError:
    if isinstance(error, TemplateSyntaxError):
        lines = source.split("\n")
        part = lines[error.lineno - 1].strip() if len(lines) > 1 and error.lineno <= len(lines) else ""
        return ExpressionSyntaxError(f"this is not a valid expression: {error.message}", source, part=part)
    if isinstance(error, RecursionError):
        return ExpressionSyntaxError("this is nested too deeply", source)
    return ExpressionSyntaxError(f"this is not a valid expression: {str(error)[:120]}", source)


def _refuse_what_is_not_listed(tree: nodes.Node, source: str, allowed: tuple[type[nodes.Node], ...]) -> None:
    pending: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_NESTING:
            raise ExpressionSyntaxError(f"this is nested deeper than {MAX_NESTING} levels", source)
        if type(node) not in allowed:
            raise _refused(node, source)
        _refuse_misuse(node, source)
        pending.extend((child, depth + 1) for child in node.iter_child_nodes())


def _refused(node: nodes.Node, source: str) -> ExpressionSyntaxError:
    if isinstance(node, _BLOCK_NODES):
        return ExpressionSyntaxError(
            "block tags are only for texts of several lines",
            source,
            hint="write `A if CONDITION else B`, or write the text over several lines (`|`)",
        )
    name = type(node).__name__.lower()
    return ExpressionSyntaxError(_REFUSED_BECAUSE.get(type(node), f"`{name}` is not part of the language"), source)


def _refuse_misuse(node: nodes.Node, source: str) -> None:
    match node:
        case nodes.Call(node=nodes.Name(name=name)) if name in CALLS:
            if len(node.args) != 1 or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
                raise ExpressionSyntaxError(f"`{name}` takes one argument: {name}('P1D')", source, part=name)
        case nodes.Call():
            what = ".".join(chain_of(node.node) or ("this",))
            raise ExpressionSyntaxError(
                f"`{what}()` cannot be called: an expression calls nothing but {', '.join(sorted(CALLS))}",
                source,
                hint="use a filter: `value | lower`",
                part=what,
            )
        case nodes.Filter() | nodes.Test() if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise ExpressionSyntaxError("`*` and `**` arguments are left out", source)
        case nodes.Filter(node=None):
            raise ExpressionSyntaxError("filter blocks are left out", source)
        case nodes.CondExpr(expr2=None):
            raise ExpressionSyntaxError("an `if` needs its `else`", source, hint="write `A if CONDITION else omit`")
        case nodes.Const(value=value):
            _refuse_constant(value, source)
        case nodes.Name(ctx="load", name=name) if name.startswith("_"):
            raise ExpressionSyntaxError(f"`{name}` is no name of the language", source, part=name)
        case nodes.For(recursive=True):
            raise ExpressionSyntaxError("recursive loops are left out", source)
        case nodes.For(target=target) if not isinstance(target, nodes.Name):
            raise ExpressionSyntaxError("a loop takes one variable: `{% for item in ... %}`", source)
        case nodes.For(target=nodes.Name(name=name)) if name in _TAKEN:
            raise ExpressionSyntaxError(f"`{name}` is a name of the language already", source, part=name)
        case _:
            pass


def _refuse_constant(value: object, source: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionSyntaxError("this number is too large", source)
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        hint = "write the character itself, or \\U and eight digits"
        raise ExpressionSyntaxError("this text holds half a character (a lone surrogate)", source, hint=hint)

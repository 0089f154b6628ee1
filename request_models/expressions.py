"""The expression language: a published subset of Jinja2 over JSON values and dates, rendered node by node.

`node_of` reads a value of a model into a tree of plan nodes, once; `render` fills a tree in with a scope. What a user
typed only ever travels in the scope, as data: it is never parsed.
"""

from collections.abc import Mapping

from request_models.errors import ExpressionError, ExpressionSyntaxError
from request_models.evaluation import Evaluator
from request_models.expression_functions import Work
from request_models.expression_syntax import (
    has_template,
    literal_text,
    parse_expression,
    parse_text,
    whole_expression,
)
from request_models.expression_syntax import references as _references
from request_models.json_values import JsonValue
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text
from request_models.scope_values import OMIT, Omitted, plain_value

__all__ = [
    "OMIT",
    "ExpressionError",
    "ExpressionSyntaxError",
    "Omitted",
    "evaluate",
    "expression_of",
    "node_of",
    "references",
    "render",
]


def evaluate(expression: Expression, scope: Mapping[str, object]) -> JsonValue:
    """The value of an expression in a scope, with its type; JSON values come out as they went in.

    Raises ExpressionError when a name is undefined, an operation does not fit its values, or a bound is passed; its
    message holds no value. An expression that yields `omit` is an error here: only `render` leaves out.
    """
    value = _evaluated(expression, scope, Work())
    if isinstance(value, Omitted):
        raise ExpressionError("there is nothing here that could be omitted", expression.source)
    return value


def render(node: Node, scope: Mapping[str, object]) -> "JsonValue | Omitted":
    """The value of a node in a scope: `OMIT` if it is left out, otherwise JSON with omitted members and items left out.

    What is rendered together shares one bound of work and size. Raises ExpressionError as `evaluate` does.
    """
    return _rendered(node, scope, Work())


def _rendered(node: Node, scope: Mapping[str, object], work: Work) -> "JsonValue | Omitted":
    match node:
        case Literal(value=value):
            return value
        case Expression():
            return _evaluated(node, scope, work)
        case Text(source=source):
            return Evaluator(scope, source, work).text(parse_text(source))
        case ListOf(items=items):
            rendered = [_rendered(item, scope, work) for item in items]
            return [value for value in rendered if not isinstance(value, Omitted)]
        case MapOf(members=members):
            filled = {key: _rendered(member, scope, work) for key, member in members.items()}
            return {key: value for key, value in filled.items() if not isinstance(value, Omitted)}


def references(expression: Expression | Text | str) -> tuple[str, ...]:
    """The dotted names an expression (without braces, if a str) or a text reads, sorted."""
    match expression:
        case str():
            return _references(parse_expression(expression))
        case Expression(source=source):
            return _references(parse_expression(source))
        case Text(source=source):
            return _references(parse_text(source))


def expression_of(source: str) -> Expression:
    """A bare expression (`when`, `expect`) as a node; raises ExpressionSyntaxError when it is not in the subset."""
    stripped = source.strip()
    if stripped.startswith("{{") or "{%" in stripped:
        raise ExpressionSyntaxError(
            "this place takes an expression without braces",
            source,
            hint=f"write `{stripped.removeprefix('{{').removesuffix('}}').strip()}`",
        )
    return Expression(stripped, _references(parse_expression(stripped)))


def node_of(value: JsonValue) -> Node:
    """A value of a model as a node: `{{ x }}` keeps its type, other texts with braces become text, the rest is literal.

    Raises ExpressionSyntaxError.
    """
    match value:
        case str() if has_template(value):
            return _text_node(value)
        case list():
            items = tuple(node_of(item) for item in value)
            literal = all(isinstance(item, Literal) for item in items)
            return Literal([item.value for item in items if isinstance(item, Literal)]) if literal else ListOf(items)
        case dict():
            members = {key: node_of(item) for key, item in value.items()}
            literal = all(isinstance(item, Literal) for item in members.values())
            plain = {key: item.value for key, item in members.items() if isinstance(item, Literal)}
            return Literal(plain) if literal else MapOf(members)
        case _:
            return Literal(value)


def _text_node(text: str) -> Node:
    source = whole_expression(text)
    if source is not None:
        return Expression(source, _references(parse_expression(source)))
    literal = literal_text(text)
    return Literal(literal) if literal is not None else Text(text, _references(parse_text(text)))


def _evaluated(expression: Expression, scope: Mapping[str, object], work: Work) -> "JsonValue | Omitted":
    value = Evaluator(scope, expression.source, work).expression(parse_expression(expression.source))
    return value if isinstance(value, Omitted) else plain_value(value)

"""What is known of an expression when compiling holds when it is evaluated: no surprise of types at run time."""

import re

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jinja2 import nodes

from expression_strategies import ANY_TYPES, Scene, expressions, scenes, templates
from request_models.diagnostics import Severity
from request_models.errors import ExpressionError, ExpressionSyntaxError
from request_models.expression_functions import truth
from request_models.expression_syntax import parse_expression, parse_text
from request_models.expressions import render
from request_models.inference import _Inference, infer, infer_text
from request_models.json_schema import as_json
from request_models.json_values import refuse_what_is_not_json
from request_models.plan import Expression, Text
from request_models.type_algebra import join, options
from request_models.type_scopes import TypeScope
from request_models.value_types import AnyType, ArrayType, ObjectType, OmitType, ValueType, check_value

AT_RUN_TIME = re.compile(
    r"^(there is no value here: )?`(?!inputs\.[a-e]`)[^`]*` is not defined$"
    r"|an item lacks the attribute|too much work|grows (too long|longer)|division by zero|too large|too deeply"
    r"|text is no (whole )?number|this is no date|duration\(\) takes text|beyond the calendar|whole days can be added"
    r"|this argument is a whole number up to|needs something to|below zero cannot be written"
)
"""What depends on values and not on their types: absent members, lengths, sizes, texts that are no date or number."""


class Watched(_Inference):
    """Notes whether anything was taken for any value: then its operations are checked at run time only."""

    def __init__(self, scope: TypeScope) -> None:
        super().__init__(scope)
        self.unknown = False

    def of(self, node: nodes.Node) -> ValueType:
        found = super().of(node)
        self.unknown = self.unknown or holds_any(found)
        return found

    def _path(self, node: nodes.Name | nodes.Getattr | nodes.Getitem, may_be_absent: bool = False) -> ValueType:
        found = super()._path(node, may_be_absent)
        self.unknown = self.unknown or holds_any(found)
        return found


def holds_any(kind: ValueType) -> bool:
    for option in options(kind):
        match option:
            case AnyType():
                return True
            case ArrayType(items=items):
                if holds_any(items):
                    return True
            case ObjectType(members=members, others=others):
                inner = [*(member.type for member in members.values()), *([others] if others is not None else [])]
                if any(map(holds_any, inner)):
                    return True
            case _:
                pass
    return False


def type_scope(scene: Scene) -> TypeScope:
    return TypeScope({"inputs": scene.type}, {("inputs", name): None for name in scene.optional})


def unknown_in(tree: nodes.Expr | nodes.Template, scene: Scene) -> bool:
    watched = Watched(type_scope(scene))
    if isinstance(tree, nodes.Template):
        watched.body(tree.body)
    else:
        watched.of(tree)
    return watched.unknown


def written_type(kind: ValueType) -> ValueType:
    kept = [option for option in options(kind) if not isinstance(option, OmitType)]
    return as_json(join(kept))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Scene, str]:
    scene = draw(scenes() | scenes(ANY_TYPES))
    return scene, draw(expressions(scene))


@st.composite
def text_cases(draw: st.DrawFn) -> tuple[Scene, str]:
    scene = draw(scenes())
    return scene, draw(templates(scene))


def check_expression(scene: Scene, source: str) -> None:
    try:
        tree = parse_expression(source)
    except ExpressionSyntaxError:
        event("refused by syntax")
        return
    found = infer(tree, type_scope(scene))
    try:
        value = render(Expression(source), scene.scope)
    except ExpressionError as error:
        if not found.problems and not unknown_in(tree, scene):
            event("fails as it may")
            refuse_surprise(error)
        return
    if any(problem.severity is Severity.ERROR for problem in found.problems):
        event("refused when compiling")
        return
    if found.outcome is not None:
        event("known when compiling")
        assert truth(value) is found.outcome, (value, found.type)
    event("has its type")
    if isinstance(value, str | int | float | list | dict) or value is None:
        refuse_what_is_not_json(value)
        wrong = check_value(written_type(found.type), value)
        assert wrong == [], (value, found.type)
    else:
        assert any(isinstance(option, OmitType) for option in options(found.type))


def refuse_surprise(error: ExpressionError) -> None:
    assert AT_RUN_TIME.search(error.message), error.message


FUZZ = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)


@FUZZ
@given(cases())
def test_an_expression_without_problems_has_its_type_or_fails_only_for_its_values(case: tuple[Scene, str]) -> None:
    check_expression(*case)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(FUZZ, max_examples=3000)
@given(cases())
def test_thousands_of_expressions_without_problems_have_their_types(case: tuple[Scene, str]) -> None:
    check_expression(*case)


@settings(FUZZ, max_examples=60)
@given(text_cases())
def test_a_text_without_problems_is_written_or_fails_only_for_its_values(case: tuple[Scene, str]) -> None:
    scene, source = case
    try:
        tree = parse_text(source)
    except ExpressionSyntaxError:
        return
    found = infer_text(tree, type_scope(scene))
    try:
        value = render(Text(source), scene.scope)
    except ExpressionError as error:
        if not found.problems and not unknown_in(tree, scene):
            refuse_surprise(error)
        return
    assert isinstance(value, str)

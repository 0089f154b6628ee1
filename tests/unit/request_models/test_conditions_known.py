"""What is known of conditions before anything runs: it holds for every value, and is not known of others by chance."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from request_models.expression_functions import truth
from request_models.expression_syntax import parse_expression
from request_models.expressions import evaluate
from request_models.inference import facts_if, infer
from request_models.plan import Expression
from request_models.type_scopes import TypeScope
from request_models.value_types import ArrayType, BooleanType, IntegerType, Member, ObjectType, StringType, UnionType

INPUTS = ObjectType(
    members={
        "place": Member(type=StringType(enum=("x", "y", "z")), required=True),
        "size": Member(type=IntegerType(minimum=0, maximum=4), required=True),
        "few": Member(type=IntegerType(enum=(1, 3)), required=True),
        "live": Member(type=BooleanType(), required=True),
        "note": Member(type=StringType(), required=False),
        "mixed": Member(type=UnionType(options=(IntegerType(minimum=1), StringType(enum=("x",)))), required=True),
    }
)
SCOPE = TypeScope({"inputs": INPUTS}, {("inputs", "note"): None})
VALUES = [
    {"place": place, "size": size, "few": few, "live": live, "mixed": mixed} | ({} if note is None else {"note": note})
    for place, size, few, live, note, mixed in product("xyz", range(5), (1, 3), (True, False), (None, "n"), (2, "x"))
]
ATOMS = [
    "inputs.live", "inputs.place == 'x'", "inputs.place != 'x'", "inputs.place in ['x', 'y']", "'z' == inputs.place",
    "inputs.place not in ['z']", "inputs.place in ['x', 'y', 'z']", "inputs.size > 2", "inputs.size >= 3",
    "inputs.size < 2", "inputs.size <= 4", "inputs.size == 1", "inputs.size != 1",
    "2 < inputs.size", "inputs.size > -1",
    "1 < inputs.size < 3", "inputs.few == 2", "inputs.few in [1, 3]", "inputs.few > 1", "inputs.few < inputs.size",
    "inputs.note is defined", "inputs.note is undefined", "inputs.place is defined", "inputs.size > 2.5",
    "inputs.size == 2.0", "inputs.mixed == 'x'", "inputs.mixed == 2", "inputs.mixed != 'x'", "true", "false",
    "inputs.place == 'x' if inputs.live else inputs.place != 'y'",
]  # fmt: skip


def conditions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(ATOMS),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda one: f"({one[0]}) {one[1]} ({one[2]})"),
            inner.map(lambda one: f"not ({one})"),
        ),
        max_leaves=5,
    )


def outcomes(source: str) -> set[bool]:
    return {truth(evaluate(Expression(source), {"inputs": inputs})) for inputs in VALUES}


@settings(deadline=None, max_examples=300)
@given(conditions())
def test_what_is_known_of_a_condition_holds_for_every_value(source: str) -> None:
    known = infer(parse_expression(source), SCOPE).outcome
    if known is not None:
        assert outcomes(source) == {known}


@settings(deadline=None, max_examples=300)
@given(conditions(), conditions())
def test_what_is_known_where_a_condition_holds_holds_for_every_value_that_comes_there(around: str, source: str) -> None:
    for holds in (True, False):
        scope = SCOPE.knowing(facts_if(parse_expression(around), SCOPE, holds))
        known = infer(parse_expression(source), scope).outcome
        for inputs in VALUES if known is not None else []:
            if truth(evaluate(Expression(around), {"inputs": inputs})) is holds:
                assert truth(evaluate(Expression(source), {"inputs": inputs})) is known


@pytest.mark.parametrize(
    "source",
    [
        "inputs.place == 'x' and inputs.place == 'y'",
        "inputs.place != 'x' and inputs.place != 'y' and inputs.place != 'z'",
        "inputs.size > 3 and inputs.size < 2",
        "inputs.size > 4",
        "inputs.few == 2",
        "inputs.live and not inputs.live",
        "not inputs.place is defined",
        "not (inputs.size > 1 or inputs.size <= 1)",
    ],
)
def test_what_can_never_be_is_known(source: str) -> None:
    assert outcomes(source) == {False}
    assert infer(parse_expression(source), SCOPE).outcome is False


def test_conditions_in_conditions_are_known_in_bounded_time() -> None:
    source = "inputs.size == 1"
    for _ in range(18):
        source = f"(1 if {source} else 2) == 1 and inputs.size < (inputs.size and 3)"
    assert infer(parse_expression(source), SCOPE).problems == ()


def test_an_item_of_one_loop_says_nothing_of_that_of_another() -> None:
    facts = facts_if(parse_expression("item.place == 'x' and inputs.live"), SCOPE)
    left = facts.without(("item",))
    assert [one.names for one in left.holds] == [frozenset({"inputs"})]
    assert not any(path[0] == "item" for path in left.narrowed)


def test_lists_of_known_items_are_searched_with_care() -> None:
    names = Member(type=ArrayType(items=StringType(enum=("x",))), required=True)
    scope = TypeScope({"inputs": ObjectType(members={"names": names})})
    assert infer(parse_expression("'x' in inputs.names"), scope).outcome is None

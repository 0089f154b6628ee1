"""Values made up for examples: they fit their types, hold what a model reads of them, and are the same every time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from request_models.example_values import completed, example_of
from request_models.json_values import JsonValue
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    IntegerType,
    LazyType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
    check_value,
)
from request_models.wishes import NO_WISHES, Wishes

TEXT = StringType()


def need(kind: ValueType) -> Member:
    return Member(type=kind, required=True)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (StringType(enum=("b", "a")), "b"),
        (StringType(min_length=10), "exampleeee"),
        (StringType(max_length=3), "exa"),
        (StringType(pattern="^vpc-[0-9a-f]+$|^i-[0-9a-f]{17}$"), "i-0123456789abcdef0"),
        (StringType(pattern="^[0-9]{12}$"), "123456789012"),
        (StringType(format="date-time"), "2030-01-07T09:00:00Z"),
        (StringType(format="uuid"), "00000000-0000-4000-8000-000000000001"),
        (DateTimeType(), "2030-01-07T09:00:00Z"),
        (IntegerType(minimum=3, maximum=9), 3),
        (IntegerType(maximum=-2), -2),
        (IntegerType(enum=(7, 8)), 7),
        (NumberType(minimum=-1.5), 0),
        (BooleanType(), False),
        (NullType(), None),
        (AnyType(), None),
        (ArrayType(items=TEXT), []),
        (ArrayType(items=TEXT, min_items=2, unique=True), ["example", "example-2"]),
        (ArrayType(items=StringType(enum=("a", "b")), min_items=2, unique=True), ["a", "b"]),
        (UnionType(options=(NullType(), TEXT)), "example"),
        (ObjectType(members={"Id": need(TEXT), "Note": Member(type=TEXT)}), {"Id": "Id"}),
    ],
    ids=repr,
)
def test_the_least_value_that_fits(kind: ValueType, value: JsonValue) -> None:
    assert example_of(kind) == value
    assert check_value(kind, value) == []


def test_what_is_wished_for_is_there_and_a_value_that_does_not_fit_is_passed_over() -> None:
    kind = ObjectType(
        members={
            "Status": Member(type=StringType(enum=("busy", "ready"))),
            "Size": Member(type=IntegerType()),
            "Nets": Member(type=ArrayType(items=TEXT)),
            "More": Member(type=AnyType()),
            "Other": Member(type=TEXT),
        }
    )
    wishes = (
        NO_WISHES.at(("Status",), Wishes(values=("ready",)))
        .at(("Size",), Wishes(values=("three",)))
        .at(("Nets",), Wishes(items=2))
        .at(("More", "deep", "id"), NO_WISHES)
    )
    made = example_of(kind, wishes)
    assert made == {"Status": "ready", "Size": 0, "Nets": ["Nets", "Nets"], "More": {"deep": {"id": "id"}}}
    assert check_value(kind, made) == []


def test_a_type_that_holds_itself_has_an_end() -> None:
    def again() -> ValueType:
        return ObjectType(members={"inner": need(LazyType(name="again", resolve=again))})

    assert "inner" in str(example_of(again()))


def test_what_is_left_out_is_filled_in_at_any_depth_and_what_is_said_stays() -> None:
    inner = ObjectType(members={"Id": need(TEXT), "Size": Member(type=IntegerType())})
    kind = ObjectType(members={"All": need(ArrayType(items=inner)), "Kind": need(TEXT)}, others=TEXT)
    assert completed(kind, {"All": [{"Size": 3}, {"Id": "x"}], "else": "y"}) == {
        "All": [{"Id": "Id", "Size": 3}, {"Id": "x"}],
        "Kind": "Kind",
        "else": "y",
    }
    assert completed(kind, "wrong") == "wrong"


_SIMPLE: st.SearchStrategy[ValueType] = st.one_of(
    st.builds(StringType, enum=st.none() | st.tuples(st.text(min_size=1))),
    st.integers(0, 30).flatmap(lambda least: st.builds(StringType, min_length=st.just(least))),
    st.integers().flatmap(lambda least: st.builds(IntegerType, minimum=st.just(least))),
    st.integers().flatmap(lambda most: st.builds(IntegerType, maximum=st.just(most))),
    st.just(BooleanType()),
    st.just(AnyType()),
    st.just(NullType()),
)
_TYPES: st.SearchStrategy[ValueType] = st.recursive(
    _SIMPLE,
    lambda inner: st.one_of(
        st.builds(ArrayType, items=inner, min_items=st.integers(0, 3)),
        st.dictionaries(st.text(max_size=5), inner.map(need), max_size=4).map(
            lambda members: ObjectType(members=members)
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: UnionType(options=tuple(some))),
    ),
    max_leaves=10,
)


@given(_TYPES)
def test_whatever_the_type_the_value_fits_it_and_is_the_same_again(kind: ValueType) -> None:
    made = example_of(kind)
    assert check_value(kind, made) == []
    assert example_of(kind) == made
    assert completed(kind, made) == made

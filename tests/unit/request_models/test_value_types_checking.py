"""Value types: values against types, types against types, and their translation from and to JSON Schema."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from request_models.assignability import Fit, assignment, mismatches
from request_models.errors import SchemaTranslationError
from request_models.json_schema import from_json_schema, to_json_schema
from request_models.json_values import JsonValue
from request_models.type_algebra import broad_type_of, join, type_of
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateType,
    IntegerType,
    LazyType,
    Member,
    Mismatch,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
    check_value,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)

whole = st.integers(min_value=-5, max_value=5)
types = st.recursive(
    st.builds(AnyType)
    | st.builds(NullType)
    | st.builds(BooleanType)
    | st.builds(IntegerType, minimum=st.none() | whole, maximum=st.none() | whole)
    | st.builds(NumberType, minimum=st.none() | whole, maximum=st.none() | whole)
    | st.builds(StringType, enum=st.none() | st.just(("a", "b")), min_length=st.none() | st.integers(0, 3)),
    lambda inner: (
        st.builds(ArrayType, items=inner, min_items=st.none() | st.integers(0, 2), unique=st.booleans())
        | st.builds(
            ObjectType,
            members=st.dictionaries(st.sampled_from("abc"), st.builds(Member, type=inner, required=st.booleans())),
            others=st.none() | inner,
        )
        | st.builds(UnionType, options=st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=6,
)


def obj(required: bool = True, others: ValueType | None = None, **members: ValueType) -> ObjectType:
    return ObjectType(
        members={name: Member(type=kind, required=required) for name, kind in members.items()}, others=others
    )


@pytest.mark.parametrize(
    ("kind", "value", "pointers"),
    [
        (IntegerType(), True, [""]),
        (IntegerType(), 1.0, [""]),
        (NumberType(), True, [""]),
        (NumberType(), 1, []),
        (BooleanType(), 1, [""]),
        (StringType(pattern="^a$"), "a\n", [""]),
        (StringType(pattern="^\\p{Lu}+$"), "ÄÖ", []),
        (StringType(pattern="(?<!"), "anything", []),
        (StringType(format="date"), "2026-02-30", [""]),
        (StringType(format="date-time"), "2026-02-28T10:00:00+01:00", []),
        (StringType(format="date-time"), "2026-02-28T10:00:00", [""]),
        (StringType(format="email"), "a@example.org", []),
        (StringType(format="email"), "a@exa mple", [""]),
        (StringType(format="byte"), "aGk=", []),
        (StringType(enum=("a",)), "b", [""]),
        (StringType(min_length=2, max_length=3), "ab\x00d", [""]),
        (ArrayType(items=StringType(), unique=True), ["a", "a"], [""]),
        (ArrayType(items=StringType(), max_items=1), ["a", 1], ["", "/1"]),
        (ObjectType(members={"a/b": Member(type=StringType())}), {"a/b": 1, "c": 2}, ["/a~1b", "/c"]),
        (obj(a=StringType()), {}, ["/a"]),
        (obj(others=IntegerType()), {"x": "y"}, ["/x"]),
        (UnionType(options=(StringType(), NullType())), None, []),
        (UnionType(options=(StringType(), NullType())), 1, [""]),
        (UnionType(options=(obj(a=StringType()), obj(b=IntegerType()))), {"b": "x"}, ["/b"]),
        (ObjectType(members={"n": Member(type=StringType(), required=True, aliases=("name",))}), {"name": "x"}, []),
        (LazyType(name="l", resolve=StringType), 1, [""]),
    ],
)
def test_a_value_is_held_to_its_type(kind: ValueType, value: JsonValue, pointers: list[str]) -> None:
    assert [mismatch.pointer for mismatch in check_value(kind, value)] == pointers


def test_mismatches_do_not_repeat_the_value() -> None:
    for kind in (
        IntegerType(),
        StringType(enum=("a",)),
        StringType(pattern="^x$"),
        StringType(format="date"),
        NullType(),
    ):
        assert all("s3cret" not in mismatch.message for mismatch in check_value(kind, "s3cret"))


@given(json_values)
def test_every_value_is_of_its_own_type(value: JsonValue) -> None:
    assert check_value(type_of(value), value) == []
    assert check_value(broad_type_of(value), value) == []
    assert assignment(type_of(value), AnyType()).fit is Fit.FITS


@given(types)
def test_every_type_fits_itself(kind: ValueType) -> None:
    assert mismatches(kind, kind) == ()


@given(types, types, json_values)
def test_a_value_of_a_type_that_fits_another_is_a_value_of_that_too(
    one: ValueType, other: ValueType, value: JsonValue
) -> None:
    if assignment(one, other).fit is Fit.FITS and not check_value(one, value):
        assert check_value(other, value) == []


@given(json_values, types)
def test_a_known_value_is_refused_when_compiling_only_if_it_is_wrong(value: JsonValue, kind: ValueType) -> None:
    answer = assignment(type_of(value), kind)
    if answer.fit is Fit.NEVER and isinstance(value, str | int | None | bool):
        assert check_value(kind, value)
    if not check_value(kind, value):
        assert answer.fit is not Fit.NEVER or not isinstance(value, str | int | None | bool)


@given(types, json_values)
def test_the_schema_of_a_type_allows_what_the_type_allows(kind: ValueType, value: JsonValue) -> None:
    schema = to_json_schema(kind)
    Draft202012Validator.check_schema(schema)
    if not check_value(kind, value):
        assert Draft202012Validator(schema).is_valid(value)


@given(types, json_values)
def test_a_type_comes_back_from_its_schema(kind: ValueType, value: JsonValue) -> None:
    assert bool(check_value(from_json_schema(to_json_schema(kind)), value)) == bool(check_value(kind, value))


@given(types, types, json_values)
def test_a_join_holds_the_values_of_both(one: ValueType, other: ValueType, value: JsonValue) -> None:
    if not check_value(one, value) or not check_value(other, value):
        assert check_value(join([one, other]), value) == []


@pytest.mark.parametrize(
    ("source", "target", "fit"),
    [
        (AnyType(), StringType(), Fit.RUN_TIME),
        (StringType(), StringType(pattern="^a$"), Fit.RUN_TIME),
        (StringType(pattern="^a$"), StringType(pattern="^a$"), Fit.FITS),
        (StringType(enum=("a", "b")), StringType(enum=("a",)), Fit.NEVER),
        (StringType(enum=("a",)), StringType(enum=("a", "b")), Fit.FITS),
        (StringType(enum=("abc",)), StringType(pattern="^[0-9]+$"), Fit.NEVER),
        (StringType(max_length=3), StringType(min_length=5), Fit.NEVER),
        (StringType(max_length=3), StringType(max_length=5), Fit.FITS),
        (StringType(), StringType(max_length=5), Fit.RUN_TIME),
        (IntegerType(minimum=1, maximum=5), IntegerType(minimum=0, maximum=9), Fit.FITS),
        (IntegerType(minimum=1, maximum=50), IntegerType(maximum=9), Fit.RUN_TIME),
        (IntegerType(minimum=10), IntegerType(maximum=9), Fit.NEVER),
        (IntegerType(), NumberType(), Fit.FITS),
        (NumberType(), IntegerType(), Fit.NEVER),
        (BooleanType(), IntegerType(), Fit.NEVER),
        (UnionType(options=(StringType(), NullType())), StringType(), Fit.NEVER),
        (StringType(), UnionType(options=(StringType(), NullType())), Fit.FITS),
        (DateType(), StringType(format="date"), Fit.FITS),
        (DateType(), StringType(format="date-time"), Fit.NEVER),
        (ArrayType(items=StringType()), ArrayType(items=IntegerType()), Fit.NEVER),
        (ArrayType(max_items=0), ArrayType(items=IntegerType()), Fit.FITS),
        (obj(a=StringType()), obj(a=StringType(), b=StringType()), Fit.NEVER),
        (obj(required=False, a=StringType()), obj(a=StringType()), Fit.RUN_TIME),
        (obj(a=StringType()), obj(), Fit.NEVER),
    ],
)
def test_whether_a_type_fits_has_three_answers(source: ValueType, target: ValueType, fit: Fit) -> None:
    assert assignment(source, target).fit is fit


def test_a_recursive_type_fits_itself_and_is_checked_to_any_depth() -> None:
    def tree(name: str) -> LazyType:
        return LazyType(name=name, resolve=lambda: obj(required=False, child=tree(name), value=IntegerType()))

    assert mismatches(tree("a"), tree("b")) == ()
    deep: JsonValue = {"value": "x"}
    for _ in range(30):
        deep = {"child": deep}
    assert check_value(tree("a"), deep) == [Mismatch("/child" * 30 + "/value", "must be a whole number, not text")]
    Draft202012Validator.check_schema(to_json_schema(tree("a")))


def test_the_names_of_members_that_are_not_known_have_a_type_too() -> None:
    kind = ObjectType(others=StringType(), keys=StringType(pattern="^[a-z]+$", min_length=2))
    assert check_value(kind, {"ab": "x"}) == []
    assert [wrong.pointer for wrong in check_value(kind, {"a": "x", "AB": "x"})] == ["/a", "/AB"]
    assert mismatches(obj(AB=StringType()), kind) != ()
    assert assignment(ObjectType(others=StringType()), kind).fit is Fit.RUN_TIME


def test_of_several_options_the_one_whose_names_are_given_says_what_is_wrong() -> None:
    one = obj(a=obj(x=StringType(), y=StringType(), z=StringType()))
    union = UnionType(options=(one, obj(b=StringType())))
    wrong = check_value(union, {"a": {"x": 1, "y": 1, "z": 1}})
    assert [mismatch.pointer for mismatch in wrong] == ["/a/x", "/a/y", "/a/z"]


def test_a_moment_that_is_none_in_utc_is_no_date_time() -> None:
    kind = StringType(format="date-time")
    assert check_value(kind, "0001-01-01T00:00:00Z") == []
    assert check_value(kind, "0001-01-01T00:00:00+01:00") != []
    assert check_value(kind, "9999-12-31T23:59:59-01:00") != []


def test_secrecy_is_seen_wherever_it_is() -> None:
    deep: ValueType = StringType(secret=True)
    for _ in range(60):
        deep = obj(a=deep)
    assert deep.holds_secret
    circle = LazyType(name="circle", resolve=lambda: obj(again=circle))
    assert not circle.holds_secret
    assert obj(a=ArrayType(items=StringType(secret=True))).holds_secret
    assert join([StringType(), IntegerType(secret=True)]).holds_secret
    assert not obj(a=StringType()).holds_secret
    assert from_json_schema({"type": "string", "writeOnly": True}) == StringType(secret=True)


@pytest.mark.parametrize(
    "schema", [3, {"type": "strin"}, {"type": "array", "items": 3}, {"type": "object", "properties": []}]
)
def test_a_schema_of_no_sense_is_refused(schema: JsonValue) -> None:
    with pytest.raises(SchemaTranslationError):
        from_json_schema(schema)


def test_exclusive_bounds_of_whole_numbers_become_inclusive() -> None:
    assert from_json_schema({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 5}) == IntegerType(
        minimum=2, maximum=4
    )
    assert from_json_schema({"type": "integer", "minimum": 0.5, "maximum": 4.5}) == IntegerType(minimum=1, maximum=4)

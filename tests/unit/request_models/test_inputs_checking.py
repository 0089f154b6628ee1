"""Inputs against the plan's schema: defaults, pointers, exact values."""

import pytest

from request_models.inputs import scope_inputs, validate_inputs
from request_models.json_values import JsonValue
from request_models.plan import Due, Owners, Plan
from request_models.planning import input_schema
from request_models.scope_values import DateText, DateTimeText


def plan(**inputs: dict[str, JsonValue]) -> Plan:
    return Plan(
        model="m",
        title={},
        kind="resource",
        service="s",
        summary={},
        owners=Owners("a"),
        due=Due(60),
        blocks=(),
        inputs=input_schema(inputs),
    )


PLAN = plan(
    project={"type": "string", "pattern": "^[a-z]{3,8}$"},
    size={"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
    ends={"type": "string", "format": "date", "required": False},
    key={"type": "string", "secret": True, "required": False, "minLength": 8},
    tags={"type": "array", "items": {"type": "string"}, "uniqueItems": True, "default": []},
    place={
        "type": "object",
        "properties": {"a/b": {"type": "string"}},
        "additionalProperties": False,
        "required": False,
    },
)


def test_defaults_are_filled_in_and_absent_inputs_stay_absent() -> None:
    assert validate_inputs(PLAN, {"project": "alpha"}) == ({"project": "alpha", "size": 3, "tags": []}, [])


@pytest.mark.parametrize(
    ("inputs", "problems"),
    [
        ({}, [("/project", "missing")]),
        ({"projct": "alpha"}, [("/projct", "unknown"), ("/project", "missing")]),
        ({"project": "alpha\n"}, [("/project", "value")]),
        ({"project": "al\x00ha"}, [("/project", "value")]),
        ({"project": 7}, [("/project", "type")]),
        ({"project": None}, [("/project", "type")]),
        ({"project": "alpha", "size": True}, [("/size", "type")]),
        ({"project": "alpha", "size": 2.0}, [("/size", "type")]),
        ({"project": "alpha", "size": 10}, [("/size", "value")]),
        ({"project": "alpha", "ends": "2026-02-30"}, [("/ends", "value")]),
        ({"project": "alpha", "ends": "20260101"}, [("/ends", "value")]),
        ({"project": "alpha", "tags": ["a", "a"]}, [("/tags", "value")]),
        ({"project": "alpha", "tags": ["a", 1]}, [("/tags/1", "type")]),
        ({"project": "alpha", "place": {"a/b": 1, "c~d": 2}}, [("/place/a~1b", "type"), ("/place/c~0d", "unknown")]),
        ({"project": "\ud800"}, [("/project", "not-json")]),
        ({"project": "alpha", "size": float("nan")}, [("/size", "not-json")]),
    ],
)
def test_each_problem_has_a_pointer_and_a_code(inputs: dict[str, JsonValue], problems: list[tuple[str, str]]) -> None:
    _, found = validate_inputs(PLAN, inputs)
    assert [(problem.pointer, problem.code) for problem in found] == problems


def test_a_misspelt_input_is_told_with_what_was_meant() -> None:
    _, found = validate_inputs(PLAN, {"project": "alpha", "sise": 1})
    assert found[0].message == "there is no such input; is `size` meant?"


def test_no_message_holds_the_value() -> None:
    _, found = validate_inputs(PLAN, {"project": "s3cret!", "key": "s3cret!", "size": "s3cret!", "tags": "s3cret!"})
    assert len(found) == 4
    assert all("s3cret" not in problem.message for problem in found)


def test_a_text_that_the_schema_allows_arrives_exactly() -> None:
    anything = plan(text={"type": "string"})
    for text in ("a\x00b", "{{ 7 * 7 }}", "-rf", "../../x", "x" * 1_000_000, '{"__ansible_vault": 1}', "\r\n\u2028"):
        completed, problems = validate_inputs(anything, {"text": text})
        assert problems == []
        assert completed["text"] is text


def test_dates_are_dates_in_scope_and_text_outside() -> None:
    dated = plan(
        day={"type": "string", "format": "date"},
        moments={"type": "array", "items": {"type": "string", "format": "date-time"}},
    )
    scope = scope_inputs(dated, {"day": "2026-01-01", "moments": ["2026-01-01T00:00:00Z"]})
    assert scope == {"day": "2026-01-01", "moments": ["2026-01-01T00:00:00Z"]}
    assert isinstance(scope["day"], DateText)
    moments = scope["moments"]
    assert isinstance(moments, list)
    assert isinstance(moments[0], DateTimeText)


def test_secret_inputs_are_write_only() -> None:
    assert PLAN.secret_inputs == ("key",)


def test_a_pattern_that_could_run_away_refuses_a_long_text_unread() -> None:
    evil = plan(words={"type": "string", "pattern": "^(a+)+$"})
    assert validate_inputs(evil, {"words": "aaaa"})[1] == []
    assert [problem.code for problem in validate_inputs(evil, {"words": "a" * 60 + "!"})[1]] == ["value"]


def test_a_text_over_its_length_is_not_looked_at_by_its_pattern() -> None:
    bounded = plan(words={"type": "string", "pattern": "^a*a*a*$", "maxLength": 100})
    problems = validate_inputs(bounded, {"words": "a" * 1_000_000 + "!"})[1]
    assert [problem.message for problem in problems] == ["must have 100 characters at most"]

"""Ansible's argument specs as value types."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.runbook.argument_specs import Option, object_type, secrets_in, with_defaults
from connectors.runbook.errors import BadMeta
from connectors.runbook.meta import parse_meta
from request_models.actions import EffectClass
from request_models.value_types import check_value


def _options(**options: dict[str, Any]) -> dict[str, Option]:
    return {name: Option.model_validate(option) for name, option in options.items()}


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        ({}, ["", "x", "007"], [7, True, None, ["x"]]),
        ({"type": "path"}, ["/x"], [1]),
        ({"type": "int"}, [0, -7], ["7", 7.5, True]),
        ({"type": "int", "minimum": 1, "maximum": 3}, [1, 3], [0, 4]),
        ({"type": "float"}, [7, 7.5], ["7.5", False]),
        ({"type": "bool"}, [True, False], [0, 1, "yes", "true"]),
        ({"choices": ["a", "b"]}, ["a"], ["c", "A"]),
        ({"type": "int", "choices": [1, 2]}, [2], [3]),
        ({"pattern": "^[a-z]+$"}, ["abc"], ["abc\n", "A", ""]),
        ({"format": "date"}, ["2031-01-31"], ["2031-02-31", "tomorrow"]),
        ({"max_length": 2}, ["ab"], ["abc"]),
        ({"type": "list"}, [[], [1, "x"]], ["x", {}]),
        ({"type": "list", "elements": "str", "pattern": "^x$"}, [["x"]], [["y"], [1], "x"]),
        ({"type": "dict"}, [{}, {"any": 1}], [[], "x"]),
        ({"type": "dict", "options": {"n": {"required": True}}}, [{"n": "1"}], [{}, {"n": 1}, {"n": "1", "m": 2}]),
        ({"type": "list", "elements": "dict", "options": {"n": {"type": "int"}}}, [[{"n": 1}, {}]], [[{"m": 1}]]),
        ({"type": "raw"}, [None, 1, "x", [{}]], []),
        ({"type": "raw", "choices": ["a", 1, None]}, [None, 1, "a"], ["b", 2, True, []]),
        ({"type": "raw", "choices": [True, False, "auto"]}, [True, False, "auto"], ["on", 1, None]),
        ({"type": "float", "choices": [0.5, 2]}, [0.5, 2], [1, 0.6, "2"]),
        ({"type": "float"}, [1e300], [10**400]),
        ({"type": "bool", "choices": [True, False]}, [True, False], [1, "yes"]),
        ({"type": "list", "choices": ["a", "b"]}, [[], ["a", "b"]], [["c"], [1], "a"]),
        ({"type": "list", "elements": "list"}, [[], [[1]]], [[{}], [1], [None]]),
        ({"type": "list", "options": {"n": {}}}, [[], [{"n": "x"}]], [["x"], [{"m": "x"}]]),
        ({"type": "list", "elements": "str", "options": {"n": {}}}, [[], [{"n": "x"}]], [["x"], [{"m": "x"}]]),
        ({"type": "bytes"}, ["10", "10M", "1.5 GB", "7b"], ["M", "10 X", "10Mb", "1.5.5", "", 10]),
        ({"type": "bits"}, ["10", "10M", "1.5 Gb"], ["10MB", "x", 10]),
        ({"type": "int", "minimum": 0.5, "maximum": 1.5}, [1], [0, 2]),
    ],
)  # fmt: skip
def test_an_option_takes_its_values_and_no_others(option: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    kind = object_type(_options(value=option))
    assert [value for value in good if check_value(kind, {"value": value})] == []
    assert [value for value in bad if not check_value(kind, {"value": value})] == []


def test_a_required_option_must_be_given_and_an_unknown_one_must_not() -> None:
    kind = object_type(_options(needed={"required": True}, other={"aliases": ["another"]}))
    assert [mismatch.pointer for mismatch in check_value(kind, {})] == ["/needed"]
    assert check_value(kind, {"needed": "x", "another": "y"}) == []
    assert [mismatch.pointer for mismatch in check_value(kind, {"needed": "x", "more": 1})] == ["/more"]


def test_defaults_are_made_explicit_at_every_depth_and_null_stands_for_nothing() -> None:
    options = _options(
        size={"type": "int", "default": 7},
        unit={},
        named={"aliases": ["called"]},
        deep={"type": "dict", "options": {"on": {"type": "bool", "default": False}, "off": {}}},
        many={"type": "list", "elements": "dict", "options": {"n": {"type": "int", "default": 1}}},
    )
    assert with_defaults(options, {"called": "x", "deep": {"off": "y"}, "many": [{}, {"n": 2}]}) == {
        "size": 7,
        "unit": None,
        "named": "x",
        "deep": {"on": False, "off": "y"},
        "many": [{"n": 1}, {"n": 2}],
    }


def test_no_log_makes_a_value_and_what_holds_it_secret() -> None:
    options = _options(
        plain={}, password={"no_log": True}, login={"type": "dict", "options": {"token": {"no_log": True}}}
    )
    kind = object_type(options)
    assert {name: member.type.secret for name, member in kind.members.items()} == {
        "plain": False,
        "password": True,
        "login": False,
    }
    assert secrets_in(options) == {"password", "login"}


@pytest.mark.parametrize(
    "option",
    [
        {"type": "string"},
        {"type": "str", "elements": "str"},
        {"type": "str", "options": {"n": {}}},
        {"required": True, "default": "x"},
        {"type": "int", "pattern": "x"},
        {"choices": ["a", True]},
        {"choices": []},
        {"type": "int", "choices": ["1"]},
        {"type": "bool", "choices": ["yes", "no"]},
        {"type": "bool", "choices": [True]},
        {"type": "bytes", "choices": ["1K"]},
        {"type": "bytes", "pattern": "x"},
        {"type": "dict", "choices": [{}]},
        {"type": "path", "choices": ["~/x"]},
        {"type": "list", "elements": "int", "options": {"n": {}}},
        {"type": "dict", "options": {"a": {"aliases": ["b"]}, "b": {}}},
        {"requird": True},
    ],
)
def test_an_option_that_contradicts_itself_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Option.model_validate(option)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{a: {type: int, default: '1'}}", "default of `a` must be a whole number"),
        ("{a: {choices: [x], default: y}}", "default of `a` must be one of x"),
        ("{a: {type: dict, options: {b: {type: bool, default: 1}}}}", "default of `b` must be true or false"),
        ("{a: {type: raw, default: 2026-01-31}}", "default of `a` is no JSON"),
        ("{a: {aliases: [b]}, b: {}}", "two options are called `b`"),
    ],
)
def test_a_playbook_whose_arguments_could_fit_in_no_run_is_refused(tmp_path: Any, arguments: str, said: str) -> None:
    with pytest.raises(BadMeta, match=said):
        parse_meta(tmp_path / "x.meta.yml", f"{{title: X, check_mode: none, arguments: {arguments}}}")


def test_an_option_given_under_two_of_its_names_is_refused() -> None:
    kind = object_type(_options(named={"aliases": ["called"]}))
    assert check_value(kind, {"called": "x"}) == []
    assert [wrong.pointer for wrong in check_value(kind, {"called": "x", "named": "x"})] == ["/named"]


def test_the_effect_of_a_runbook_is_not_repeatable_unless_it_says_so(tmp_path: Any) -> None:
    assert parse_meta(tmp_path / "x.meta.yml", "{title: X, check_mode: none}").effect is EffectClass.NOT_REPEATABLE


@pytest.mark.parametrize("effect", ["takes-token", "has-probe", "harmless"])
def test_an_effect_that_a_playbook_cannot_promise_is_refused(tmp_path: Any, effect: str) -> None:
    with pytest.raises(BadMeta, match="effect"):
        parse_meta(tmp_path / "x.meta.yml", f"{{title: X, check_mode: none, effect: {effect}}}")

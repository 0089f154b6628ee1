"""The list of codes holds what the compiler tells, and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import request_models
from request_models import checks
from request_models.diagnostic_codes import ALL_CODES, CODES, PARTS

PACKAGE = Path(request_models.__file__).parent
GOLDEN = Path(__file__).parents[2] / "golden"
# Where in the arguments of these calls the code stands.
TOLD_BY = {"Finding": 1, "diagnostic": 1, "Diagnostic": 0, "_Refused": 0, "_problem": 0, "_warn": 0}


def sources() -> Iterator[ast.Module]:
    for file in PACKAGE.rglob("*.py"):
        if file.name != "diagnostic_codes.py":
            yield ast.parse(file.read_text(encoding="utf-8"))


def told() -> set[str]:
    """The codes that stand in a call which tells something."""
    found = set()
    for node in (node for tree in sources() for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            place = TOLD_BY.get(name)
            if place is not None and len(node.args) > place:
                argument = node.args[place]
                found |= {argument.value} if isinstance(argument, ast.Constant) else set()
    return {str(code) for code in found}


def texts() -> set[str]:
    return {
        node.value
        for tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_code_that_is_told_is_listed() -> None:
    found = told()
    assert len(found) > 40
    assert found <= CODES.keys()


def test_every_code_that_is_listed_is_told() -> None:
    assert CODES.keys() <= texts()


def test_every_code_of_the_golden_models_is_listed() -> None:
    shown = {
        code
        for file in GOLDEN.glob("*/errors.txt")
        for code in re.findall(r"\[([a-z0-9-]+)\]$", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert shown
    assert shown <= CODES.keys()


HAVE_NO_GOLDEN = {
    "unreadable": "of a file that cannot be opened: test_models_loading",
    "duplicate-model": "of a folder with two models: test_models_loading",
    "duplicate-calendar": "of a folder with two calendars: test_calendars_loading",
    "untested-branch": "of examples that are run: test_commands_examples",
    "calendar-hours": "of a file of a calendar: test_calendars_loading",
    "calendar-date": "of a file of a calendar: test_calendars_loading",
    "calendar-zone": "of a file of a calendar: test_calendars_loading",
    "calendar-holidays": "of a file of a calendar: test_calendars_loading",
    "calendar-never-open": "of a file of a calendar: test_calendars_loading",
}
"""Codes that no single model can be told, and the tests that show them."""


def test_every_code_has_a_golden_model() -> None:
    shown = {
        code
        for name in ("errors.txt", "notes.txt")
        for file in GOLDEN.glob(f"*/{name}")
        for code in re.findall(r"\[([a-z0-9-]+)\]$", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert CODES.keys() - shown == HAVE_NO_GOLDEN.keys()


@pytest.mark.parametrize("code", HAVE_NO_GOLDEN)
def test_a_code_without_a_golden_model_is_shown_by_the_test_that_is_named(code: str) -> None:
    named = HAVE_NO_GOLDEN[code].rpartition(" ")[2]
    (file,) = GOLDEN.parent.rglob(f"{named}.py")
    assert code in file.read_text(encoding="utf-8")


def test_every_check_names_its_codes() -> None:
    for check in (*checks.LOADED, *checks.RESOLVED, *checks.TYPED):
        named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", check.__doc__ or ""))
        assert named, check.__module__
        assert named <= CODES.keys()


def test_codes_are_told_once_and_in_sentences() -> None:
    assert len(CODES) == len(ALL_CODES)
    for code in ALL_CODES:
        assert code.part in PARTS
        assert code.meaning.endswith(".")
        assert code.instead.endswith(".")

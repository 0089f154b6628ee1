"""Golden cases: a model, and its plan or the mistakes it is told. `GOLDEN=write` writes what is expected anew."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from request_models.checks.runnable import NOT_YET_RUNNABLE
from request_models.compiler import Compilation
from request_models.diagnostics import render_text
from request_models.plan import plan_from_json

GOLDEN = Path(__file__).parents[2] / "golden"
TELLS_WHAT_CANNOT_RUN = {"every-key"}
"""Elsewhere it is left out, so that a golden need not change when more can be run."""
CASES = sorted(folder.parent for folder in GOLDEN.glob("*/model.yaml"))


def check_against(file: Path, found: str) -> None:
    if os.environ.get("GOLDEN") == "write":
        file.write_text(found)
    assert file.exists(), f"{file} is missing; this was found:\n{found}"
    assert found == file.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_golden_model_gives_its_plan_or_its_mistakes(case: Path, compile_case: Callable[[Path], Compilation]) -> None:
    compilation = compile_case(case)
    everything = case.name in TELLS_WHAT_CANNOT_RUN
    told = [one for one in compilation.diagnostics if everything or one.code != NOT_YET_RUNNABLE]
    if told:
        check_against(case / "errors.txt", render_text(told))
    else:
        assert not (case / "errors.txt").exists()
    if (case / "notes.txt").exists():
        check_against(case / "notes.txt", render_text(compilation.notes))
    plan = compilation.stages.get("planned")
    if plan is not None:
        written = json.dumps(plan.to_json(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        check_against(case / "plan.json", written)
        assert plan_from_json(json.loads((case / "plan.json").read_text())) == plan


def test_there_are_golden_cases() -> None:
    assert len(CASES) > 30

"""The golden models with one random edit each: a plan that shows it, or a diagnostic where it is. Never silence."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from model_mutations import mutants, wrong_answer
from request_models.compiler import Compilation

GOLDEN = Path(__file__).parents[2] / "golden"
MODELS = sorted(plan.parent for plan in GOLDEN.glob("*/plan.json"))


def check_mutants(model: Path, compile_text: Callable[[str], Compilation], seed: int, count: int) -> None:
    text = (model / "model.yaml").read_text(encoding="utf-8")
    compiled = lru_cache(maxsize=16)(compile_text)
    for mutant, _ in zip(mutants(text, seed), range(count), strict=False):
        wrong = wrong_answer(mutant, compiled)
        assert wrong is None, wrong


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_an_edited_model_means_something_else_or_is_refused_where_it_was_edited(
    model: Path, compile_text: Callable[[str], Compilation]
) -> None:
    check_mutants(model, compile_text, seed=20, count=70)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_thousand_edits_of_a_model_are_answered_so(model: Path, compile_text: Callable[[str], Compilation]) -> None:
    check_mutants(model, compile_text, seed=21, count=1000)


def test_there_are_models_to_edit() -> None:
    assert len(MODELS) >= 5

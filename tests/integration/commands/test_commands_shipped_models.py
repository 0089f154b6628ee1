"""The shipped models and templates with one random edit each, against the actions they really use."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

import request_models
from connectors.registry import ConnectorContext, Registry
from model_mutations import mutants, planned, wrong_answer
from request_models.compiler import Compilation, compile_model, load_model

SHIPPED = Path(request_models.__file__).parent
MODELS = sorted([*SHIPPED.glob("catalogue/*.yaml"), *SHIPPED.glob("templates/*.yaml")])

CompileText = Callable[[str], Compilation]


@pytest.fixture(scope="module")
def compile_text(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompileText]:
    with Registry.discover({}, ConnectorContext(tmp_path_factory.mktemp("state"))) as registry:

        @lru_cache(maxsize=16)
        def compiled(text: str) -> Compilation:
            source, diagnostics = load_model("model.yaml", text)
            return Compilation("", {}, None, diagnostics) if source is None else compile_model(source, registry)

        yield compiled


def check_mutants(model: Path, compile_text: CompileText, seed: int, count: int) -> None:
    text = model.read_text(encoding="utf-8")
    assert planned(compile_text(text)) is not None
    for mutant, _ in zip(mutants(text, seed), range(count), strict=False):
        wrong = wrong_answer(mutant, compile_text)
        assert wrong is None, wrong


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_an_edited_model_means_something_else_or_is_refused_where_it_was_edited(
    model: Path, compile_text: CompileText
) -> None:
    check_mutants(model, compile_text, seed=31, count=25)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_many_edits_of_a_model_are_answered_so(model: Path, compile_text: CompileText) -> None:
    check_mutants(model, compile_text, seed=32, count=150)


def test_there_are_models_to_edit() -> None:
    assert len(MODELS) >= 8

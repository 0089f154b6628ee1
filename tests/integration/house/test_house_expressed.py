"""`docs/expressed`: definitions of other tools as models: they compile, name their source, say what they left out."""

import re
from pathlib import Path

import pytest
from pydantic import JsonValue
from ruamel.yaml import YAML

from connectors.registry import ConnectorContext, Registry
from request_models.checks.runnable import NOT_YET_RUNNABLE
from request_models.compiler import Compilation, compile_in, load_catalogue
from request_models.diagnostics import render_text
from request_models.interfaces import Interfaces
from request_models.surroundings import Surroundings

FOLDER = Path(__file__).parents[3] / "docs" / "expressed"
MODELS = sorted((FOLDER / "models").glob("*.yaml"))
TOOLS = ("AWX", "Backstage", "Kestra", "Rundeck", "SSM", "StackStorm")
ROW = re.compile(r"^\| \[(?P<model>[a-z-]+)\]\(models/(?P=model)\.yaml\) \| (?P<cells>.*) \|$", re.MULTILINE)
SOURCE = re.compile(r"\A# Source: github\.com/[\w.-]+/[\w.-]+,(?:.*\n#)? [\w./-]+\.(?:ya?ml|json|md)\b")
CANNOT_RUN = {
    "`choices`", "`feedback`", "`lease`", "`notify`", "`once`",
    "`shown_to`", "`to`", "`triggers`", "a map of hosts",
}  # fmt: skip
"""What these models use and this version reads, types and plans, but refuses to run."""
COMMIT = re.compile(r"\(commit [0-9a-f]{40}[,;]")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compilation]:
    """All models in their own surroundings: the connectors as they are, and each other."""
    settings: dict[str, dict[str, JsonValue]] = YAML(typ="safe").load(FOLDER / "settings.yaml")
    context = ConnectorContext(tmp_path_factory.mktemp("state"), content_folders=(FOLDER,))
    loaded = load_catalogue([FOLDER / "models"])
    assert loaded.diagnostics == (), render_text(loaded.diagnostics)
    with Registry.discover({}, context) as registry:
        surroundings = Interfaces(loaded.models, Surroundings(registry, settings["public"])).surroundings
        return {source.model: compile_in(source, surroundings) for source in loaded.models}


def row_cells(model: str) -> list[str]:
    """The cells of a model's row after its name: from, what it shows, what is not said."""
    rows = {match["model"]: match["cells"] for match in ROW.finditer((FOLDER / "README.md").read_text("utf-8"))}
    return re.split(r"(?<!\\) *\| *", rows[model])


def test_definitions_of_every_tool_are_expressed() -> None:
    tools = {row_cells(file.stem)[0].split(",")[0] for file in MODELS}
    assert tools == set(TOOLS)
    assert len(MODELS) >= 14


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_every_model_compiles_but_for_what_this_version_cannot_run(
    file: Path, compiled: dict[str, Compilation]
) -> None:
    made = compiled[file.stem]
    wrong = [one for one in made.diagnostics if one.code != NOT_YET_RUNNABLE]
    assert wrong == [], render_text(wrong)
    assert "planned" in made.stages


def test_what_this_version_cannot_run_is_listed_here(compiled: dict[str, Compilation]) -> None:
    said = {one.message for made in compiled.values() for one in made.diagnostics if one.code == NOT_YET_RUNNABLE}
    assert {message.partition(" is part of the language")[0] for message in said} == CANNOT_RUN


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_every_model_names_its_source_at_its_top(file: Path) -> None:
    comment = "".join(line for line in file.read_text("utf-8").splitlines(keepends=True) if line.startswith("#"))
    assert SOURCE.match(comment), comment
    assert COMMIT.search(comment), comment
    assert any(f"Tool: {tool}" in comment for tool in TOOLS), comment


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_the_table_names_the_source_and_what_is_not_said(file: Path) -> None:
    source, shown, not_said = row_cells(file.stem)
    repository = re.match(r"# Source: github\.com/([\w./-]+),", file.read_text("utf-8"))
    assert repository is not None
    assert f"`{repository[1]}`" in source
    assert shown
    assert not_said.endswith(".")


def test_the_table_lists_no_model_that_is_not_there() -> None:
    listed = [match["model"] for match in ROW.finditer((FOLDER / "README.md").read_text("utf-8"))]
    assert sorted(listed) == sorted(file.stem for file in MODELS)

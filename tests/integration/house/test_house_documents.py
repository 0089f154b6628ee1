"""Every snippet of the documentation is so: models compile, commands and their options are there, links lead on."""

import re
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
import typer
from pydantic import JsonValue
from ruamel.yaml import YAML
from typer.core import TyperGroup

from connectors.registry import ConnectorContext, Registry
from fenced import Block, blocks_of
from flows import cli
from request_models.calendar_documents import load_calendar, load_calendars
from request_models.checks.runnable import NOT_YET_RUNNABLE
from request_models.compiler import compile_in, load_catalogue, load_model
from request_models.diagnostics import Diagnostic, render_text
from request_models.interfaces import Interfaces
from request_models.surroundings import Surroundings

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "deploy" / "README.md",
     ROOT / "request_models" / "templates" / "README.md", *(ROOT / "docs").rglob("*.md")]
)  # fmt: skip
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
MODELS = [block for block in BLOCKS if block.kind == "yaml" and re.search(r"^steps:", block.text, re.MULTILINE)
          and block.text.startswith("model:")]  # fmt: skip
CALENDARS = [block for block in BLOCKS if block.kind == "yaml" and block.text.startswith("calendar:")]
SHELLS = {"", "sh", "console"}
MISTAKES = {"tutorial.md": {"unknown-name", "unknown-argument", "missing-argument"}}
"""What is wrong on purpose, by page; following the tutorial shows that it tells them."""

SPAN = re.compile(r"`(orderly [^`\n]+)`")
PLACEHOLDERS = {"ID": "6f1b2c34-0000-4000-8000-000000000000", "PORT": "0", "STAGE": "planned"}


def commands_in(text: str) -> list[str]:
    """The commands `orderly ...` of a block, without variables before them and comments after them."""
    lines = [re.sub(r"^\$ ", "", line).split(" #")[0].strip() for line in text.splitlines()]
    found = [re.search(r"(?:^|&& |^[A-Z_]+=\S+ (?:[A-Z_]+=\S+ )*)(orderly [^|&]*)", line) for line in lines]
    return [match[1].strip() for match in found if match is not None]


COMMANDS = sorted(
    {(str(block), command) for block in BLOCKS if block.kind in SHELLS for command in commands_in(block.text)}
    | {(page.name, command) for page in PAGES for command in SPAN.findall(page.read_text(encoding="utf-8"))}
)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    """What a newcomer's models meet: the shipped connectors, calendars and models, and the examples' settings."""
    settings: dict[str, dict[str, JsonValue]] = YAML(typ="safe").load(EXAMPLES / "settings.yaml")
    calendars = load_calendars([EXAMPLES / "calendars", ROOT / "request_models" / "catalogue" / "calendars"])
    registry = Registry.discover({}, ConnectorContext(tmp_path_factory.mktemp("state")))
    return Surroundings(registry, settings["public"], calendars.to_json())


def told(text: str, surroundings: Surroundings) -> tuple[Diagnostic, ...]:
    """What the compiler tells of a model, but for what this version cannot run yet."""
    source, diagnostics = load_model("model.yaml", text)
    if source is None:
        return diagnostics
    others = load_catalogue([ROOT / "request_models" / "catalogue", EXAMPLES / "models"]).models
    made = compile_in(source, Interfaces((*others, source), surroundings).surroundings)
    return tuple(one for one in (*diagnostics, *made.diagnostics) if one.code != NOT_YET_RUNNABLE)


@pytest.mark.parametrize("block", MODELS, ids=str)
def test_a_model_that_is_shown_is_right_or_wrong_as_the_page_says(block: Block, surroundings: Surroundings) -> None:
    found = told(block.text, surroundings)
    assert {one.code for one in found} == MISTAKES.get(block.page.name, set()), render_text(found)


@pytest.mark.parametrize("file", sorted((EXAMPLES / "models").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_models_that_the_reference_shows_pieces_of_are_right(file: Path, surroundings: Surroundings) -> None:
    found = told(file.read_text(encoding="utf-8"), surroundings)
    assert found == (), render_text(found)


def test_the_pages_show_models_and_calendars() -> None:
    assert {block.page.name for block in MODELS} >= {"README.md", "tutorial.md"}
    assert [block.page.name for block in CALENDARS] == ["calendars.md"]


@pytest.mark.parametrize("block", CALENDARS, ids=str)
def test_a_calendar_that_is_shown_is_right(block: Block) -> None:
    calendar, diagnostics = load_calendar("calendar.yaml", block.text)
    assert calendar is not None, render_text(diagnostics)


def parse(command: str) -> None:
    """Parse a command as the command line would; nothing runs. Raises typer's errors of usage, LookupError."""
    name, *rest = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)[1:] if word != "..."]
    if not rest:
        rest = ["--help"]  # named in a sentence: nothing is said of how it is called
    group = typer.main.get_command(cli.app)
    assert isinstance(group, TyperGroup)
    context = group.make_context("orderly", [name, *rest])
    found = group.get_command(context, name)
    if found is None:
        raise LookupError(f"there is no command {name}")
    with suppress(typer.Exit):  # `--help` says what it says, and is done
        found.make_context(name, rest, parent=context)


@pytest.mark.parametrize(("where", "command"), COMMANDS, ids=lambda value: value.replace("\n", " "))
def test_a_command_that_is_shown_can_be_typed(where: str, command: str) -> None:
    assert where
    parse(command)


@pytest.mark.parametrize(
    "command", ["orderly check --no-such-option", "orderly chekc .", "orderly show a --stage none"]
)
def test_a_command_that_cannot_be_typed_is_told(command: str) -> None:
    with pytest.raises((typer.TyperException, LookupError)):
        parse(command)


def anchors_of(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", re.sub(r"[`*]", "", head).lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_head_in_it(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or file.suffix != ".md" or anchor in anchors_of(file), target

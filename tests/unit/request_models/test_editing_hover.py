"""What is said of what stands at the cursor, where it is written, the parts of a model, and fixes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from request_models.compiler import Compilation
from request_models.editing.catalogue import Knowledge
from request_models.editing.fixes import fixes
from request_models.editing.hover import hover
from request_models.editing.outline import outline
from request_models.editing.symbols import definition, symbols
from request_models.yaml_source import read_yaml

ROOT = Path(__file__).parents[3]
WHOLE = sorted((ROOT / "request_models" / "catalogue").glob("*.yaml"))
WHOLE += sorted(plan.parent / "model.yaml" for plan in (ROOT / "tests" / "golden").glob("*/plan.json"))

MODEL = (ROOT / "tests" / "golden" / "plain" / "model.yaml").read_text(encoding="utf-8")
STEP = """\
inputs:
  region: {type: string, description: "Where <b>it</b> is."}
steps:
  - id: make
    uses: cloud.make_box
"""


@pytest.fixture
def said(knowledge: Knowledge) -> Callable[[str], str]:
    def at(marked: str) -> str:
        offset = marked.index("|")
        found = hover(marked[:offset] + marked[offset + 1 :], offset, knowledge)
        return "" if found is None else found.text

    return at


def test_an_action_says_title_effect_undo_arguments_and_result(said: Callable[[str], str]) -> None:
    text = said("steps:\n  - uses: cloud.ma|ke_box")
    assert "### Make a box" in text
    assert "takes-token" in text
    assert "| `Name` | yes | text |" in text
    assert "`Password`" in text
    assert "`Tags`" in text


def test_an_action_that_takes_hosts_says_so(said: Callable[[str], str]) -> None:
    assert "needs `hosts:`" in said("steps:\n  - uses: host.acc|ount")


def test_what_probably_undoes_an_action_is_named(said: Callable[[str], str]) -> None:
    assert "probably `host.account_absent`, which needs `name`" in said("steps:\n  - uses: host.acc|ount")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{STEP}    with: {{Si|ze: 3}}", "1 to 100"),
        (f"{STEP}    with: {{Size: 3|}}", "How big the box is"),
        (f"{STEP}    with: {{Pass|word: x}}", "secret"),
        (f"{STEP}    tim|eout: PT1M", "How long one attempt may take"),
        (f"{STEP}    when: inputs.reg|ion == 'x'", "**`inputs.region`** · text"),
        (f"{STEP}    when: inp|uts.region", "**`inputs`** · a map"),
        (f"{STEP}    when: inputs.region is def|ined", "defined"),
        (f"{STEP}    title: x\n  - id: b\n    when: steps.make.result.Cou|nt > 3", "a whole number"),
        ("k|ind: access", "What kind of request it is"),
    ],
)
def test_what_stands_at_the_cursor_is_explained(said: Callable[[str], str], text: str, words: str) -> None:
    assert words in said(text)


def test_words_of_others_are_no_markup(said: Callable[[str], str]) -> None:
    assert r"Where \<b\>it\</b\> is." in said(f"{STEP}    when: inputs.reg|ion == 'x'")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{STEP}    when: inputs.reg|ion", "region"),
        (f"{STEP}  - id: b\n    when: steps.ma|ke.state == 'done'", "make"),
        (f"{STEP}  - id: b\n    undo: {{covered_by: ma|ke}}", "make"),
        (
            "steps:\n  - parallel:\n      - {id: deep, uses: note.send}\n  - id: b\n    when: steps.de|ep.state",
            "deep",
        ),
        ("values: {host: a}\nsteps:\n  - id: b\n    with: {to: '{{ values.ho|st }}'}", "host"),
    ],
)
def test_a_name_leads_to_where_it_is_written(text: str, name: str) -> None:
    offset = text.index("|")
    plain = text.replace("|", "", 1)
    span = definition(plain, offset)
    assert span is not None
    assert plain[span.start : span.end] == name
    assert span.start < offset


def test_a_name_that_is_nowhere_leads_nowhere() -> None:
    text = f"{STEP}    when: inputs.other"
    assert definition(text, len(text) - 1) is None


def test_the_parts_of_a_model_are_its_sections_with_steps_within_groups() -> None:
    group = "  - id: group\n    steps:\n      - {id: inner, uses: note.send}\n    else:\n      - id: other\n"
    found = {symbol.name: symbol for symbol in symbols(f"model: a\n{STEP}{group}")}
    assert list(found) == ["model", "inputs", "steps"]
    assert [child.name for child in found["inputs"].children] == ["region"]
    make, grouped = found["steps"].children
    assert (make.name, make.detail) == ("make", "cloud.make_box")
    assert [child.name for child in grouped.children] == ["inner", "other"]
    assert make.span.start <= make.name_span.start < make.name_span.end <= make.span.end


@pytest.mark.parametrize("file", WHOLE, ids=lambda file: file.stem if file.stem != "model" else file.parent.name)
def test_the_outline_of_a_whole_model_has_the_parts_that_the_compiler_reads_where_it_reads_them(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    source = read_yaml("model.yaml", text.encode())
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = {entry.path: entry for entry in outline(text).walk()}
    assert found.keys() == source.values.keys()
    keys = {path: starts[mark.line - 1] + mark.column - 1 for path, mark in source.keys.items()}
    assert {path: entry.key.start for path, entry in found.items() if entry.key is not None} == keys
    for path, entry in found.items():
        if entry.text:
            mark = source.values[path]
            assert entry.span.start == starts[mark.line - 1] + mark.column - 1


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("uses: cloud.make_box", "uses: cloud.make_bok"),
        ("Name:", "Nmae:"),
        ("kind:", "kindd:"),
        ("inputs.", "inptus."),
    ],
)
def test_a_name_that_is_meant_is_put_in_place_of_the_wrong_one(
    right: str, wrong: str, compile_text: Callable[[str], Compilation]
) -> None:
    assert right in MODEL
    text = MODEL.replace(right, wrong, 1)
    offered = [fix for one in compile_text(text).diagnostics for fix in fixes(one, text)]
    changed = [text[: fix.span.start] + fix.text + text[fix.span.end :] for fix in offered]
    assert MODEL in changed


def test_a_diagnostic_that_names_nothing_better_has_no_fix(compile_text: Callable[[str], Compilation]) -> None:
    text = MODEL.replace("kind:", "zzzzzz:", 1)
    found = compile_text(text).diagnostics
    assert found
    assert [fix for one in found if "meant" not in one.hint for fix in fixes(one, text)] == []

"""The reference is what the code says, and says all of it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from request_models import expression_syntax
from request_models.compiler import Compilation
from request_models.diagnostic_codes import CODES
from request_models.editor_schema import editor_schema
from request_models.expression_filters import ALL_FILTERS
from request_models.expression_syntax import CALLS, parse_expression, parse_text
from request_models.expression_tests import ALL_TESTS
from request_models.plan import Plan
from request_models.reference import reference_pages
from request_models.reference.excerpts import Excerpts
from request_models.reference.expressions_page import FUNCTIONS, SYNTAX
from request_models.reference.markdown import table

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"

CompileText = Callable[[str], Compilation]

MODEL = """\
model: small
title: Small
kind: information
service: tests
owners: {{accountable: tester}}
triggers: {triggers}
due: {{within: PT10M}}
steps:
  - {{id: look, uses: cloud.read_box, with: {{Name: abc}}, target: {{cloud: {{account: data}}}}, timeout: PT1M}}
"""


@pytest.fixture(scope="module")
def pages() -> Mapping[str, str]:
    return reference_pages(ROOT)


def test_what_is_committed_is_what_the_code_says(pages: Mapping[str, str]) -> None:
    committed = {page.name: page.read_text(encoding="utf-8") for page in REFERENCE.iterdir()}
    wrong = sorted(name for name in pages if committed.get(name) != pages[name])
    assert wrong == [], "run `make docs` and commit what it writes"


def test_every_key_is_in_the_page_of_the_language(pages: Mapping[str, str]) -> None:
    schema: dict[str, Any] = editor_schema()
    for document in (schema, *schema["$defs"].values()):
        for key in document.get("properties", {}):
            assert f"`{key}`" in pages["language.md"]


def test_every_piece_of_the_examples_is_shown(pages: Mapping[str, str]) -> None:
    shown = set(re.findall(r"```yaml\n(.*?)```\n", pages["language.md"], re.DOTALL))
    excerpts = Excerpts(ROOT / "docs" / "examples")
    assert len(excerpts.names) > 25
    assert {excerpts.show(name) for name in excerpts.names} == {f"```yaml\n{piece}```\n" for piece in shown}


def test_every_key_of_a_model_stands_in_the_examples() -> None:
    examples = ROOT / "docs" / "examples" / "models" / "project-store.yaml"
    written = {line.partition(":")[0] for line in examples.read_text(encoding="utf-8").splitlines()}
    properties: dict[str, Any] = cast(dict[str, Any], editor_schema()["properties"])
    assert properties.keys() <= written


def test_names_are_in_scope_where_the_table_says(pages: Mapping[str, str], compile_text: CompileText) -> None:
    table = pages["language.md"].partition("\n## Names\n")[2].partition("\n## ")[0]
    heads, *rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    asked = {row[0]: dict(zip(heads, row, strict=False)) for row in rows if not row[0].startswith("-")}
    trigger = asked["`when`, `inputs` of `triggers`"]
    assert [name for name, cell in trigger.items() if cell.strip() == "yes"] == ["`settings`", "`event`"]
    model = MODEL.format(triggers="[{source: a, requester: b, when: 'requester.active'}]")
    assert "unknown-name" in [one.code for one in compile_text(model).diagnostics if one.line == 6]


@pytest.mark.parametrize(
    "change", ["title: Another", "summary: More words", "examples: [{name: a, then: {state: fulfilled}}]"]
)
def test_what_is_said_to_be_no_change_keeps_the_digest(compile_text: CompileText, change: str) -> None:
    first = compile_text(MODEL.format(triggers="[]")).stages["planned"]
    key = change.partition(":")[0]
    kept = [line for line in MODEL.format(triggers="[]").splitlines() if not line.startswith(f"{key}:")]
    second = compile_text("\n".join([*kept, change]) + "\n").stages["planned"]
    assert isinstance(first, Plan)
    assert isinstance(second, Plan)
    assert first.digest == second.digest


def test_every_code_has_its_section(pages: Mapping[str, str]) -> None:
    assert set(re.findall(r"^### (.+)$", pages["checks.md"], re.MULTILINE)) == CODES.keys()


def test_an_example_is_what_the_compiler_tells_of_the_model_it_names(pages: Mapping[str, str]) -> None:
    shown = re.findall(
        r"\(\.\./\.\./tests/golden/([a-z-]+)/model\.yaml\):\n\n```text\n(.*?)\n```", pages["checks.md"], re.DOTALL
    )
    assert len(shown) > 30
    for case, said in shown:
        assert said in (ROOT / "tests" / "golden" / case / "errors.txt").read_text(encoding="utf-8")


def test_every_filter_test_and_function_is_there(pages: Mapping[str, str]) -> None:
    page = pages["expressions.md"]
    sections = re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert sections == [function.name for function in ALL_FILTERS]
    assert all(f"| `is {test.name}" in page for test in ALL_TESTS)
    assert FUNCTIONS.keys() == CALLS


def test_every_filter_has_a_rule(pages: Mapping[str, str]) -> None:
    for section in pages["expressions.md"].split("\n### ")[1:]:
        rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
        assert len(rows) > 2, section.partition("\n")[0]


@pytest.mark.parametrize(
    ("function", "row"),
    [
        ("join", "| a list of text, a list of whole number, a list of number, a list of map | text |"),
        ("abs", "| a number | a number |"),
        ("tojson", "| anything | text |"),
        ("first", "| a list of text | text |"),
    ],
    ids=lambda value: value.partition(" ")[0],
)  # fmt: skip
def test_a_rule_is_what_the_filter_does(pages: Mapping[str, str], function: str, row: str) -> None:
    section = pages["expressions.md"].partition(f"\n### {function}\n")[2].partition("\n### ")[0]
    assert row in section


def test_the_syntax_listed_is_the_syntax_allowed() -> None:
    inner = (*expression_syntax._EXPRESSION_NODES, *expression_syntax._BLOCK_NODES)
    assert SYNTAX.keys() == set(inner)


def test_what_is_shown_of_the_syntax_can_be_written() -> None:
    parse_expression("duration('P1D') if value | length is even and not a not in [b, (c, d)] else {'key': list[1:3]}")
    parse_text("{% if a %}...{% endif %}\n{% for item in list %}...{% endfor %}")


def test_links_lead_somewhere(pages: Mapping[str, str]) -> None:
    for name, page in pages.items():
        anchors = {head.lower().replace(" ", "-") for head in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
        for target in re.findall(r"\]\(([^)]+)\)", page):
            file = REFERENCE / target.partition("#")[0]
            assert target[1:] in anchors if target.startswith("#") else file.exists(), f"{name}: {target}"


def test_a_cell_cannot_end_its_row() -> None:
    assert table(["a"], [["x | y\nz"]]) == "| a |\n| --- |\n| x \\| y z |\n"

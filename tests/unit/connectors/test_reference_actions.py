"""The pages of the actions are what the code says, and leave nothing out."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from connectors.aws.effect_files import load_effects
from connectors.reference import action_pages
from connectors.reference.effect_words import REPEATING
from connectors.reference.type_words import say_fully
from connectors.registry import SHIPPED, ConnectorContext, Registry
from request_models.actions import EffectClass
from request_models.engine_actions import ENGINE_SPECS
from request_models.reference import reference_pages
from request_models.value_types import ArrayType, IntegerType, Member, ObjectType, StringType, UnionType, ValueType

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def pages() -> Mapping[str, str]:
    return action_pages()


def test_what_is_committed_is_what_the_code_says(pages: Mapping[str, str]) -> None:
    wrong = sorted(name for name, text in pages.items() if (REFERENCE / name).read_text(encoding="utf-8") != text)
    assert wrong == [], "run `make docs` and commit what it writes"


def test_no_page_of_the_reference_is_left_over(pages: Mapping[str, str]) -> None:
    assert {page.name for page in REFERENCE.iterdir()} == pages.keys() | reference_pages(ROOT).keys()


def test_every_action_that_is_brought_has_its_section_with_its_arguments(
    pages: Mapping[str, str], tmp_path: Path
) -> None:
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", pages["actions.md"], re.MULTILINE | re.DOTALL))
    with Registry.discover({}, ConnectorContext(tmp_path)) as registry:
        shipped = [name for one in SHIPPED if one != "aws" for name in registry.names_below(f"{one}.")]
        specs = {**ENGINE_SPECS, **{name: registry.action(name).spec for name in shipped}}
    assert sections.keys() == specs.keys()
    for name, spec in specs.items():
        assert f"Effect class: `{spec.effect}`" in sections[name]
        assert all(f"\n| `{argument}` |" in sections[name] for argument in spec.arguments.members), name


def test_every_reviewed_operation_of_aws_is_there_with_its_class(pages: Mapping[str, str]) -> None:
    sections = dict(re.findall(r"^### aws\.(\S+)\n(.*?)(?=^##|\Z)", pages["aws.md"], re.MULTILINE | re.DOTALL))
    for full, line in load_effects().lines.items():
        service, _, operation = full.partition(".")
        reads = sections[service].partition("Read only: ")[2]
        wanted = f"| `{operation}` | `{line.effect}` |"
        assert f"`{operation}`" in reads if line.effect is EffectClass.READ_ONLY else wanted in sections[service], full


def test_each_effect_class_says_what_becomes_of_a_lost_call() -> None:
    assert REPEATING.keys() == set(EffectClass)


def test_links_within_lead_to_a_section(pages: Mapping[str, str]) -> None:
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
               for head in re.findall(r"^#+ (.+)$", pages["actions.md"], re.MULTILINE)}  # fmt: skip
    targets = re.findall(r"\]\(#([^)]+)\)", pages["actions.md"])
    assert targets
    assert set(targets) <= anchors


@pytest.mark.parametrize(
    ("value_type", "said"),
    [
        (StringType(), "text"),
        (StringType(min_length=1, max_length=8, pattern="^a$"), "text, 1 to 8 characters like `^a$`"),
        (StringType(enum=("a", "b")), "one of `a`, `b`"),
        (IntegerType(maximum=3), "whole number, at most 3"),
        (ArrayType(items=StringType(format="email"), min_items=1), "list of: mail address (at least 1 of them)"),
        (ObjectType(members={"a": Member(type=IntegerType())}), "map with `a` (whole number)"),
        (UnionType(options=(StringType(), IntegerType(minimum=0))), "text or whole number, at least 0"),
    ],
    ids=["text", "limits", "choice", "most", "list", "map", "either"],
)
def test_a_type_is_said_with_its_limits(value_type: ValueType, said: str) -> None:
    assert say_fully(value_type) == said

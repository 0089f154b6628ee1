"""What a model reads of the answers it gets, and hopes to find there."""

from collections.abc import Callable

import pytest

from request_models.compiler import Compilation
from request_models.example_names import names_of, said_of, step_named
from request_models.plan import Plan
from request_models.wishes import NO_WISHES, Wishes, wishes_of

HEAD = """\
model: box
title: Box
kind: information
service: boxes
owners: {accountable: box-owner}
target: {cloud: {account: main}}
due: {within: PT1H}
steps:
  - id: look
    uses: cloud.read_box
    with: {Name: box}
"""

CompileText = Callable[[str], Compilation]


def wishes(compile_text: CompileText, rest: str) -> dict[str, Wishes]:
    made = compile_text(HEAD + rest)
    plan = made.stages.get("planned")
    assert isinstance(plan, Plan), made.diagnostics
    return wishes_of(plan)


@pytest.mark.parametrize(
    ("condition", "wished"),
    [
        ("result.State == 'ready'", Wishes({"State": Wishes(values=("ready",))})),
        ("result.State in ['ready', 'busy']", Wishes({"State": Wishes(values=("ready", "busy"))})),
        (
            "result.State == 'ready' and result.Id is defined",
            Wishes({"State": Wishes(values=("ready",)), "Id": NO_WISHES}),
        ),
        ("result.State == 'busy' or result.Id == 'x'", Wishes({"State": Wishes(values=("busy",))})),
        ("result.Id | length > 2", Wishes({"Id": Wishes(items=3)})),
        ("result.Id | lower == 'x'", Wishes({"Id": NO_WISHES})),
        ("not (result.Id == 'x')", Wishes({"Id": NO_WISHES})),
    ],
    ids=str,
)
def test_a_condition_hopes_for_what_makes_it_true(compile_text: CompileText, condition: str, wished: Wishes) -> None:
    assert wishes(compile_text, f'    expect: "{condition}"\n')["look"] == wished


def test_members_are_wished_for_that_are_read_anywhere(compile_text: CompileText) -> None:
    found = wishes(
        compile_text,
        """\
  - id: each
    for_each: "['a', 'b']"
    key: item
    uses: cloud.read_box
    with: {Name: "{{ steps.look.result.Id }}"}
outputs:
  ids: {value: "{{ steps.each.items | map(attribute='result.Id') | list }}"}
  state: {value: "It is {{ steps.look.result.State }}."}
""",
    )
    assert found == {"look": Wishes({"Id": NO_WISHES, "State": NO_WISHES}), "each": Wishes({"Id": NO_WISHES})}


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("make", "make"),
        ("make[a]", "make"),
        ("each[a].make", "make"),
        ("outer[a.b].inner[c].make", "make"),
        ("make[x@example.org]", "make"),
        ("prerequisites.budget", "prerequisites.budget"),
        ("verify.0", "verify.0"),
    ],
)
def test_a_name_says_which_step_is_meant(name: str, step: str) -> None:
    assert step_named(name) == step


def test_the_most_exact_name_wins() -> None:
    names = names_of("make", "each[a].make", "a")
    assert names == ("each[a].make", "make[a]", "make")
    assert said_of({"make": 1, "make[a]": 2}, names) == 2
    assert said_of({"other": 1}, names) is None

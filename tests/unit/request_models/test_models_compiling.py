"""Compiling: stages, plans, digests, secrets; and no model, however mangled, makes the compiler fail otherwise."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from plan_strategies import plans
from request_models.actions import ActionBroken, ActionCatalogue, ActionSpec
from request_models.compiler import STAGES, Compilation, compile_model, load_model
from request_models.errors import PlanFormatError
from request_models.json_values import JsonValue, canonical_json
from request_models.plan import (
    Expression,
    Literal,
    Plan,
    Text,
    plan_from_json,
)

GOLDEN = Path(__file__).parents[2] / "golden"
PLAIN = (GOLDEN / "plain" / "model.yaml").read_text()
BRANCHES = (GOLDEN / "branches-and-secrets" / "model.yaml").read_text()

CompileText = Callable[[str], Compilation]


def plan_of(compilation: Compilation) -> Plan:
    assert compilation.plan is not None, [str(found) for found in compilation.diagnostics]
    return compilation.plan


def test_every_stage_can_be_looked_at_as_json(compile_text: CompileText) -> None:
    compilation = compile_text(BRANCHES)
    assert tuple(compilation.stages) == STAGES
    for stage in compilation.stages.values():
        canonical_json(stage.to_json())


def test_a_refused_model_has_the_stages_before_planned(compile_text: CompileText) -> None:
    compilation = compile_text(PLAIN.replace("inputs.size", "inputs.nothing"))
    assert tuple(compilation.stages) == STAGES[:-1]
    assert compilation.plan is None


def test_texts_and_layout_are_outside_the_digest(compile_text: CompileText) -> None:
    plan = plan_of(compile_text(PLAIN))
    for old, new in (
        ("A small box", "Another title"),
        ("en: Project", "en: The project"),
        ("Making the box", "Making it"),
        ("service: boxes\n", "# a comment\nservice:   boxes\n"),
    ):
        assert old in PLAIN
        assert plan_of(compile_text(PLAIN.replace(old, new))).digest == plan.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("maximum: 50", "maximum: 49"),
        ("PT15M", "PT16M"),
        ("attempts: 3", "attempts: 2"),
        ("Key: project", "Key: Project"),
    ],
)
def test_what_is_done_is_in_the_digest(old: str, new: str, compile_text: CompileText) -> None:
    assert plan_of(compile_text(PLAIN.replace(old, new))).digest != plan_of(compile_text(PLAIN)).digest


def test_the_digest_is_the_same_on_any_machine(compile_text: CompileText) -> None:
    stored = json.loads((GOLDEN / "plain" / "plan.json").read_text())
    assert plan_from_json(stored).digest == plan_of(compile_text(PLAIN)).digest


def test_secrets_are_marked_where_they_flow(compile_text: CompileText) -> None:
    plan = plan_of(compile_text(BRANCHES))
    box = next(step for step in plan.steps if step.path == "box")
    assert plan.secret_inputs == ("password",)
    assert isinstance(box.arguments.members["Password"], Expression)
    assert box.arguments.members["Password"].secret
    name = box.arguments.members["Name"]
    assert isinstance(name, Text)
    assert not name.secret
    assert box.secret_results == ("/Key",)


def test_an_undo_inherits_hosts_and_target_of_its_step(compile_text: CompileText) -> None:
    plan = plan_of(compile_text(BRANCHES))
    account, box = plan.steps[:2]
    assert account.undo is not None
    assert account.undo.actions[0].hosts == account.hosts
    assert box.undo is not None
    assert box.undo.actions[0].target == {"account": Literal("data")}
    assert box.undo.actions[0].hosts is None


def test_values_are_planned_in_an_order_in_which_each_reads_only_those_before_it(compile_text: CompileText) -> None:
    text = PLAIN.replace("values:\n", 'values:\n  last: "{{ values.middle }}"\n  middle: "{{ values.name }}"\n')
    plan = plan_of(compile_text(text.replace("Key: project", 'Key: "{{ values.last }}"')))
    assert [value.name for value in plan.values] == ["name", "middle", "last"]


def test_an_edited_target_of_a_step_wins_over_the_models(compile_text: CompileText) -> None:
    text = PLAIN.replace("    expect:", "    target: {cloud: {account: other}}\n    expect:")
    target = plan_of(compile_text(text)).steps[1].target
    assert target["account"] == Literal("other")
    assert isinstance(target["region"], Expression)


def test_all_mistakes_of_all_stages_are_told_at_once(compile_text: CompileText) -> None:
    text = (
        PLAIN.replace("default: eu-west-1", "default: nowhere")
        .replace("uses: cloud.read_box", "uses: cloud.raed_box")
        .replace("{{ inputs.size }}", "{{ inputs.size ** 2 }}")
        .replace("settings.domain", "settings.domian")
        .replace("Key: project", "Key: 7")
    )
    found = {diagnostic.code for diagnostic in compile_text(text).diagnostics}
    assert found == {"bad-default", "unknown-action", "bad-expression", "unknown-name", "argument-type"}


@pytest.mark.parametrize("text", [PLAIN, BRANCHES], ids=["plain", "branches"])
def test_a_mangled_model_is_compiled_or_refused_at_a_line(text: str, compile_text: CompileText) -> None:
    chance = random.Random(7)
    lines = text.split("\n")
    for _ in range(400):
        mangled = _mangled(lines, chance)
        compilation = compile_text("\n".join(mangled))
        assert compilation.plan is not None or compilation.diagnostics
        for diagnostic in compilation.diagnostics:
            assert 1 <= diagnostic.line <= len(mangled)
            assert diagnostic.message


def _mangled(lines: list[str], chance: random.Random) -> list[str]:
    lines = list(lines)
    at = chance.randrange(len(lines))
    words = lines[at].split(" ")
    match chance.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines[at], lines[at - 1] = lines[at - 1], lines[at]
        case 2:
            words[chance.randrange(len(words))] = chance.choice(
                ["7", "null", "[]", "{}", "x", "true", '"{{ inputs }}"', "- a"]
            )
            lines[at] = " ".join(words)
        case 3:
            cut = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + chance.choice("{}[]:'\"|%#&*!,") + lines[at][cut:]
        case 4:
            lines[at] = lines[at].replace("inputs", "steps").replace("values", "args").replace("steps.", "result.")
        case _:
            cut = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + lines[at][cut + 1 :]
    return lines


def test_a_model_is_compiled_without_settings_too() -> None:
    class Nothing:
        def spec(self, name: str) -> ActionSpec | None:
            return None

        def suggestions(self, name: str) -> list[str]:
            return []

    source, _ = load_model("m.yaml", PLAIN)
    assert source is not None
    assert {found.code for found in compile_model(source, Nothing()).diagnostics} == {"unknown-action", "unknown-name"}


def test_an_action_whose_definition_is_broken_is_told_at_the_step_that_uses_it(actions: ActionCatalogue) -> None:
    class Torn:
        def spec(self, name: str) -> ActionSpec | None:
            if name == "note.send":
                raise ActionBroken("notes/send.meta.yml: check_mode: Field required")
            return actions.spec(name)

        def suggestions(self, name: str) -> list[str]:
            return actions.suggestions(name)

    source, _ = load_model("model.yaml", PLAIN.replace("cloud.make_box", "note.send", 1))
    assert source is not None
    broken = [found for found in compile_model(source, Torn()).diagnostics if found.code == "broken-action"]
    assert [found.message for found in broken] == [
        "`note.send` is there, but cannot be used: notes/send.meta.yml: check_mode: Field required"
    ]


# round trips


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(plans())
def test_a_plan_comes_back_from_its_json_with_its_digest(plan: Plan) -> None:
    stored = json.loads(canonical_json(plan.to_json()))
    again = plan_from_json(stored)
    assert again == plan
    assert again.digest == plan.digest
    assert again.to_json() == plan.to_json()


@pytest.mark.parametrize(
    "stored",
    [{}, {"plan_format": 2}, {"plan_format": "1"}, {"plan_format": 1}, {"plan_format": 1, "model": "m", "steps": 3}],
)
def test_json_that_is_no_plan_of_this_format_is_refused(stored: dict[str, JsonValue]) -> None:
    with pytest.raises(PlanFormatError):
        plan_from_json(stored)


def test_a_plan_of_a_later_format_is_refused_with_what_to_do(compile_text: CompileText) -> None:
    later = replace(plan_of(compile_text(PLAIN)), plan_format=99)
    with pytest.raises(PlanFormatError, match="newer"):
        plan_from_json(later.to_json())

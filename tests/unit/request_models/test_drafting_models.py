"""Drafts of models: they compile, or what is left to be filled in is said."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from request_models.actions import ActionSpec, EffectClass
from request_models.compiler import Compilation, compile_model, load_model
from request_models.drafting import KINDS, BadModelName, Kind, draft_from_action, draft_from_template
from request_models.value_types import ArrayType, IntegerType, Member, ObjectType, StringType, UnionType

TEXT = StringType()
WALL = ObjectType(
    members={"Height": Member(type=IntegerType(minimum=1), required=True), "Stone": Member(type=TEXT)},
    description="How it is <b>built</b>: \"high\" or 'low'.",
)


class Actions:
    """A catalogue of the actions it is given."""

    def __init__(self, *specs: ActionSpec) -> None:
        self._specs: Mapping[str, ActionSpec] = {spec.name: spec for spec in specs}

    def spec(self, name: str) -> ActionSpec | None:
        return self._specs.get(name)

    def suggestions(self, name: str) -> list[str]:
        return []


def action(name: str, effect: EffectClass = EffectClass.IDEMPOTENT, **required: Member) -> ActionSpec:
    return ActionSpec(
        name=name, title=f"Do {name}", arguments=ObjectType(members=required), result=ObjectType(), effect=effect
    )


def needed(kind: StringType | IntegerType | ObjectType | ArrayType | UnionType = TEXT) -> Member:
    return Member(type=kind, required=True)


def compiled(text: str, actions: Actions) -> Compilation:
    source, diagnostics = load_model("model.yaml", text)
    assert source is not None, [str(found) for found in diagnostics]
    return compile_model(source, actions)


def drafted(spec: ActionSpec, *others: ActionSpec, hosts: str = "", kind: Kind = "resource") -> Compilation:
    actions = Actions(spec, *others)
    return compiled(draft_from_action("a-thing", spec, actions, kind=kind, hosts=hosts), actions)


def codes(compilation: Compilation) -> list[str]:
    return [found.code for found in compilation.diagnostics]


def test_each_argument_that_must_be_given_becomes_an_input() -> None:
    made = action(
        "town.create_wall",
        DBWallName=needed(StringType(pattern="^[a-z]+$", description="Name of the wall: short")),
        Password=needed(StringType(secret=True)),
        Shape=needed(WALL),
        Gates=needed(ArrayType(items=TEXT)),
        Sheet=Member(type=TEXT),
    )
    plan = drafted(made, action("town.delete_wall", DBWallName=needed())).plan

    assert plan is not None
    assert plan.input_order == ("db_wall_name", "password", "shape", "gates")
    assert plan.secret_inputs == ("password",)
    assert set(plan.steps[0].arguments.members) == {"DBWallName", "Password", "Shape", "Gates"}


def test_an_undo_whose_arguments_are_known_is_filled_in() -> None:
    made = action("town.create_wall", Name=needed())
    plan = drafted(made, action("town.delete_wall", Name=needed())).plan

    assert plan is not None
    assert plan.steps[0].undo is not None
    assert plan.steps[0].undo.actions[0].uses == "town.delete_wall"


@pytest.mark.parametrize("others", [(), (action("town.delete_wall", Id=needed()),)], ids=["unknown", "needs-more"])
def test_an_undo_that_cannot_be_filled_in_is_asked_for_and_nothing_else(others: tuple[ActionSpec, ...]) -> None:
    made = action("town.create_wall", Name=needed())
    text = draft_from_action("a-thing", made, Actions(made, *others), kind="resource")

    assert codes(drafted(made, *others)) == ["undo-missing"]
    assert "TO FILL IN" in text
    assert all(f"uses: {other.name}, with: {{Id: ...}}" in text for other in others)


def test_what_only_reads_has_no_undo() -> None:
    assert codes(drafted(action("town.read_wall", EffectClass.READ_ONLY, Name=needed()), kind="information")) == []


def test_hosts_are_filled_in_or_asked_for() -> None:
    made = replace(action("runbook.wall", made_by=needed()), takes_hosts=True, content_digest="c0ffee")
    absent = replace(action("runbook.wall_absent", made_by=needed()), takes_hosts=True, content_digest="decaf")

    plan = drafted(made, absent, hosts="walls").plan

    assert plan is not None
    assert plan.input_order == ()  # the request itself answers who made it
    assert codes(drafted(made, absent)) == ["hosts-missing"]


def test_results_that_are_not_secret_become_outputs() -> None:
    result = ObjectType(
        members={"WallId": Member(type=TEXT), "Key": Member(type=StringType(secret=True)), "Parts": Member(type=WALL)}
    )
    made = replace(action("town.read_wall", EffectClass.READ_ONLY), result=result)
    plan = drafted(made).plan

    assert plan is not None
    assert [output.name for output in plan.outputs] == ["wall_id"]


def test_names_that_become_one_stay_two() -> None:
    result = ObjectType(members={"wallId": Member(type=TEXT), "WallId": Member(type=TEXT)})
    made = action("town.read_wall", EffectClass.READ_ONLY, wallId=needed(), WallId=needed())
    plan = drafted(replace(made, result=result)).plan

    assert plan is not None
    assert plan.input_order == ("wall_id", "wall_id_2")


@given(st.text(min_size=1, max_size=60), st.text(max_size=200))
def test_whatever_an_interface_says_the_draft_is_yaml(title: str, description: str) -> None:
    made = action("town.read_wall", EffectClass.READ_ONLY, Name=needed(StringType(description=description)))
    plan = drafted(replace(made, title=title)).plan

    assert plan is not None
    assert plan.title["en"] == title


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_bears_the_name_and_its_kind(kind: Kind) -> None:
    source, diagnostics = load_model("model.yaml", draft_from_template("no", kind))

    assert source is not None, [str(found) for found in diagnostics]
    assert (source.model, source.document.kind) == ("no", kind)


@pytest.mark.parametrize("name", ["", "a b", "../a", "a--b", "-a", "ä", "a\n", "x" * 64])
def test_a_name_that_no_model_can_have_is_refused(name: str) -> None:
    with pytest.raises(BadModelName):
        draft_from_template(name, "access")

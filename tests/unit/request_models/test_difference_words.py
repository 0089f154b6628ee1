"""What changed between two versions of a model, and what it means for orders and requests in flight."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from request_models.compiler import Compilation
from request_models.differences.difference import Difference, difference, render_difference
from request_models.differences.inputs import inputs_changed
from request_models.inputs import schema_problems
from request_models.json_values import canonical_json
from request_models.plan import Plan

MODEL = """
model: box
title: A box
kind: resource
service: boxes
owners: {accountable: anna, responsible: [platform], informed: [finance]}
target: {cloud: {account: main}}
inputs:
  project: {type: string, pattern: "^[a-z]{3,20}$"}
  size: {type: integer, minimum: 1, maximum: 50, default: 3}
  place: {type: string, enum: [eu-west-1, eu-central-1], default: eu-west-1}
values: {name: "box-{{ inputs.project }}"}
due: {within: PT15M}
steps:
  - id: make
    uses: cloud.make_box
    with: {Name: "{{ values.name }}", Size: "{{ inputs.size }}", Place: {LocationConstraint: "{{ inputs.place }}"}}
    retry: {attempts: 3, delay: PT2S}
    undo: {uses: cloud.drop_box, with: {Name: "{{ args.Name }}"}}
  - id: account
    uses: host.account
    hosts: servers
    with: {name: "{{ inputs.project }}"}
    undo: {uses: host.account_absent, with: {name: "{{ args.name }}"}}
  - id: tell
    uses: note.send
    with: {to: "{{ user.email }}", text: "Box {{ steps.make.result.Id }}"}
    undo: {none: A note cannot be called back.}
outputs: {box: {value: "{{ steps.make.result.Id }}"}, name: {value: "{{ values.name }}"}}
"""

Compare = Callable[..., Difference]


@pytest.fixture
def compare(compile_text: Callable[[str], Compilation]) -> Compare:
    """The difference that an edit of the model makes: pairs of an old text and the new one."""

    def plan_of(text: str) -> Plan:
        compilation = compile_text(text)
        assert compilation.plan is not None, [str(found) for found in compilation.diagnostics]
        return compilation.plan

    def compared(*edits: tuple[str, str]) -> Difference:
        text = MODEL
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return difference(plan_of(MODEL), plan_of(text))

    return compared


def said(found: Difference) -> list[tuple[str, str]]:
    return [(str(change.area), change.message) for change in found.changes]


def test_a_version_that_is_the_same_changes_nothing(compare: Compare) -> None:
    found = compare()

    assert (found.changes, found.same_plan) == ((), True)
    assert render_difference(found).startswith("Nothing changed.\n")


def test_texts_are_told_and_the_plan_stays_the_same(compare: Compare) -> None:
    found = compare(("title: A box", "title: A small box"))

    assert said(found) == [("texts", "another title")]
    assert found.same_plan
    assert found.in_flight == ("Requests in flight: the plan is the same.",)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("accountable: anna", "accountable: bo", ("owners", "bo is accountable instead of anna")),
        ("informed: [finance]", "informed: [audit, finance]", ("owners", "audit is informed now")),
        ("within: PT15M", "within: PT10M", ("due", "due sooner: within 10 min, no longer 15 min")),
        ("within: PT15M", "within: PT15M, stops_in: [waiting]", ("due", "the clock stops in waiting now")),
        ("box-{{", "crate-{{", ("values", "`name` is crate-{{ inputs.project }}, no longer box-{{ inputs.project }}")),
        ("hosts: servers", "hosts: others", ("steps", '`account` runs on "others", no longer on "servers"')),
        (
            "hosts: servers",
            "hosts: servers\n    when: inputs.size > 3",
            ("steps", "`account` runs only when inputs.size > 3"),
        ),
        (
            "attempts: 3",
            "attempts: 5",
            (
                "steps",
                ("`make` is tried 5 times, 2 s apart, on transient errors; before: "
                "3 times, 2 s apart, on transient errors"),
            ),
        ),
        (
            'Size: "{{ inputs.size }}"',
            "Size: 4",
            ("steps", "`make` gives `Size`: 4, no longer {{ inputs.size }}"),
        ),
        (
            'undo: {uses: host.account_absent, with: {name: "{{ args.name }}"}}',
            "undo: {none: Accounts stay.}",
            (
                "undo",
                ("`account` is never undone (Accounts stay.); before: it is undone by host.account_absent "
                '{"name":"{{ args.name }}"}'),
            ),
        ),
        (', name: {value: "{{ values.name }}"}}', "}", ("outputs", "`name` is gone")),
        ("service: boxes", "service: crates", ("model", "it belongs to the service crates, no longer to boxes")),
    ],
)  # fmt: skip
def test_a_change_is_told_once_in_words(compare: Compare, old: str, new: str, change: tuple[str, str]) -> None:
    found = compare((old, new))

    assert said(found) == [change]
    assert not found.same_plan
    assert found.changes[0].message in render_difference(found)


def test_steps_that_come_go_and_move_are_told_with_their_place(compare: Compare) -> None:
    tell = MODEL[MODEL.index("  - id: tell") : MODEL.index("outputs:")]
    account = MODEL[MODEL.index("  - id: account") : MODEL.index("  - id: tell")]
    found = compare((account + tell, tell.replace("id: tell", "id: look") + tell + account))

    messages = [message for area, message in said(found) if area == "steps"]

    assert "`look` is new: note.send, after `make`" in messages
    assert sum("runs" in message for message in messages) == 1
    assert ("undo", "`look` is never undone: A note cannot be called back.") in said(found)


def test_a_step_that_is_gone_is_told(compare: Compare) -> None:
    account = MODEL[MODEL.index("  - id: account") : MODEL.index("  - id: tell")]

    assert said(compare((account, ""))) == [("steps", "`account` is gone (host.account)")]


def test_a_step_that_only_has_another_name_is_not_told_as_gone(compare: Compare) -> None:
    found = compare(("- id: account", "- id: login"))

    assert said(found) == [("steps", "`account` is called `login` now")]


def test_a_new_input_that_must_be_given_may_refuse_orders(compare: Compare) -> None:
    found = compare(("values: {name", '  reason: {type: string}\nvalues: {why: "{{ inputs.reason }}", name'))

    assert [change.name for change in found.changes if change.refuses] == ["reason"]
    assert found.new_orders[0].endswith("may be refused now, because of `reason`.")
    assert "  ! `reason` is new: it must be given" in render_difference(found)


def test_outputs_that_are_gone_are_told_to_whoever_reads_them(compare: Compare) -> None:
    found = compare((', name: {value: "{{ values.name }}"}}', "}"))

    assert found.new_orders == (
        "New orders: every order that was valid before is valid now.",
        "Whoever reads the outputs of requests finds no `name` in new ones.",
    )


def test_for_tools_it_is_json(compare: Compare) -> None:
    found = compare(("maximum: 50", "maximum: 20"))

    answer: Any = found.to_json()

    canonical_json(answer)
    assert answer["may_refuse"] is True
    assert answer["changes"] == [
        {
            "area": "inputs",
            "name": "size",
            "message": "`size` must be 20 at most, no longer 50",
            "refuses": True,
            "delays": False,
        }
    ]


def inputs(required: bool = True, **schema: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"a": schema},
        "required": ["a"] if required else [],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("was", "now", "message", "refuses"),
    [
        ({"maxLength": 5}, {"maxLength": 4}, "must be 4 characters at most, no longer 5", True),
        ({"maxLength": 5}, {"maxLength": 6}, "must be 6 characters at most, before: 5", False),
        ({"minimum": 1}, {}, "is no longer limited to 1 at least", False),
        ({}, {"minimum": 1}, "must be 1 at least", True),
        ({"enum": ["x", "y"]}, {"enum": ["x"]}, "can no longer be y", True),
        ({"enum": ["x"]}, {"enum": ["x", "y"]}, "can be y now", False),
        ({"enum": [1, 2]}, {"enum": [True, 2]}, "can no longer be 1", True),
        ({}, {"enum": ["x"]}, "is a choice now: x", True),
        ({"type": "integer"}, {"type": "number"}, "is a number, no longer a whole number", False),
        ({"type": "number"}, {"type": "integer"}, "is a whole number, no longer a number", True),
        ({}, {"pattern": "^a$"}, "must match ^a$", True),
        ({"pattern": "^a$"}, {}, "need no longer match ^a$", False),
        ({}, {"uniqueItems": True}, "must not hold an item twice", True),
        ({"multipleOf": 4}, {"multipleOf": 2}, "must be a multiple of 2, no longer 4", False),
        ({"multipleOf": 2}, {"multipleOf": 3}, "must be a multiple of 3, no longer 2", True),
        ({}, {"writeOnly": True}, "is secret now", False),
        ({"default": 1}, {"default": 2}, "is 2 when it is left out", False),
        ({"items": {"maxLength": 3}}, {"items": {"maxLength": 2}}, "in each item must be 2 characters at most", True),
        ({"title": "A"}, {"title": "B"}, "has another title", False),
        ({}, {"contains": {"const": 1}}, "is described otherwise by `contains`", True),
    ],
)  # fmt: skip
def test_each_keyword_of_an_input_is_judged(was: Any, now: Any, message: str, refuses: bool) -> None:
    (name, told, refusing), *_ = inputs_changed(inputs(**was), inputs(**now))

    assert name == "a"
    assert told.startswith(f"`a` {message}")
    assert refusing is refuses


def test_what_must_be_given_now_may_refuse_and_what_may_be_left_out_does_not() -> None:
    optional, needed = inputs(required=False, type="string"), inputs(type="string")

    assert [refuses for _, _, refuses in inputs_changed(optional, needed)] == [True]
    assert [refuses for _, _, refuses in inputs_changed(needed, optional)] == [False]


SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", ["string", "integer"]]),
        "enum": st.lists(st.sampled_from([1, 2, "a", "ab", 2.5, True]), min_size=1, max_size=3, unique_by=repr),
        "minimum": st.integers(0, 3),
        "maximum": st.integers(0, 3),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "multipleOf": st.integers(1, 3),
        "pattern": st.sampled_from(["^a", "b$"]),
        "default": st.integers(0, 1),
    },
)
VALUES = [*range(-1, 7), True, 1.0, 0.5, 2.5, "", "a", "b", "ab", "abc"]


@settings(max_examples=300)
@given(SCHEMAS, SCHEMAS, st.booleans(), st.booleans())
def test_no_order_that_was_valid_is_refused_unless_it_was_said(was: Any, now: Any, needed: bool, needs: bool) -> None:
    before, after = inputs(needed, **was), inputs(needs, **now)
    if any(refuses for _, _, refuses in inputs_changed(before, after)):
        return
    for order in ({}, *({"a": value} for value in VALUES)):
        if not schema_problems(before, order):
            assert not schema_problems(after, order)

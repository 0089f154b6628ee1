"""One thing of a model is changed, and nothing else: comments, order, quotes and blank lines stay."""

import difflib

import pytest
from ruamel.yaml import YAML

from request_models.rewriting import CannotRewrite, append, drop, move_to_prerequisites, put, together

MODEL = """\
# A disk, for everyone.
model: disk   # its name
due: {within: PT15M}     # agreed with finance

inputs:
  size: {type: integer, minimum: 1}
  region:
    type: string   # where
    enum: [a, b]

approvals:
  - {id: large, when: inputs.size > 10, by: ["group:x"]}
steps:
  # first of all
  - id: make
    uses: disk.make
    retry: {attempts: 4, delay: PT2S, errors: [transient, unknown]}

  - id: tag
    uses: disk.tag   # cheap
    with: {text: "a: b"}
  - parallel:
      - {id: one, uses: disk.one}
      - id: two
        uses: disk.two
        with:
          text: |
            several
            lines

# The end.
"""


def changed(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (
            "due.within",
            "PT1H",
            ["-due: {within: PT15M}     # agreed with finance", "+due: {within: PT1H}     # agreed with finance"],
        ),
        ("inputs.region.default", "a", ["+    default: a"]),
        (
            "inputs.size.default",
            5,
            ["-  size: {type: integer, minimum: 1}", "+  size: {type: integer, minimum: 1, default: 5}"],
        ),
        ("steps.tag.timeout", "PT30S", ["+    timeout: PT30S"]),
        ("steps.tag.retry.attempts", 3, ["+    retry: {attempts: 3}"]),
        (
            "steps.one.timeout",
            "PT1M",
            ["-      - {id: one, uses: disk.one}", "+      - {id: one, uses: disk.one, timeout: PT1M}"],
        ),
        ("steps.two.timeout", "PT1M", ["+        timeout: PT1M"]),
        ("steps.two.uses", "no", ["-        uses: disk.two", '+        uses: "no"']),
        (
            "approvals.large.when",
            "not (inputs.size == 1)",
            [
                '-  - {id: large, when: inputs.size > 10, by: ["group:x"]}',
                '+  - {id: large, when: "not (inputs.size == 1)", by: ["group:x"]}',
            ],
        ),
    ],
    ids=[
        "in-braces",
        "block",
        "new-in-braces",
        "after-comment",
        "nested",
        "branch",
        "after-literal",
        "trap",
        "approval",
    ],
)
def test_a_value_is_set_and_nothing_else_changes(place: str, value: object, expected: list[str]) -> None:
    after = put(MODEL, place, value)  # type: ignore[arg-type]
    assert [line[0] + line[2:] for line in changed(MODEL, after)] == expected
    assert YAML(typ="safe").load(after)["model"] == "disk"


def test_entries_are_taken_out_with_what_is_left_empty() -> None:
    assert changed(MODEL, drop(MODEL, "approvals.large")) == [
        "- approvals:",
        '-   - {id: large, when: inputs.size > 10, by: ["group:x"]}',
    ]
    assert "retry: {attempts: 4, errors: [transient, unknown]}" in drop(MODEL, "steps.make.retry.delay")
    assert "retry: {attempts: 4, delay: PT2S}" in drop(MODEL, "steps.make.retry.errors")
    tagless = drop(MODEL, "steps.tag")
    assert YAML(typ="safe").load(tagless)["steps"][0]["id"] == "make"
    assert len(YAML(typ="safe").load(tagless)["steps"]) == 2
    assert "# first of all" in tagless
    assert "# The end." in drop(MODEL, "steps.two")
    assert YAML(typ="safe").load(drop(MODEL, "steps.make.id"))["steps"][0]["uses"] == "disk.make"


def test_neighbours_are_put_together() -> None:
    after = YAML(typ="safe").load(together(MODEL, ["make", "tag"]))
    before = YAML(typ="safe").load(MODEL)
    assert after["steps"][0] == {"parallel": before["steps"][:2]}
    assert after["steps"][1:] == before["steps"][2:]
    assert "# cheap" in together(MODEL, ["make", "tag"])


def test_a_step_is_added_at_the_end() -> None:
    after = append(MODEL, "steps", {"id": "last", "uses": "disk.last"})
    assert YAML(typ="safe").load(after)["steps"][-1] == {"id": "last", "uses": "disk.last"}
    assert after.rstrip().endswith("# The end.")


@pytest.mark.parametrize("place", ["steps.none.timeout", "approvals.none.when", "prerequisites.x.uses"])
def test_what_is_not_there_is_told(place: str) -> None:
    with pytest.raises(CannotRewrite):
        drop(MODEL, place)


def test_steps_that_are_apart_are_not_put_together() -> None:
    with pytest.raises(CannotRewrite, match="one after the other"):
        together(MODEL, ["make", "one"])
    with pytest.raises(CannotRewrite, match="no `nowhere`"):
        together(MODEL, ["nowhere", "one"])


def test_what_is_no_model_is_told() -> None:
    for text in ("[", "- a", ""):
        with pytest.raises(CannotRewrite):
            put(text, "due", 1)


def test_a_step_that_reads_becomes_a_prerequisite() -> None:
    before = YAML(typ="safe").load(MODEL)
    once = move_to_prerequisites(MODEL, "steps.tag")
    after = YAML(typ="safe").load(once)
    assert after["prerequisites"] == [before["steps"][1]]
    assert [step.get("id") for step in after["steps"]] == ["make", None]
    twice = YAML(typ="safe").load(move_to_prerequisites(once, "steps.one"))
    assert [one["id"] for one in twice["prerequisites"]] == ["tag", "one"]
    assert "# The end." in once

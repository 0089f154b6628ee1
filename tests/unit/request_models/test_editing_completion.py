"""What completes at the cursor, which the texts mark with `|`; most of them are no YAML yet."""

from collections.abc import Callable

import pytest

from request_models.editing.catalogue import Knowledge
from request_models.editing.completion import complete
from request_models.editing.items import Completion

Complete = Callable[[str], Completion]

STEP = """\
inputs:
  region: {type: string, enum: [eu-west-1, us-east-1]}
  until: {type: string, format: date}
values: {name: "{{ inputs.region }}-box", plain: "{{ inputs.region }}", loop: "{{ values.loop }}"}
steps:
  - id: make
    uses: cloud.make_box
"""


@pytest.fixture
def at(knowledge: Knowledge) -> Complete:
    def completed(marked: str) -> Completion:
        offset = marked.index("|")
        return complete(marked[:offset] + marked[offset + 1 :], offset, knowledge)

    return completed


def labels(completion: Completion) -> list[str]:
    return [item.label for item in completion.items]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("steps:\n  - uses: cloud.ma|", "cloud.make_box"),
        ("steps:\n  - uses: make|", "cloud.make_box"),
        ("steps:\n  - uses: cloud.mbx|", "cloud.make_box"),
        ("steps:\n  - {id: a, uses: 'note.|", "note.send"),
        ("steps:\n  - {id: a, uses: host.|}\n  - id: b\n", "host.account"),
        ("steps:\n  - id: a\n    undo: {uses: cloud.dr|}", "cloud.drop_box"),
        ("steps:\n  - parallel:\n      - {id: a, uses: cloud.re|}\n", "cloud.read_box"),
        ("steps:\n  - id: g\n    steps:\n      - id: a\n        uses: cloud.re|\n    else:\n", "cloud.read_box"),
        ("verify:\n  - {uses: cloud.re|", "cloud.read_box"),
        ("steps:\n  - uses: hum|", "human.task"),
    ],
)
def test_actions_complete_by_any_part_of_their_name_wherever_one_is_used(at: Complete, text: str, first: str) -> None:
    assert labels(at(text))[0] == first


def test_before_anything_is_typed_systems_are_offered_and_go_on_with_a_dot(at: Complete) -> None:
    found = at("steps:\n  - uses: |")
    assert {"cloud", "host", "note"} <= set(labels(found))
    assert next(item.insert for item in found.items if item.label == "cloud") == "cloud."
    assert not found.complete


def test_what_stands_behind_the_cursor_is_replaced_too(at: Complete) -> None:
    text = "steps:\n  - uses: cloud.ma|ke_bx  # why\n"
    item = at(text).items[0]
    plain = text.replace("|", "")
    assert f"{plain[: item.span.start]}{item.insert}{plain[item.span.end :]}" == plain.replace("make_bx", "make_box")


@pytest.mark.parametrize(
    "text",
    [
        f"{STEP}    with:\n      |",
        f"{STEP}    with:\n      |\n  - id: next\n",
        f"{STEP}    with:\n      |\n      Size: 3\n",
        f"{STEP}    with: {{|",
        f"{STEP}    with: {{Size: 3, |}}\n  - id: next\n",
        "steps:\n  - parallel:\n      - id: a\n        uses: cloud.make_box\n        with:\n          |\n",
    ],
)
def test_arguments_that_must_be_given_come_first(at: Complete, text: str) -> None:
    item = at(text).items[0]
    assert (item.label, item.insert) == ("Name", "Name: ")
    assert item.detail.startswith("required")


def test_an_argument_says_its_type_its_limits_and_the_systems_own_words(at: Complete) -> None:
    (size,) = [item for item in at(f"{STEP}    with:\n      Si|").items if item.label == "Size"]
    assert "1 to 100" in size.documentation
    assert "How big the box is" in size.documentation


def test_what_is_given_already_is_still_offered_where_it_is_renamed_without_a_second_colon(at: Complete) -> None:
    (size,) = [item for item in at(f"{STEP}    with:\n      Si|ez: 3").items if item.label == "Size"]
    assert size.insert == "Size"


def test_parts_of_arguments_complete_by_their_types(at: Complete) -> None:
    assert labels(at(f"{STEP}    with:\n      Place: {{|}}")) == ["LocationConstraint"]
    assert labels(at(f"{STEP}    with:\n      Place:\n        LocationConstraint: eu-c|")) == ["eu-central-1"]
    assert labels(at(f"{STEP}    with:\n      Labels:\n        - |")) == ["Key", "Value"]
    assert labels(at(f"{STEP}    with:\n      Labels:\n        - Key: a\n          |")) == ["Key", "Value"]


def test_a_value_within_quotes_brings_none_of_its_own(at: Complete) -> None:
    (item,) = at(f'{STEP}    with:\n      Place: {{LocationConstraint: "eu-c|"}}').items
    assert item.insert == "eu-central-1"


def test_an_action_that_does_not_exist_has_no_arguments(at: Complete) -> None:
    assert at("steps:\n  - uses: cloud.no_such\n    with:\n      |").items == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("|", ["model", "title", "kind", "service", "owners", "due", "steps"]),
        ("model: a\nkind: ac|", ["access", "service-action"]),
        ("due: {wi|", ["within"]),
        ("steps:\n  - id: a\n    paral|", ["parallel"]),
        ("steps:\n  - id: a\n    steps:\n      - id: b\n        unti|", ["until"]),
        ("approvals:\n  - quo|", ["quorum"]),
        ("steps:\n  - id: a\n    uses: human.task\n    with: {|", ["team", "instructions"]),
        ("inputs:\n  a:\n    type: str|", ["string"]),
        (f"{STEP}    retry: {{errors: [tra|", ["transient"]),
        (f"{STEP}  - id: next\n    undo: {{covered_by: |}}", ["make"]),
        (f"{STEP}    target:\n      |", ["cloud"]),
        (f"{STEP}    target: {{cloud: {{region: |}}}}", ["eu-west-1", "us-east-1"]),
        ("steps:\n  - id: a\n    uses: host.account\n    hosts: [|]", ["file_servers", "linux_servers"]),
    ],
)
def test_the_language_completes(at: Complete, text: str, wanted: list[str]) -> None:
    assert labels(at(text))[: len(wanted)] == wanted


def test_no_key_is_offered_beside_another_on_its_line(at: Complete) -> None:
    assert at("due: |").items == ()
    assert at(f"{STEP}    with: |").items == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f'{STEP}    with: {{Name: "{{{{ inputs.|', {"region", "until"}),
        (f"{STEP}    with:\n      Name: {{{{ inputs.|\n  - id: next\n", {"region", "until"}),
        (f"{STEP}    when: inputs.until.|", set()),
        (f"{STEP}    when: requester.|", {"id", "name", "email", "groups", "manager", "active"}),
        (f"{STEP}    when: settings.limits.|", {"boxes"}),
        (f"{STEP}    when: steps.|", set()),
        (f"{STEP}  - id: next\n    when: steps.|", {"make"}),
        (f"{STEP}  - id: next\n    when: steps.make.|", {"state", "result", "args"}),
        (f"{STEP}  - id: next\n    when: steps.make.result.|", {"Id", "Count", "Key", "Tags"}),
        (f"{STEP}    expect: result.|", {"Id", "Count", "Key", "Tags"}),
        (
            f'{STEP}    with: {{Name: a, Size: 3}}\n    undo: {{uses: cloud.drop_box, with: {{Name: "{{{{ args.|',
            {"Name", "Size"},
        ),
        (f"{STEP}outputs:\n  box:\n    value: >-\n      {{{{ steps.make.result.|\n", {"Id", "Count", "Key", "Tags"}),
        (
            "prerequisites:\n  - {id: look, uses: cloud.read_box}\nvalues: {a: '{{ facts.look.|'}",
            {"Id", "State"},
        ),
        (
            (
                "steps:\n  - {id: ask, uses: human.task, returns: {type: object, properties: {left: {type: string}}}}\n"
                "  - {id: b, when: steps.ask.result.|}\n"
            ),
            {"left"},
        ),
    ],
)
def test_names_complete_by_their_types(at: Complete, text: str, wanted: set[str]) -> None:
    assert set(labels(at(text))) == wanted


LOOP = """\
steps:
  - id: each
    for_each: "{{ [{'name': 'a', 'size': 1}] }}"
    steps:
      - id: inner
        uses: cloud.make_box
      - id: second
        uses: note.send
        when: |
  - id: after
    uses: note.send
    when: ?
"""


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [("item.", {"name", "size"}), ("steps.", {"inner"}), ("steps.inner.result.", {"Id", "Count", "Key", "Tags"})],
)
def test_within_a_loop_its_item_and_its_steps_are_in_scope(at: Complete, expression: str, wanted: set[str]) -> None:
    assert set(labels(at(LOOP.replace("|", f"{expression}|")))) == wanted


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [("steps.", {"each"}), ("steps.each.", {"state", "items"}), ("steps.each.items[0].steps.", {"inner", "second"})],
)
def test_behind_a_loop_only_its_items_are_in_scope(at: Complete, expression: str, wanted: set[str]) -> None:
    assert set(labels(at(LOOP.replace("|", "true").replace("?", f"{expression}|")))) == wanted


def test_filters_complete_behind_a_bar_and_tests_behind_is(at: Complete, knowledge: Knowledge) -> None:
    cursor = f'{STEP}    with: {{Name: "{{{{ inputs.region ¦ upp'
    text = cursor.replace("¦", "|")
    found = complete(text, len(text), knowledge)
    assert [item.label for item in found.items][:1] == ["upper"]
    assert labels(at(f"{STEP}    when: inputs.region is def|"))[:1] == ["defined"]


def test_nothing_completes_in_a_text_of_an_expression_or_in_a_comment(at: Complete) -> None:
    assert at(f"{STEP}    when: inputs.region == 'eu|'").items == ()
    assert at(f"{STEP}    # uses: cloud.|").items == ()


def test_a_value_that_reads_itself_has_no_members(at: Complete) -> None:
    assert at(f"{STEP}    when: values.loop.|").items == ()


@pytest.mark.parametrize(
    "text",
    [
        "{" * 5_000,
        "[" * 5_000,
        "- " * 5_000,
        "a: {b: " * 5_000,
        '"' * 5_001,
        "\n".join(f"{' ' * depth}a:" for depth in range(1_000)),
        "\t- : : }{][ |>\n" * 500,
        "a: &x *x\n<<: *a\n? b\n: c\n",
        "\ue000" * 10,
        "a: 'b''c\n" * 1_000,
    ],
    ids=["braces", "brackets", "dashes", "nested", "quotes", "deep", "noise", "anchors", "marks", "open quotes"],
)
def test_no_text_is_too_odd(text: str, knowledge: Knowledge) -> None:
    for offset in (0, len(text) // 2, len(text)):
        assert isinstance(complete(text, offset, knowledge), Completion)

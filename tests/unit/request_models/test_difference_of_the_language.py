"""What changed in approvals, branches, loops, leases and so on: each change in a line, and what it means."""

from collections.abc import Callable
from pathlib import Path

import pytest

from request_models.compiler import Compilation
from request_models.differences.difference import Difference, difference, render_difference
from request_models.plan import Plan

MODEL = (Path(__file__).parents[2] / "golden" / "every-key" / "model.yaml").read_text(encoding="utf-8")
SECOND = '      - {id: second, uses: cloud.make_box, with: {Name: "{{ values.box }}-b"}, undo: {covered_by: create}}\n'

Compare = Callable[..., Difference]


@pytest.fixture
def compare(compile_text: Callable[[str], Compilation]) -> Compare:
    """The difference that an edit of the model makes: pairs of an old text and the new one."""

    def plan_of(text: str) -> Plan:
        compilation = compile_text(text)
        plan = compilation.stages.get("planned")
        assert isinstance(plan, Plan), [str(found) for found in compilation.diagnostics]
        return plan

    def compared(*edits: tuple[str, str]) -> Difference:
        text = MODEL
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return difference(plan_of(MODEL), plan_of(text))

    return compared


def said(found: Difference) -> list[str]:
    return [f"{change.area}: {change.message}" for change in found.changes]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("within: PT10M, allowance: 0.05", "within: PT20M, allowance: 0.05",
         "suppliers: `cloudy` has agreed to 20 min, no longer 10 min"),
        ("within: PT10M, allowance: 0.05", "within: PT10M, allowance: 0.1",
         "suppliers: `cloudy` may be late in 10.0000% of its work, no longer 5.0000%"),
        ("steps: [create]}", "steps: [create, ready]}",
         "suppliers: `cloudy` does `create` and `ready`, no longer `create`"),
        ("  user: user.active\n", "  user: not user.active\n",
         "eligible: for whom it may be ordered changed: {{ not user.active }}, no longer {{ user.active }}"),
        ("quorum: 1, order: any", "quorum: 2, order: any", "approvals: `large` needs 2 to agree, no longer 1"),
        ("quorum: 1, order: any", "quorum: 1, order: written", "approvals: `large` asks one after the other now"),
        ("within: P2D, remind", "within: P3D, remind", "approvals: `large` waits 3 d, no longer 2 d"),
        ('by: ["manager:user", "group:box-approvers"]', 'by: ["manager:user"]',
         "approvals: `large` is decided by manager:user, no longer manager:user, group:box-approvers"),
        ("before: create, message", "before: ready, message",
         "approvals: `large` is asked before `ready`, no longer before `create`"),
        ("if_silent: reject, before: create,", "if_silent: reject,",
         "approvals: `large` is asked before the start, no longer before `create`"),
        ("duration('PT1M')", "duration('PT2M')",
         ("starts: a request starts not before {{ request.submitted + duration('PT2M') }}, "
          "no longer {{ request.submitted + duration('PT1M') }}")),
        ("concurrency: 4", "concurrency: 2", "steps: the group `join` does 2 of its items at once, no longer 4"),
        ("    key: item\n", "", "steps: the group `join` tells its items apart by what is in them, no longer by item"),
        ("    on_failure: continue\n", "",
         "steps: the group `join` holds the request when it fails; before: lets the request go on"),
        ("    every: PT5S\n", "    every: PT9S\n", "steps: `ready` looks every 9 s, no longer every 5 s"),
        ("    not_yet: [NoSuchBox]\n", "", "steps: `ready` fails on NoSuchBox, and no longer looks on"),
        ("on_failure: undo\n", "",
         "model: a failure holds the request; before: takes back what was done and holds the request"),
        ('Name: "{{ args.Name }}"}, retry: {attempts: 3,', 'Name: "{{ args.Name }}"}, retry: {attempts: 2,',
         ("undo: `create` when it is undone, cloud.drop_box is tried 2 times, 2 s apart, on transient errors; "
          "before: 3 times, 2 s apart, on transient errors")),
        ("otherwise: The box is gone.", "otherwise: It is gone.",
         'verify: the look cloud.read_box says otherwise: "It is gone.", no longer "The box is gone."'),
        ("once: true, to: user", "once: true", "outputs: `key` is for requester and user, no longer for user"),
        ('to: [requester, user, "chat:ops"]', "to: [requester]",
         "notify: when it is fulfilled, on_hold, failed, requester are told, no longer requester, user, chat:ops"),
        ("requester: box-monitor", "requester: night-watch",
         "triggers: events of alertmanager order it as night-watch, no longer as box-monitor"),
        ("lease: {for: P90D", "lease: {for: P30D", "lease: what is granted lasts 30 d, no longer 90 d"),
        (", shown_to: approvers", "", "inputs: `reason` is shown to everybody, no longer to approvers"),
        ("title: Project}", "title: Your project}", "texts: another title of the input `project`"),
        ('ask: "Was the form clear?"', 'ask: "Was it clear?"', "texts: another wording of the question `clear`"),
    ],
)  # fmt: skip
def test_a_change_is_told_in_one_line(compare: Compare, old: str, new: str, told: str) -> None:
    assert said(compare((old, new))) == [told]


def test_a_step_that_goes_out_of_its_branch_is_told_with_where_it_stands(compare: Compare) -> None:
    block = "the parallel block of `second` and `account`"
    third = '      - {id: third, uses: cloud.read_box, with: {Name: "{{ values.box }}"}}\n'
    found = compare((SECOND, third), ("  - id: ready\n", SECOND.replace("      - ", "  - ") + "  - id: ready\n"))

    assert said(found) == [
        "steps: `third` is new: cloud.read_box, beside others, in the parallel block of `third` and `account`",
        f"steps: `second` stands on its own now, no longer beside others, in {block}",
    ]


def test_a_step_that_goes_into_a_loop_and_one_into_an_else_are_told(compare: Compare) -> None:
    one = '      - {id: one, uses: cloud.read_box, with: {Name: "{{ values.box }}"}}\n'
    two = one.replace("one", "two")
    found = compare(("    else:\n", f"    else:\n{one}"), ("      - {id: add,", f"{two}      - {{id: add,"))

    assert said(found) == [
        "steps: `two` is new: cloud.read_box, in the group `join`, first",
        "steps: `one` is new: cloud.read_box, in the `else` of the group `big`, first",
    ]


def test_steps_of_a_group_in_another_order_are_told_by_the_one_that_moved(compare: Compare) -> None:
    small = '      - {id: small, uses: cloud.read_box, with: {Name: "{{ values.box }}"}}\n'
    other = small.replace("small", "other").replace("values.box }}", "values.box }}-2")
    found = difference(compare((small, small + other)).after, compare((small, other + small)).after)

    assert said(found) == ["steps: `other` runs first now"]


def test_a_group_that_is_new_and_gone_is_told_with_what_it_is(compare: Compare) -> None:
    start, end = MODEL.index("  - id: big\n"), MODEL.index("  - id: by_hand\n")
    found = compare((MODEL[start:end], ""))

    assert said(found) == [
        "steps: the group `big` is gone, when inputs.size > 50",
        "steps: `until_then` is gone (wait.until)",
        "steps: `small` is gone (cloud.read_box)",
    ]


def test_an_approval_that_is_new_makes_new_orders_wait_and_no_request_in_flight(compare: Compare) -> None:
    found = compare(("approvals:\n", 'approvals:\n  - {id: money, by: ["group:finance"]}\n'))

    assert said(found) == ["approvals: `money` is new: 1 of group:finance must approve"]
    assert [change.delays for change in found.changes] == [True]
    assert "They may wait longer than before: for an approval." in found.new_orders
    assert found.to_json()["may_delay"] is True
    assert any(line.startswith("Those that wait for an approval go on waiting") for line in found.in_flight)


def test_who_may_order_is_marked_as_refusing_when_it_narrows_and_not_when_it_is_opened(compare: Compare) -> None:
    narrowed = compare(("  user: user.active\n", "  user: user.active and user.id != 'bo'\n"))
    opened = compare(("  user: user.active\n", ""))

    assert "  ! for whom it may be ordered changed" in render_difference(narrowed)
    assert narrowed.new_orders[0].endswith("because of `for whom it may be ordered`.")
    assert [change.refuses for change in opened.changes] == [False]


def test_a_prerequisite_refuses_when_it_expects_more_and_not_when_it_is_gone(compare: Compare) -> None:
    bare = "  - {id: not_too_big, expect: inputs.size < 100 or facts.budget.Id != '', otherwise: Too large.}\n"

    stricter = compare(("inputs.size < 100 or", "inputs.size < 50 or"))
    gone = compare((bare, ""))

    assert [change.refuses for change in stricter.changes] == [True]
    assert said(gone) == ["prerequisites: `not_too_big` is gone: it is no longer looked at"]
    assert [change.refuses for change in gone.changes] == [False]


def test_other_locks_are_told_with_what_they_mean_while_old_requests_run(compare: Compare) -> None:
    found = compare(('locks: ["box:{{ values.box }}"]', 'locks: ["crate:{{ values.box }}"]'))

    assert said(found) == [
        "locks: crate:{{ values.box }} is locked: one request at a time",
        "locks: box:{{ values.box }} is no longer locked: two requests may work on it at once",
    ]
    assert any("may not see each other's locks" in line for line in found.in_flight)


def test_a_lease_that_comes_does_not_touch_what_was_granted(compare: Compare) -> None:
    found = compare((MODEL[MODEL.index("lease:") : MODEL.index("examples:")], ""))

    assert said(found) == ["lease: what is granted no longer ends after 90 d"]
    assert "What was granted before keeps the lease it was granted with." in found.in_flight


def test_an_output_that_is_read_once_now_is_told_to_its_readers(compare: Compare) -> None:
    found = compare((", once: true", ""))
    once = difference(found.after, found.before)

    assert said(once) == ["outputs: `key` can be read only once, then it is erased"]
    assert "Whoever reads `key` a second time finds it erased." in once.new_orders


def test_a_long_text_shows_the_part_that_is_different(compare: Compare) -> None:
    found = compare(("| join(', ') }}.\"", "| join(', ') }} by hand.\""))

    (message,) = said(found)
    assert "by hand." in message
    assert "…" in message


def test_the_order_of_the_form_is_a_text_and_leaves_the_plan_the_same(compare: Compare) -> None:
    ends = "  ends: {type: string, format: date, when: inputs.size > 50}\n"
    found = compare((ends, ""), ("values: {box", f"{ends}values: {{box"))

    assert said(found) == ["texts: the form asks in another order"]
    assert found.same_plan

"""Which steps depend on changed inputs: directly, through values and results, and through the blocks around them."""

import pytest

from request_models.actions import EffectClass
from request_models.dependence import concerned_approvals, dependents, held_back
from request_models.plan import (
    Approval,
    Block,
    Group,
    InputRule,
    Literal,
    Loop,
    MapOf,
    NamedValue,
    Node,
    Parallel,
    Plan,
    Polling,
    Read,
    Undo,
    UndoAction,
)
from staging import expression, plan_of, step, text


def reading(path: str, source: str, **more: object) -> Block:
    return step(path, EffectClass.IDEMPOTENT, arguments=text(expression(source)), **more)


def found(plan: Plan, *changed: str, unchanged: tuple[str, ...] = ()) -> list[str]:
    return sorted(dependents(plan, set(changed), set(unchanged)))


def test_only_what_reads_the_changed_input_depends_on_it() -> None:
    plan = plan_of(reading("one", "inputs.region"), reading("two", "inputs.size"), reading("three", "inputs.reg"))
    assert found(plan, "inputs.region") == ["one"]
    assert found(plan, "inputs.nothing") == []
    assert found(plan) == []


def test_who_reads_all_inputs_or_a_part_of_one_depends_on_it() -> None:
    plan = plan_of(reading("all", "inputs"), reading("part", "inputs.net.mask"), reading("other", "inputs.network"))
    assert found(plan, "inputs.net") == ["all", "part"]


def test_a_value_carries_the_change_on_unless_it_came_out_the_same() -> None:
    values = (NamedValue("name", expression("inputs.region")), NamedValue("long", expression("values.name")))
    plan = plan_of(reading("one", "values.long"), reading("two", "inputs.size"), values=values)
    assert found(plan, "inputs.region") == ["one"]
    assert found(plan, "inputs.region", unchanged=("values.name",)) == []


def test_results_carry_the_change_on_from_step_to_step() -> None:
    plan = plan_of(
        reading("one", "inputs.region"),
        reading("two", "steps.one.result.id"),
        reading("three", "steps.two.state"),
        reading("four", "steps.other.result"),
    )
    assert found(plan, "inputs.region") == ["one", "three", "two"]


def test_a_prerequisite_carries_the_change_on_through_its_fact() -> None:
    base = step("x")
    budget = Read(
        uses="stage.look",
        contract="1",
        effect=base.effect,
        arguments=text(expression("inputs.project")),
        path="prerequisites.budget",
    )
    plan = plan_of(reading("one", "facts.budget.left"), reading("two", "facts.other"), prerequisites=(budget,))
    assert found(plan, "inputs.project") == ["one", "prerequisites.budget"]


@pytest.mark.parametrize(
    "more",
    [
        {"when": expression("inputs.region == 'x'")},
        {"target": {"region": expression("inputs.region")}},
        {"hosts": expression("inputs.region")},
        {"expect": expression("result == inputs.region")},
        {"loop": Loop(expression("inputs.region"))},
        {"loop": Loop(expression("[1]"), key=expression("inputs.region"))},
        {"polling": Polling(expression("result == inputs.region"), 1, 2)},
    ],
)
def test_conditions_targets_hosts_lists_and_expectations_count(more: dict[str, object]) -> None:
    assert found(plan_of(step("one", EffectClass.IDEMPOTENT, **more), step("two")), "inputs.region") == ["one"]


def test_a_step_that_would_be_undone_otherwise_depends_too() -> None:
    base = step("x")
    arguments: Node = text(expression("inputs.region"))
    assert isinstance(arguments, MapOf)
    undo = Undo(actions=(UndoAction(uses="stage.gone", contract="1", effect=base.effect, arguments=arguments),))
    assert found(plan_of(step("one", undo=undo)), "inputs.region") == ["one"]


def test_what_is_in_a_block_depends_on_the_blocks_condition_and_list() -> None:
    group = Group(blocks=(step("in"),), path="g", when=expression("inputs.big"), alternative=(step("else_in"),))
    loop = Group(blocks=(step("each"),), path="l", loop=Loop(expression("inputs.list")))
    branches = Parallel((step("left"), step("right")), when=expression("inputs.big"))
    plan = plan_of(group, loop, branches, reading("after", "steps.l.items"), step("apart"))
    assert found(plan, "inputs.big") == ["else_in", "in", "left", "right"]
    assert found(plan, "inputs.list") == ["after", "each"]


def test_who_reads_a_block_depends_on_the_steps_in_it_and_its_neighbours_do_not() -> None:
    loop = Group(blocks=(reading("each", "inputs.size"), step("calm")), path="l", loop=Loop(expression("inputs.list")))
    plan = plan_of(loop, reading("after", "steps.l.items"), step("apart", arguments=text(Literal("x"))))
    assert found(plan, "inputs.size") == ["after", "each"]


# approvals


def asks(name: str, **more: object) -> Approval:
    return Approval(name, (Literal("group:g"),), **more)  # type: ignore[arg-type]  # tests pass fields by name


def concerned(plan: Plan, *changed: str, unchanged: tuple[str, ...] = ()) -> list[str]:
    return sorted(concerned_approvals(plan, set(changed), set(unchanged)))


def held(plan: Plan, approval: Approval) -> list[str]:
    return [one.path for one in held_back(plan, approval)]


def test_an_approval_holds_back_everything_or_its_step_and_what_comes_after_it() -> None:
    inner = Group((step("two"), step("three")), path="inner")
    branches = Parallel((Group((step("left"), step("more"))), step("right")))
    plan = plan_of(step("one"), inner, branches, step("last"))
    assert held(plan, asks("all")) == ["one", "two", "three", "left", "more", "right", "last"]
    assert held(plan, asks("a", before="three")) == ["three", "left", "more", "right", "last"]
    assert held(plan, asks("a", before="inner")) == ["two", "three", "left", "more", "right", "last"]
    assert held(plan, asks("a", before="more")) == ["more", "last"]
    assert held(plan, asks("a", before="last")) == ["last"]


def test_an_approval_covers_what_the_steps_it_holds_back_depend_on() -> None:
    first, last = asks("first"), asks("last", before="two")
    plan = plan_of(reading("one", "inputs.region"), reading("two", "inputs.size"), approvals=(first, last))
    assert concerned(plan, "inputs.region") == ["first"]
    assert concerned(plan, "inputs.size") == ["first", "last"]
    assert concerned(plan, "inputs.note") == []


def test_an_approval_covers_what_its_own_words_read_through_values_too() -> None:
    when, words = asks("when", when=expression("values.long")), asks("words", message=expression("inputs.note"))
    values = (NamedValue("long", expression("inputs.days > 9")),)
    plan = plan_of(step("one"), values=values, approvals=(when, words))
    assert concerned(plan, "inputs.note") == ["words"]
    assert concerned(plan, "inputs.days") == ["when"]
    assert concerned(plan, "inputs.days", unchanged=("values.long",)) == []


def test_what_is_shown_to_approvers_is_covered_by_every_approval() -> None:
    rules = {"reason": InputRule(shown_to="approvers")}
    plan = plan_of(step("one"), input_rules=rules, approvals=(asks("a"), asks("b", before="one")))
    assert concerned(plan, "inputs.reason") == ["a", "b"]

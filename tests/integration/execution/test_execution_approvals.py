"""Approvals: nothing they hold back begins before they are given, whatever is pressed; silence is never a yes."""

from dataclasses import replace
from typing import Any

import pytest

from flows.approvals import ShownApproval, Verdict
from flows.corrections import Correction
from flows.errors import ApprovalClosed, ApprovalNotFound, CannotAsk, MayNotDecide, NotAllowed, OtherDigest
from flows.execution import Suspend
from flows.interventions import Act
from flows.lifecycle import Caller, Order
from flows.records.approval_rows import ApprovalRow, ApprovalState, Decision
from flows.records.rows import Person, RequestRow
from flows.records.states import EffectState, RequestState
from flows.touching import Remark
from flows.waking import deliver_wakes
from request_models.actions import ActionFailed, ActionResult, EffectClass, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import (
    Approval,
    Expression,
    InputRule,
    Literal,
    MapOf,
    Parallel,
    Plan,
    Read,
    Text,
    Undo,
    UndoAction,
)
from staging import ANNA, CALLER, House, expression, plan_of, run_of, step

PROJECT: dict[str, JsonValue] = {"project": {"type": "string"}}
DAY = 86_400.0
ON_SQLITE = pytest.mark.parametrize("house", ["sqlite"], indirect=True)
"""What PostgreSQL would show no other side of."""


def person(name: str, *groups: str, **more: str) -> Caller:
    return Caller(f"key of {name}", Person(name, groups=groups, **more), frozenset({"approvals:decide"}))  # type: ignore[arg-type]


CARL, DORA, EMIL = person("carl"), person("dora", "approvers"), person("emil", "approvers")


def needs(name: str = "large", by: tuple[str, ...] = ("group:approvers",), **more: Any) -> Approval:
    return Approval(name, tuple(Literal(who) for who in by), **more)


def asked(house: House, request: RequestRow, name: str = "large") -> ApprovalRow:
    row = house.records.read(lambda tx: tx.approvals.current(request.id, name))
    assert row is not None
    return row


def decide(
    house: House, request: RequestRow, who: Caller, decision: Decision = Decision.APPROVE, name: str = "large",
    reason: str = "",
) -> ShownApproval:  # fmt: skip
    row = asked(house, request, name)
    return house.approvals.decide(row.id, who, Verdict(decision, row.digest, reason))


def events(house: House, request: RequestRow) -> list[str]:
    found = house.records.read(lambda tx: tx.audit.of(request.id))
    assert house.records.read(lambda tx: tx.audit.verify(request.id)) == []
    return [event.event for event in found if event.event.startswith("approval")]


def dispatches(house: House) -> int:
    return len(house.records.read(lambda tx: tx.outbox.due("dispatch", house.clock(), 9)))


def pass_time(house: House, **span: float) -> None:
    house.clock.advance(**span)
    house.deadlines.look_now()


def broken() -> ActionResult:
    raise ActionFailed("no", error_class=ErrorClass.PERMANENT, code="No")


# before dispatch


def test_nothing_is_dispatched_before_it_is_approved_and_then_it_is_at_once(house: House) -> None:
    made = house.stage.action("one")
    asking = needs(message=Text("For {{ inputs.project }}"))
    request = house.order(plan_of(step("one"), inputs=PROJECT, approvals=(asking,)), project="apollo")
    row = house.now(request)
    assert row.state is RequestState.AWAITING_APPROVAL
    assert "`large` (group:approvers)" in row.state_reason
    assert dispatches(house) == 0
    entry = house.execution.enter(request.id, run_of(request))
    assert isinstance(entry, Suspend)
    assert "Resuming here decides nothing" in entry.message
    (mine,) = house.approvals.list(DORA, "mine")
    assert (mine.row.message.public, mine.steps[0].path, mine.decidable) == ("For apollo", "one", True)
    assert house.approvals.list(CARL, "mine") == []
    decide(house, request, DORA)
    assert (house.now(request).state, dispatches(house)) == (RequestState.SCHEDULED, 1)
    assert house.approvals.list(DORA, "mine") == []
    assert house.run(request) == ["one:done"]
    assert len(made.calls) == 1
    assert events(house, request) == ["approval_asked", "approval_given"]
    (decision,) = house.records.read(lambda tx: tx.approvals.decisions(mine.row.id))
    assert (decision.approver, decision.decision, decision.via) == ("dora", Decision.APPROVE, "api")
    assert decision.asked <= decision.decided


@ON_SQLITE
def test_a_refusal_ends_the_request_with_its_reason(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(needs(), needs("other", ("person:carl",)))))
    decide(house, request, DORA, Decision.REJECT, reason="too dear")
    row = house.now(request)
    assert (row.state, row.state_reason) == (RequestState.REJECTED, "dora refused `large`: too dear")
    other = house.records.read(lambda tx: tx.approvals.of(request.id))
    assert {one.state for one in other} == {ApprovalState.REJECTED, ApprovalState.WITHDRAWN}


@ON_SQLITE
def test_all_that_are_asked_must_be_given_and_what_has_no_reason_to_be_is_not_asked(house: House) -> None:
    never = needs("never", when=expression("inputs.project == 'gemini'"))
    wanted = (needs(), needs("other", ("person:carl",)), never)
    request = house.order(plan_of(step("one"), inputs=PROJECT, approvals=wanted), project="apollo")
    decide(house, request, DORA)
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    decide(house, request, CARL, name="other")
    assert house.now(request).state is RequestState.SCHEDULED
    assert len(house.records.read(lambda tx: tx.approvals.of(request.id))) == 2


@ON_SQLITE
def test_a_quorum_needs_so_many_different_people(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(needs(quorum=2),)))
    decide(house, request, DORA)
    with pytest.raises(MayNotDecide, match="already"):
        decide(house, request, DORA)
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    decide(house, request, EMIL)
    assert house.now(request).state is RequestState.SCHEDULED


@ON_SQLITE
def test_in_turn_the_second_is_asked_once_the_first_has_approved(house: House) -> None:
    both = needs(by=("person:carl", "group:approvers"), quorum=2, in_turn=True)
    request = house.order(plan_of(step("one"), approvals=(both,)))
    assert house.approvals.list(DORA, "mine") == []
    with pytest.raises(ApprovalNotFound):
        decide(house, request, DORA)
    decide(house, request, CARL)
    assert len(house.approvals.list(DORA, "mine")) == 1
    decide(house, request, DORA)
    assert house.now(request).state is RequestState.SCHEDULED


@ON_SQLITE
def test_a_decision_names_what_was_seen_and_another_digest_is_refused(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(needs(),)))
    row = asked(house, request)
    with pytest.raises(OtherDigest, match="Look again"):
        house.approvals.decide(row.id, DORA, Verdict(Decision.APPROVE, "0" * 64))
    assert house.now(request).state is RequestState.AWAITING_APPROVAL


@ON_SQLITE
def test_only_the_first_of_two_who_decide_counts_and_nothing_is_decided_afterwards(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(needs(),)))
    row = asked(house, request)
    decide(house, request, DORA)
    with pytest.raises(ApprovalClosed, match="approved, by dora"):
        house.approvals.decide(row.id, EMIL, Verdict(Decision.REJECT, row.digest, "no"))
    other = house.order(plan_of(step("one"), approvals=(needs(),)))
    closed = asked(house, other)
    house.lifecycle.cancel(other.id, CALLER, "not wanted")
    with pytest.raises(ApprovalClosed, match="withdrawn"):
        house.approvals.decide(closed.id, DORA, Verdict(Decision.APPROVE, closed.digest))


@ON_SQLITE
def test_who_may_see_and_decide(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(needs(),)))
    row = asked(house, request)
    with pytest.raises(ApprovalNotFound):
        house.approvals.get(row.id, CARL)
    with pytest.raises(NotAllowed):
        house.approvals.get(row.id, Caller("k", DORA.person, frozenset({"requests:read"})))
    admin = Caller("k", Person("root"), frozenset({"admin"}))
    with pytest.raises(MayNotDecide, match="is not asked of root"):
        house.approvals.decide(row.id, admin, Verdict(Decision.APPROVE, row.digest))
    requester = replace(
        CALLER, scopes=CALLER.scopes | {"approvals:decide"}, person=replace(ANNA, groups=("approvers",))
    )
    assert house.approvals.get(row.id, requester).decidable is False
    with pytest.raises(MayNotDecide, match="anna ordered this"):
        house.approvals.decide(row.id, requester, Verdict(Decision.APPROVE, row.digest))


# who is asked


def ordered_for(house: House, plan: Plan, user: Person, requester: Person = ANNA) -> RequestRow:
    house.publish(plan)
    caller = replace(CALLER, person=requester, scopes=frozenset({"requests:create", "requests:for-others"}))
    return house.lifecycle.submit(Order("staged", {}, requested_for=user), caller).request


@ON_SQLITE
def test_the_manager_of_the_user_or_the_requester_decides(house: House) -> None:
    plan = plan_of(
        step("one"), approvals=(needs("of_user", ("manager:user",)), needs("of_requester", ("manager:requester",)))
    )
    request = ordered_for(house, plan, Person("ben", manager="carl"), replace(ANNA, manager="mona"))
    decide(house, request, CARL, name="of_user")
    decide(house, request, person("mona"), name="of_requester")
    assert house.now(request).state is RequestState.SCHEDULED


@ON_SQLITE
@pytest.mark.parametrize(
    ("manager", "why"),
    [
        (None, "nobody is known as the manager of ben"),
        ("ben", "who is the one it is for"),
        ("BEN", "who is the one it is for"),
        ("anna", "who ordered this"),
    ],
)
def test_an_approval_that_nobody_could_give_is_refused_at_once(house: House, manager: str | None, why: str) -> None:
    plan = plan_of(step("one"), approvals=(needs(by=("manager:user",)),))
    with pytest.raises(CannotAsk, match=why):
        ordered_for(house, plan, Person("ben", manager=manager))


@ON_SQLITE
def test_where_the_manager_cannot_decide_it_is_escalated_at_once(house: House) -> None:
    plan = plan_of(step("one"), approvals=(needs(by=("manager:user",), escalate=(Literal("group:approvers"),)),))
    request = ordered_for(house, plan, Person("ben", manager="ben"))
    decide(house, request, DORA)
    assert house.now(request).state is RequestState.SCHEDULED


@ON_SQLITE
def test_an_expression_says_who_decides(house: House) -> None:
    by = (Expression("['person:carl', 'group:' ~ inputs.project]"),)
    request = house.order(plan_of(step("one"), inputs=PROJECT, approvals=(Approval("large", by),)), project="approvers")
    decide(house, request, DORA)
    assert house.now(request).state is RequestState.SCHEDULED


@ON_SQLITE
def test_too_few_people_for_the_quorum_are_seen_when_it_is_ordered(house: House) -> None:
    with pytest.raises(CannotAsk, match="2 must"):
        house.order(plan_of(step("one"), approvals=(needs(by=("person:carl", "person:carl"), quorum=2),)))


# delegation


def test_it_is_handed_over_with_a_trace_and_counts_once(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(needs(quorum=2),)))
    row = asked(house, request)
    shown = house.approvals.delegate(row.id, DORA, "carl", "on holiday")
    assert shown.seats[-1].delegated_by == "dora"
    with pytest.raises(MayNotDecide, match="handed this approval over"):
        decide(house, request, DORA)
    decide(house, request, CARL)
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    decide(house, request, EMIL)
    assert house.now(request).state is RequestState.SCHEDULED
    assert "approval_delegated" in events(house, request)
    given = [one for one in house.records.read(lambda tx: tx.approvals.decisions(row.id)) if one.approver == "carl"]
    assert given[0].seat == "delegated by dora, group:approvers"


@ON_SQLITE
@pytest.mark.parametrize("to", ["anna", "ANNA", "dora", "Dora", "emil"])
def test_it_is_not_handed_to_a_party_to_oneself_or_to_who_has_decided(house: House, to: str) -> None:
    request = house.order(plan_of(step("one"), approvals=(needs(quorum=2),)))
    decide(house, request, EMIL)
    with pytest.raises(MayNotDecide):
        house.approvals.delegate(asked(house, request).id, DORA, to, "on holiday")


# time


def timely(if_silent: str = "reject", **more: Any) -> Approval:
    return needs(
        within_seconds=2 * DAY, remind_seconds=DAY, escalate=(Literal("person:carl"),), if_silent=if_silent, **more
    )


def test_silence_is_reminded_escalated_and_at_last_rejected(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(timely(),)))
    pass_time(house, hours=23)
    assert events(house, request) == ["approval_asked"]
    pass_time(house, hours=2)
    pass_time(house, seconds=1)
    assert events(house, request) == ["approval_asked", "approval_reminded"]
    with pytest.raises(ApprovalNotFound):
        decide(house, request, CARL)
    pass_time(house, hours=12)
    assert len(house.approvals.list(CARL, "mine")) == 1
    pass_time(house, hours=12)
    row = house.now(request)
    assert row.state is RequestState.REJECTED
    assert "Nobody decided `large` within 2 d" in row.state_reason
    assert events(house, request) == ["approval_asked", "approval_reminded", "approval_escalated", "approval_silent"]


@ON_SQLITE
def test_whom_it_was_escalated_to_decides_too(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(timely(),)))
    pass_time(house, hours=25)
    pass_time(house, hours=12)
    decide(house, request, CARL)
    assert house.now(request).state is RequestState.SCHEDULED


@ON_SQLITE
def test_where_the_model_waits_on_silence_it_waits(house: House) -> None:
    request = house.order(plan_of(step("one"), approvals=(timely("wait"),)))
    for _ in range(4):
        pass_time(house, days=30)
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    assert events(house, request).count("approval_silent") == 1
    decide(house, request, DORA)
    assert house.now(request).state is RequestState.SCHEDULED


# before a step


def gated(*, undoable: bool = False, **more: Any) -> Plan:
    undo = Undo((UndoAction("stage.drop", "1", EffectClass.IDEMPOTENT, MapOf({})),)) if undoable else None
    return plan_of(step("one", undo=undo), step("two"), approvals=(needs(before="two", **more),))


@ON_SQLITE
def test_before_a_step_the_run_sleeps_and_goes_on_once_it_is_approved(house: House) -> None:
    first, second = house.stage.action("one"), house.stage.action("two")
    request = house.order(gated())
    assert house.now(request).state is RequestState.SCHEDULED
    assert house.run(request) == ["one:done"]
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    assert claim.released
    assert isinstance(house.execution.enter(request.id, run_of(request)), Suspend)
    assert [one.path for one in house.approvals.list(DORA, "mine")[0].steps] == ["two"]
    decide(house, request, DORA)
    assert house.now(request).state is RequestState.IN_PROGRESS
    assert house.run(request) == ["one:done*", "two:done"]
    assert house.now(request).state is RequestState.FULFILLED
    assert (len(first.calls), len(second.calls)) == (1, 1)


@ON_SQLITE
def test_a_retry_asks_nothing_again(house: House) -> None:
    house.stage.action("one")
    second = house.stage.action("two", behave=lambda call: broken())
    request = house.order(gated())
    house.run(request)
    decide(house, request, DORA)
    house.run(request)
    assert house.now(request).state is RequestState.ON_HOLD
    second.behave = lambda call: ActionResult(Outcome.MADE, {})
    house.lifecycle.retry(request.id, CALLER, "mended")
    assert house.run(request) == ["one:done*", "two:done"]
    assert events(house, request) == ["approval_asked", "approval_given"]


def test_refused_before_a_step_what_was_done_is_taken_back_and_the_request_is_rejected(house: House) -> None:
    house.stage.action("one")
    house.stage.action("two")
    dropped = house.stage.action("drop")
    request = house.order(gated(undoable=True))
    house.run(request)
    decide(house, request, DORA, Decision.REJECT, reason="too dear")
    assert house.now(request).state is RequestState.UNDOING
    house.run(house.dispatched(request))
    row = house.now(request)
    assert row.state is RequestState.REJECTED
    assert "dora refused `large`: too dear" in row.state_reason
    assert len(dropped.calls) == 1
    effects = house.records.read(lambda tx: tx.effects.all(request.id))
    assert next(one for one in effects if one.path == "one").state is EffectState.UNDONE


@ON_SQLITE
def test_silent_before_a_step_it_is_taken_back_too(house: House) -> None:
    house.stage.action("one")
    house.stage.action("drop")
    request = house.order(gated(undoable=True, within_seconds=DAY))
    house.run(request)
    pass_time(house, hours=25)
    assert house.now(request).state is RequestState.UNDOING


@ON_SQLITE
def test_a_step_that_would_not_run_asks_nobody(house: House) -> None:
    house.stage.action("one")
    plan = plan_of(step("one"), step("two", when=expression("false")), approvals=(needs(before="two"),))
    request = house.order(plan)
    assert house.run(request) == ["one:done", "two:skipped"]
    assert events(house, request) == []


def test_a_decision_that_comes_while_another_branch_still_runs_is_not_missed(house: House) -> None:
    house.stage.action("one")
    house.stage.action("two")
    request = house.order(plan_of(Parallel((step("one"), step("two"))), approvals=(needs(before="two"),)))
    with house.enter(request) as session:
        passage = session.walk(lambda unit: session.run_step(unit, lambda line: None))
        decide(house, request, DORA)
        session.finish(passage)
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    house.clock.advance(seconds=5)
    deliver_wakes(house.records, house.clock())
    assert house.now(request).state is RequestState.IN_PROGRESS
    assert sorted(house.run(request)) == ["one:done*", "two:done"]


@ON_SQLITE
def test_nobody_who_could_decide_before_a_step_holds_the_request_and_says_why(house: House) -> None:
    house.stage.action("one")
    request = house.order(gated(by=("manager:requester",)))
    house.run(request)
    row = house.now(request)
    assert row.state is RequestState.ON_HOLD
    assert "nobody is known as the manager of anna" in row.state_reason


# corrections


def corrected(house: House, plan: Plan, correction: dict[str, JsonValue]) -> RequestRow:
    """A request that was approved, failed at `one`, and was given other inputs."""
    failing = house.stage.action("one", behave=lambda call: broken())
    house.stage.action("two")
    request = house.order(plan, project="apollo", note="a", reason="b")
    decide(house, request, DORA)
    house.run(request)
    assert house.now(request).state is RequestState.ON_HOLD
    failing.behave = lambda call: ActionResult(Outcome.MADE, {})
    house.corrections.fix(Act(request.id, CALLER, Remark("a typing error")), Correction(correction))
    return request


def correctable(**more: Any) -> Plan:
    inputs: dict[str, JsonValue] = {name: {"type": "string"} for name in ("project", "note", "reason")}
    first = step("one", arguments=MapOf({"text": expression("inputs.project")}))
    rules = {"reason": InputRule(shown_to="approvers")}
    return plan_of(first, step("two"), inputs=inputs, input_rules=rules, approvals=(needs(**more),))


@ON_SQLITE
@pytest.mark.parametrize("changed", ["project", "reason"])
def test_what_an_approval_covered_is_asked_again_when_it_is_corrected(house: House, changed: str) -> None:
    request = corrected(house, correctable(), {changed: "gemini"})
    before = house.records.read(lambda tx: tx.approvals.of(request.id))[0]
    assert before.state is ApprovalState.WITHDRAWN
    assert house.run(request) == []
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    again = asked(house, request)
    assert again.generation == 2
    assert again.digest != before.digest
    with pytest.raises(ApprovalClosed):
        house.approvals.decide(before.id, EMIL, Verdict(Decision.APPROVE, before.digest))
    decide(house, request, DORA)
    assert house.now(request).state is RequestState.IN_PROGRESS
    assert house.run(request) == ["one:done", "two:done"]


@ON_SQLITE
def test_who_corrected_the_inputs_does_not_approve_them(house: House) -> None:
    request = corrected(house, correctable(), {"project": "gemini"})
    house.run(request)
    corrector = person("anna", "approvers")
    with pytest.raises(MayNotDecide):
        decide(house, request, corrector)
    for event in house.records.read(lambda tx: tx.audit.of(request.id)):
        if event.event == "inputs_changed":
            assert "asked again: large" in (event.why or "")


@ON_SQLITE
def test_what_an_approval_did_not_cover_leaves_it_given(house: House) -> None:
    request = corrected(house, correctable(), {"note": "other"})
    assert house.run(request) == ["one:done", "two:done"]
    assert events(house, request) == ["approval_asked", "approval_given"]


@ON_SQLITE
def test_what_its_condition_reads_is_covered_though_no_step_depends_on_it(house: House) -> None:
    request = corrected(house, correctable(when=expression("inputs.note != 'small'")), {"note": "other"})
    assert house.run(request) == []
    assert house.now(request).state is RequestState.AWAITING_APPROVAL


# with prerequisites


@ON_SQLITE
def test_what_was_read_says_whether_and_what_is_asked(house: House) -> None:
    house.stage.action("budget", EffectClass.READ_ONLY, lambda call: ActionResult(Outcome.READ, {"left": 3}))
    read = Read("stage.budget", "1", EffectClass.READ_ONLY, MapOf({}), path="prerequisites.budget")
    low = needs(when=expression("facts.budget.left < 5"), message=Text("Only {{ facts.budget.left }} left."))
    request = house.order(plan_of(step("one"), prerequisites=(read,), approvals=(low,)))
    assert house.now(request).state is RequestState.VALIDATING
    house.prerequisites.read(request.id)
    assert house.now(request).state is RequestState.AWAITING_APPROVAL
    shown = house.approvals.get(asked(house, request).id, DORA)
    assert (shown.row.message.public, shown.facts) == ("Only 3 left.", {"budget": {"left": 3}})


@ON_SQLITE
def test_a_secret_in_the_message_is_sealed(house: House) -> None:
    secret: dict[str, JsonValue] = {"word": {"type": "string", "writeOnly": True}}
    telling = needs(message=Text("The word is {{ inputs.word }}.", secret=True))
    request = house.order(plan_of(step("one"), inputs=secret, approvals=(telling,)), word="correct-horse")
    assert asked(house, request).message.public is None
    files = [file for file in house.settings.state.rglob("*") if file.is_file()]
    assert not any(b"correct-horse" in file.read_bytes() for file in files)

"""Approvals and prerequisites on Prefect, with a keeper: Resume approves nothing, kill -9 loses nothing."""

from dataclasses import replace

import pytest
from prefect.states import AwaitingRetry, Completed

from flows.approvals import Verdict
from flows.lifecycle import Caller
from flows.publishing import record_publication
from flows.records.approval_rows import ApprovalRow, Decision
from flows.records.rows import Person
from flows.records.states import RequestState
from prefect_estate import Estate
from request_models.actions import EffectClass
from request_models.plan import Approval, Literal, MapOf, Read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DORA = Caller("key", Person(id="dora", groups=("approvers",)), frozenset({"approvals:decide"}))


def asked(estate: Estate, request_id: str) -> ApprovalRow:
    (row,) = estate.application.records.read(lambda tx: tx.approvals.of(request_id))
    return row


def approve(estate: Estate, request_id: str) -> None:
    row = asked(estate, request_id)
    estate.application.approvals.decide(row.id, DORA, Verdict(Decision.APPROVE, row.digest))


def test_before_a_step_whatever_is_pressed_in_prefect_only_the_approver_lets_it_go_on(estate: Estate) -> None:
    target = estate.target()
    plan = estate.publish(target, ["first", "last"])
    plan = replace(plan, approvals=(Approval("large", (Literal("group:approvers"),), before="last"),))
    record_publication(estate.application.records, estate.registry, plan)
    request_id = estate.order(plan)
    estate.wait_for(request_id, RequestState.AWAITING_APPROVAL)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "PAUSED")
    estate.wait_until_idle()
    with estate.client() as client:
        client.resume_flow_run(run.id)
    estate.wait_for_run(run.id, "RUNNING", "PENDING", "SCHEDULED")
    again = estate.wait_for_run(run.id, "PAUSED")
    assert again.state is not None
    assert "Resuming here decides nothing" in (again.state.message or "")
    estate.wait_until_idle()
    with estate.client() as client:
        client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
    estate.wait_for_run(run.id, "RUNNING", "PENDING", "SCHEDULED")
    estate.wait_for_run(run.id, "PAUSED")
    with estate.client() as client:
        client.set_flow_run_state(run.id, Completed(), force=True)
    assert estate.request(request_id).state is RequestState.AWAITING_APPROVAL
    assert target.effects() == ["first"]
    approve(estate, request_id)
    estate.wait_for(request_id, RequestState.FULFILLED)
    estate.wait_for_run(run.id, "COMPLETED")
    assert target.effects() == ["first", "last"]
    assert target.calls() == ["first", "last"]


def test_a_slow_prerequisite_holds_no_other_request_up_and_survives_the_keepers_end(own_estate: Estate) -> None:
    estate = own_estate
    target, other = estate.target(), estate.target()
    target.close_gate("before", "prerequisites.budget")
    plan = estate.publish(target, ["first"])
    folder = MapOf({"folder": Literal(str(target.folder))})
    budget = Read("probe.act", "1", EffectClass.TAKES_TOKEN, folder, path="prerequisites.budget")
    plan = replace(plan, prerequisites=(budget,), approvals=(Approval("large", (Literal("group:approvers"),)),))
    record_publication(estate.application.records, estate.registry, plan)
    estate.start("keeper", "worker")
    request_id = estate.order(plan)
    target.wait_for_arrival("before", "prerequisites.budget")
    quick = estate.order(estate.publish(other, ["only"]))
    estate.wait_for(quick, RequestState.FULFILLED)
    assert estate.request(request_id).state is RequestState.VALIDATING
    estate.kill("keeper")
    estate.start("keeper")
    target.open_gate("before", "prerequisites.budget")
    estate.wait_for(request_id, RequestState.AWAITING_APPROVAL)
    assert estate.request(request_id).flow_run_id is None
    approve(estate, request_id)
    estate.wait_for(request_id, RequestState.FULFILLED)
    assert target.effects() == ["prerequisites.budget", "first"]
    estate.wait_until_idle()

"""Approvals over the API and the command line: who sees and decides what, by the digest of what was seen."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from request_models.plan import Approval, InputRule, Literal, Plan, Text

DECIDES = ("approvals:decide",)
Make = Callable[..., Plan]


@pytest.fixture
def plan(make_plan: Make) -> Plan:
    asking = Approval(
        "large", (Literal("group:approvers"),), message=Text("{{ inputs.note }}"), within_seconds=86_400.0
    )
    return replace(make_plan(), approvals=(asking,), input_rules={"note": InputRule(shown_to="approvers")})


def member(api: Any, subject: str, *scopes: str, groups: tuple[str, ...] = ("approvers",)) -> httpx.Client:
    """A connection of somebody who is in groups."""
    key = api.application.records.run(
        lambda tx: tx.api_keys.add(f"{subject}'s", subject, scopes or DECIDES, groups, email=f"{subject}@example.org")
    )
    client: httpx.Client = api.connection({"Authorization": f"Bearer {key}"})
    return client


@pytest.fixture
def dora(api: Any) -> httpx.Client:
    return member(api, "dora")


@pytest.fixture
def asked(api: Any, anna: httpx.Client, dora: httpx.Client, plan: Plan) -> dict[str, Any]:
    """What dora is asked."""
    api.publish(plan)
    inputs = {"project": "apollo", "token": "hush", "note": "For the launch."}
    answer = anna.post("/v1/requests", json={"model": plan.model, "inputs": inputs})
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "awaiting_approval"
    (found,) = dora.get("/v1/approvals").json()["items"]
    shown: dict[str, Any] = found
    return shown


def problem(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"urn:orderly:problem:{kind}"


def url(asked: dict[str, Any], verb: str = "") -> str:
    return f"/v1/approvals/{asked['id']}{f':{verb}' if verb else ''}"


def test_the_approver_sees_exactly_what_would_be_done_and_approves_that(
    anna: httpx.Client, dora: httpx.Client, asked: dict[str, Any], plan: Plan
) -> None:
    assert asked["message"] == "For the launch."
    assert [(one["name"], one["value"], one["secret"]) for one in asked["inputs"]] == [
        ("project", "apollo", False),
        ("region", "eu-west-1", False),
        ("days", 90, False),
        ("token", None, True),
        ("note", "For the launch.", False),
    ]
    assert [(step["title"], step["action"]) for step in asked["steps"]] == [
        ("Creating the bucket", "memory.note"),
        ("Encrypting it", "memory.note"),
    ]
    assert (asked["plan_digest"], asked["decidable"], asked["values"]) == (plan.digest, True, {"bucket": "apollo"})
    assert asked["asked_of"][0]["who"] == "group:approvers"
    done = dora.post(url(asked, "approve"), json={"digest": asked["digest"]})
    assert (done.status_code, done.json()["state"], done.json()["request"]["state"]) == (200, "approved", "scheduled")
    detail = anna.get(f"/v1/requests/{asked['request']['id']}").json()
    assert detail["state"] == "scheduled"
    (seen,) = detail["approvals"]
    assert [(one["approver"], one["decision"], one["as"]) for one in seen["decisions"]] == [
        ("dora", "approve", "group:approvers")
    ]
    assert seen["links"]["approve"] is None


def test_a_refusal_needs_a_reason_and_ends_the_request(
    anna: httpx.Client, dora: httpx.Client, asked: dict[str, Any]
) -> None:
    problem(dora.post(url(asked, "reject"), json={"digest": asked["digest"]}), 422, "invalid-request")
    problem(dora.post(url(asked, "reject"), json={"digest": asked["digest"], "reason": ""}), 422, "invalid-request")
    done = dora.post(url(asked, "reject"), json={"digest": asked["digest"], "reason": "No budget."})
    assert done.json()["state"] == "rejected"
    detail = anna.get(f"/v1/requests/{asked['request']['id']}").json()
    assert (detail["state"], detail["state_reason"]) == ("rejected", "dora refused `large`: No budget.")


def test_another_digest_and_a_second_decision_are_refused(api: Any, dora: httpx.Client, asked: dict[str, Any]) -> None:
    problem(dora.post(url(asked, "approve"), json={"digest": "0" * 64}), 409, "other-digest")
    problem(dora.post(url(asked, "approve"), json={"digest": "yes"}), 422, "invalid-request")
    problem(dora.post(url(asked, "approve"), json={}), 422, "invalid-request")
    dora.post(url(asked, "approve"), json={"digest": asked["digest"]})
    late = member(api, "emil").post(url(asked, "approve"), json={"digest": asked["digest"]})
    problem(late, 409, "approval-closed")


def test_who_sees_and_who_may_decide(api: Any, anna: httpx.Client, asked: dict[str, Any]) -> None:
    body = {"digest": asked["digest"]}
    problem(anna.get(url(asked)), 403, "not-allowed")
    problem(anna.post(url(asked, "approve"), json=body), 403, "not-allowed")
    stranger = member(api, "zoe", groups=())
    problem(stranger.get(url(asked)), 404, "unknown-approval")
    problem(stranger.post(url(asked, "approve"), json=body), 404, "unknown-approval")
    assert stranger.get("/v1/approvals").json()["items"] == []
    problem(stranger.get("/v1/approvals", params={"whose": "all"}), 403, "not-allowed")
    root = api.client("root", "admin")
    assert len(root.get("/v1/approvals", params={"whose": "all"}).json()["items"]) == 1
    problem(root.post(url(asked, "approve"), json=body), 403, "may-not-decide")
    for disguise in ("anna", "ANNA"):
        again = member(api, disguise)
        problem(again.post(url(asked, "approve"), json=body), 403, "may-not-decide")
        assert again.get("/v1/approvals").json()["items"] == []
    problem(root.get("/v1/approvals/nonsense"), 404, "unknown-approval")
    problem(api.connection().get("/v1/approvals"), 401, "unauthenticated")


def test_it_is_handed_over(api: Any, dora: httpx.Client, asked: dict[str, Any]) -> None:
    problem(dora.post(url(asked, "delegate"), json={"to": "anna", "reason": "x"}), 403, "may-not-decide")
    shown = dora.post(url(asked, "delegate"), json={"to": "zoe", "reason": "I am on holiday."}).json()
    assert [(seat["who"], seat["kind"]) for seat in shown["asked_of"]] == [
        ("group:approvers", "asked"),
        ("person:zoe", "delegated"),
    ]
    zoe = member(api, "zoe", groups=())
    assert zoe.post(url(asked, "approve"), json={"digest": asked["digest"]}).json()["state"] == "approved"


def test_the_answer_to_a_repeated_order_is_the_first_one(
    api: Any, anna: httpx.Client, dora: httpx.Client, plan: Plan
) -> None:
    api.publish(plan)
    body, headers = {"model": plan.model, "inputs": {"project": "apollo"}}, {"Idempotency-Key": "one"}
    first = anna.post("/v1/requests", json=body, headers=headers)
    (asked,) = dora.get("/v1/approvals").json()["items"]
    dora.post(url(asked, "approve"), json={"digest": asked["digest"]})
    assert anna.post("/v1/requests", json=body, headers=headers).json() == first.json()


def test_an_approval_that_nobody_could_give_refuses_the_order(api: Any, anna: httpx.Client, make_plan: Make) -> None:
    api.publish(replace(make_plan(), approvals=(Approval("large", (Literal("manager:user"),)),)))
    answer = anna.post("/v1/requests", json={"model": "project-bucket", "inputs": {"project": "apollo"}})
    problem(answer, 422, "refused")
    assert "nobody is known as the manager of anna" in answer.json()["detail"]


def test_it_is_decided_on_the_command_line(api: Any, orderly: Any, asked: dict[str, Any]) -> None:
    key = api.application.records.run(lambda tx: tx.api_keys.add("d", "emil", DECIDES, ("approvers",)))
    as_emil = {"ORDERLY_API_KEY": key}
    listed = orderly("approvals", **as_emil)
    assert asked["id"] in listed.stdout
    shown = orderly("approvals", asked["id"], **as_emil)
    for words in ("Project: apollo", "token: (secret)", "Creating the bucket (memory.note)", asked["digest"]):
        assert words in shown.stdout
    refused = orderly("approve", asked["id"], "--digest", "0" * 64, **as_emil)
    assert refused.returncode == 1
    assert "Look again" in refused.stderr
    done = orderly("reject", asked["id"], "--reason", "No budget.", "--json", **as_emil)
    assert json.loads(done.stdout)["state"] == "rejected"

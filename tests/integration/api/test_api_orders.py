"""Ordering, reading, listing, retrying, as front-ends do it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from flows.records.rows import Holder, LeftOver
from flows.records.states import EffectState, RequestState
from request_models.actions import Outcome
from waiting import wait_until

ORDER = {"model": "project-bucket", "inputs": {"project": "apollo"}}


def accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def move(api: Any, request_id: str, *states: RequestState) -> None:
    def work(tx: Any) -> None:
        for state in states:
            tx.requests.move(request_id, state, actor="test", why="the test says so")

    api.application.records.run(work)


def test_an_order_is_accepted_with_its_address_in_header_and_body(anna: httpx.Client) -> None:
    answer = anna.post("/v1/requests", json=ORDER)

    body = accepted(answer)
    assert body["state"] == "scheduled"
    assert body["links"]["self"] == f"https://orderly.example.org/v1/requests/{body['id']}"
    assert answer.headers["location"] == body["links"]["self"]
    assert body["due"] > body["submitted"]


def test_what_is_accepted_is_dispatched_through_the_outbox(api: Any, anna: httpx.Client) -> None:
    request_id = accepted(anna.post("/v1/requests", json=ORDER))["id"]

    due = api.application.records.read(lambda tx: tx.outbox.due("dispatch", api.application.records.now(), 10))
    assert [row.request_id for row in due] == [request_id]


def test_a_request_shows_its_steps_before_they_run_and_its_inputs_with_defaults(anna: httpx.Client) -> None:
    request_id = accepted(anna.post("/v1/requests", json=ORDER))["id"]

    request = anna.get(f"/v1/requests/{request_id}").json()

    assert request["inputs"] == {"project": "apollo", "region": "eu-west-1", "days": 90, "note": ""}
    assert [(step["path"], step["title"], step["state"]) for step in request["steps"]] == [
        ("create", "Creating the bucket", "pending"),
        ("encrypt", "Encrypting it", "pending"),
    ]
    assert request["requester"]["id"] == request["requested_for"]["id"] == "anna"
    assert request["links"]["prefect"] is None


def test_titles_come_in_the_callers_language(anna: httpx.Client) -> None:
    request_id = accepted(anna.post("/v1/requests", json=ORDER))["id"]

    answer = anna.get(f"/v1/requests/{request_id}", headers={"Accept-Language": "zh-CN"})

    assert answer.json()["title"] == "项目对象存储"


def test_a_secret_input_is_shown_nowhere_and_kept_encrypted_only(api: Any, anna: httpx.Client) -> None:
    canary = "canary-4711-hunter2"
    order = {"model": "project-bucket", "inputs": {"project": "apollo", "token": canary}}
    created = anna.post("/v1/requests", json=order, headers={"Idempotency-Key": "with a secret"})
    refused = anna.post("/v1/requests", json={**order, "inputs": {"project": canary.upper(), "token": canary}})

    request = anna.get(f"/v1/requests/{accepted(created)['id']}")

    assert request.json()["inputs"]["token"] is None
    assert request.json()["secret_inputs"] == ["/token"]
    for answer in (created, refused, request, anna.get("/v1/requests")):
        assert canary not in answer.text
    assert canary not in "\n".join(api.recorded())


class TestIdempotencyKey:
    def test_the_same_key_with_the_same_body_gives_the_first_answer_again(self, api: Any, anna: httpx.Client) -> None:
        first = anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "ticket 1"})
        move(api, accepted(first)["id"], RequestState.IN_PROGRESS, RequestState.FULFILLED)
        again = anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "ticket 1"})

        assert again.status_code == 202
        assert again.content == first.content
        assert again.headers["location"] == first.headers["location"]
        assert len(anna.get("/v1/requests").json()["items"]) == 1

    def test_the_order_of_members_does_not_matter(self, anna: httpx.Client) -> None:
        first = anna.post(
            "/v1/requests",
            content=b'{"model": "project-bucket", "inputs": {"project": "apollo", "days": 5}}',
            headers={"Idempotency-Key": "k"},
        )
        again = anna.post(
            "/v1/requests",
            content=b'{"inputs": {"days": 5, "project": "apollo"}, "model": "project-bucket"}',
            headers={"Idempotency-Key": "k"},
        )

        assert accepted(again)["id"] == accepted(first)["id"]

    def test_the_same_key_with_another_body_is_refused(self, api: Any, anna: httpx.Client) -> None:
        accepted(anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "k"}))
        before = api.recorded()

        other = anna.post(
            "/v1/requests", json={**ORDER, "inputs": {"project": "gemini"}}, headers={"Idempotency-Key": "k"}
        )

        assert other.status_code == 422
        assert other.json()["type"] == "urn:orderly:problem:idempotency-mismatch"
        assert api.recorded() == before

    def test_an_answer_survives_a_change_of_the_model(self, api: Any, anna: httpx.Client, make_plan: Any) -> None:
        first = anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "k"})
        api.application.records.run(lambda tx: tx.publications.retire("project-bucket"))

        again = anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "k"})

        assert again.content == first.content

    def test_keys_of_two_callers_have_nothing_to_do_with_each_other(self, api: Any, anna: httpx.Client) -> None:
        first = anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "k"})
        other = api.client("ben").post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "k"})

        assert accepted(first)["id"] != accepted(other)["id"]

    def test_a_refused_order_leaves_its_key_free(self, anna: httpx.Client) -> None:
        wrong = anna.post("/v1/requests", json={"model": "project-bucket"}, headers={"Idempotency-Key": "k"})
        right = anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "k"})

        assert wrong.status_code == 422
        assert right.status_code == 202

    def test_twenty_at_once_make_one_request(self, anna: httpx.Client) -> None:
        def order(_: int) -> httpx.Response:
            return anna.post("/v1/requests", json=ORDER, headers={"Idempotency-Key": "at once"})

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(order, range(20)))

        assert len({accepted(answer)["id"] for answer in answers}) == 1
        assert len(anna.get("/v1/requests").json()["items"]) == 1


class TestRights:
    @pytest.fixture
    def annas(self, anna: httpx.Client) -> str:
        request_id: str = accepted(anna.post("/v1/requests", json=ORDER))["id"]
        return request_id

    def test_a_requester_sees_only_what_is_hers(self, api: Any, anna: httpx.Client, annas: str) -> None:
        ben = api.client("ben")

        assert ben.get(f"/v1/requests/{annas}").status_code == 404
        assert ben.get("/v1/requests").json()["items"] == []
        assert [item["id"] for item in anna.get("/v1/requests").json()["items"]] == [annas]

    def test_somebody_elses_request_looks_like_none_at_all(self, api: Any, annas: str) -> None:
        ben = api.client("ben")
        nobodys = "0b8c6b1e-3f0e-4a59-9a52-5f0f3f6f3f10"

        def answer(request_id: str) -> Any:
            return ben.get(f"/v1/requests/{request_id}").json()

        assert answer(annas) == {
            key: value.replace(nobodys, annas) if isinstance(value, str) else value
            for key, value in answer(nobodys).items()
        }

    def test_an_operator_sees_everything(self, api: Any, annas: str) -> None:
        operator = api.client("olga", "requests:read", "requests:read:all")

        assert operator.get(f"/v1/requests/{annas}").status_code == 200
        assert [item["id"] for item in operator.get("/v1/requests").json()["items"]] == [annas]

    def test_an_agent_orders_for_somebody_who_then_sees_it_too(self, api: Any) -> None:
        agent = api.client("portal", "requests:create", "requests:read", "requests:for-others")
        request_id = accepted(agent.post("/v1/requests", json={**ORDER, "requested_for": "ben"}))["id"]

        request = api.client("ben").get(f"/v1/requests/{request_id}").json()

        assert request["requester"]["id"] == "portal"
        assert request["requested_for"]["id"] == "ben"

    def test_what_is_known_of_the_person_is_kept(self, api: Any) -> None:
        agent = api.client("portal", "requests:create", "requests:read", "requests:for-others")
        ben = {"id": "ben", "name": "Ben", "email": "ben@example.org", "groups": ["engineering"], "manager": "anna"}
        request_id = accepted(agent.post("/v1/requests", json={**ORDER, "requested_for": ben}))["id"]

        row = api.application.records.read(lambda tx: tx.requests.get(request_id))

        assert row.requested_for.groups == ("engineering",)
        assert row.requested_for.manager == "anna"

    def test_a_retry_needs_the_scope_to_act(self, api: Any, anna: httpx.Client, annas: str) -> None:
        answer = anna.post(f"/v1/requests/{annas}:retry", json={"why": "try"})

        assert answer.status_code == 403

    def test_an_operator_who_may_act_but_not_see_finds_nothing(self, api: Any, annas: str) -> None:
        operator = api.client("otto", "requests:act", "requests:read")

        assert operator.post(f"/v1/requests/{annas}:retry", json={"why": "try"}).status_code == 404


class TestLists:
    @pytest.fixture
    def five(self, anna: httpx.Client) -> list[str]:
        """Ids, newest first."""
        names = ["ares", "boreas", "chronos", "demeter", "eros"]
        ids = [
            accepted(
                anna.post(
                    "/v1/requests",
                    json={
                        "model": "project-bucket",
                        "inputs": {"project": name},
                        "source": {"system": "rt", "id": f"RT-{name}", "url": "https://rt.example.org/1"},
                    },
                )
            )["id"]
            for name in names
        ]
        return ids[::-1]

    def test_pages_follow_each_other_newest_first_without_gap_or_repetition(
        self, anna: httpx.Client, five: list[str]
    ) -> None:
        seen: list[str] = []
        token: str | None = None
        pages = 0
        while token is not None or not pages:
            page = anna.get("/v1/requests", params={"limit": 2, **({"page_token": token} if token else {})}).json()
            seen += [item["id"] for item in page["items"]]
            token = page["next_page_token"]
            pages += 1

        assert seen == five
        assert pages == 3

    def test_what_is_ordered_meanwhile_does_not_disturb_the_pages(self, anna: httpx.Client, five: list[str]) -> None:
        first = anna.get("/v1/requests", params={"limit": 2}).json()
        accepted(anna.post("/v1/requests", json=ORDER))
        second = anna.get("/v1/requests", params={"limit": 9, "page_token": first["next_page_token"]}).json()

        assert [item["id"] for item in first["items"] + second["items"]] == five

    def test_filters_by_state_model_and_text(self, api: Any, anna: httpx.Client, five: list[str]) -> None:
        move(api, five[0], RequestState.IN_PROGRESS, RequestState.ON_HOLD)

        def found(**filters: str) -> list[str]:
            return [item["id"] for item in anna.get("/v1/requests", params=filters).json()["items"]]

        assert found(state="on_hold") == [five[0]]
        assert found(state="scheduled") == five[1:]
        assert found(model="project-bucket") == five
        assert found(model="other") == []
        assert found(text="rt-boreas") == [five[3]]
        assert found(text="%") == []

    def test_the_source_is_shown(self, anna: httpx.Client, five: list[str]) -> None:
        assert anna.get("/v1/requests").json()["items"][0]["source"] == {
            "system": "rt",
            "id": "RT-eros",
            "url": "https://rt.example.org/1",
        }


class TestRetry:
    @pytest.fixture
    def operator(self, api: Any) -> httpx.Client:
        client: httpx.Client = api.client("olga", "requests:read", "requests:read:all", "requests:act")
        return client

    @pytest.fixture
    def on_hold(self, api: Any, anna: httpx.Client) -> str:
        request_id: str = accepted(anna.post("/v1/requests", json=ORDER))["id"]
        move(api, request_id, RequestState.IN_PROGRESS, RequestState.ON_HOLD)
        return request_id

    def test_a_request_on_hold_goes_on_and_the_audit_says_who_and_why(
        self, api: Any, operator: httpx.Client, on_hold: str
    ) -> None:
        assert operator.get(f"/v1/requests/{on_hold}").json()["links"]["retry"].endswith(f"{on_hold}:retry")

        answer = operator.post(f"/v1/requests/{on_hold}:retry", json={"why": "the host is back"})

        assert accepted(answer)["state"] == "in_progress"
        event = api.application.records.read(lambda tx: tx.audit.of(on_hold)[-1])
        assert (event.actor, event.why) == ("olga", "the host is back")

    def test_only_a_request_on_hold_can_be_retried(self, operator: httpx.Client, on_hold: str) -> None:
        operator.post(f"/v1/requests/{on_hold}:retry", json={"why": "once"})

        again = operator.post(f"/v1/requests/{on_hold}:retry", json={"why": "twice"})

        assert again.status_code == 409
        assert again.json()["type"] == "urn:orderly:problem:wrong-state"

    def test_a_retry_says_why(self, operator: httpx.Client, on_hold: str) -> None:
        answer = operator.post(f"/v1/requests/{on_hold}:retry", json={})

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/why"


class TestCancelAndUndo:
    @pytest.fixture
    def operator(self, api: Any) -> httpx.Client:
        client: httpx.Client = api.client("olga", "requests:act", "requests:read", "requests:read:all")
        return client

    @pytest.fixture
    def ordered(self, anna: httpx.Client) -> str:
        return str(accepted(anna.post("/v1/requests", json=ORDER))["id"])

    def test_a_scheduled_request_is_cancelled_at_once(self, operator: httpx.Client, ordered: str) -> None:
        assert operator.get(f"/v1/requests/{ordered}").json()["links"]["cancel"].endswith(f"{ordered}:cancel")

        answer = accepted(operator.post(f"/v1/requests/{ordered}:cancel", json={"why": "ordered twice"}))

        assert (answer["state"], answer["cancelled_by"]) == ("cancelled", "olga")
        assert answer["state_reason"] == "Cancelled by olga: ordered twice"
        assert (answer["links"]["cancel"], answer["links"]["undo"]) == (None, None)

    def test_cancelling_again_gives_the_same_answer(self, operator: httpx.Client, ordered: str) -> None:
        first = accepted(operator.post(f"/v1/requests/{ordered}:cancel", json={"why": "one"}))

        assert accepted(operator.post(f"/v1/requests/{ordered}:cancel", json={"why": "two"})) == first

    def test_what_runs_is_being_undone_and_says_for_whom(self, api: Any, operator: httpx.Client, ordered: str) -> None:
        move(api, ordered, RequestState.IN_PROGRESS)

        answer = accepted(operator.post(f"/v1/requests/{ordered}:cancel", json={"why": "stop"}))

        assert answer["state"] == "undoing"
        undo = answer["undo"]
        assert (undo["ends_as"], undo["asked_by"], undo["left_over"]) == ("cancelled", "olga", [])
        again = operator.post(f"/v1/requests/{ordered}:retry", json={"why": "no"})
        assert again.status_code == 409
        assert "is being taken back" in again.json()["detail"]

    def test_only_what_is_on_hold_or_fulfilled_can_be_undone(self, operator: httpx.Client, ordered: str) -> None:
        answer = operator.post(f"/v1/requests/{ordered}:undo", json={"why": "no"})

        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:orderly:problem:wrong-state"

    def test_what_is_on_hold_and_did_nothing_has_failed(self, api: Any, operator: httpx.Client, ordered: str) -> None:
        move(api, ordered, RequestState.IN_PROGRESS, RequestState.ON_HOLD)

        answer = accepted(operator.post(f"/v1/requests/{ordered}:undo", json={"why": "give up"}))

        assert answer["state"] == "failed"
        assert "Nothing had been done." in answer["state_reason"]

    @pytest.mark.parametrize("verb", ["cancel", "undo"])
    def test_both_need_the_scope_to_act_and_a_reason(
        self, anna: httpx.Client, operator: httpx.Client, ordered: str, verb: str
    ) -> None:
        assert anna.post(f"/v1/requests/{ordered}:{verb}", json={"why": "x"}).status_code == 403
        assert operator.post(f"/v1/requests/{ordered}:{verb}", json={}).status_code == 422
        assert operator.get(f"/v1/requests/{ordered}").json()["state"] == "scheduled"

    def test_effects_and_what_is_left_over_are_shown(self, api: Any, operator: httpx.Client, ordered: str) -> None:
        left = LeftOver("create", "anna", "create[anna]", "memory.note", "made", "it cannot be unsaid")

        def work(tx: Any) -> None:
            tx.requests.move(ordered, RequestState.IN_PROGRESS, actor="test", why="test")
            claim = tx.claims.take(ordered, "run", Holder("h", "b", 1, 1), timedelta(seconds=30))
            effect = tx.effects.open(ordered, "create", "anna", 1, "memory.note", uuid4(), claim.epoch)
            tx.effects.close(effect.id, EffectState.DONE, Outcome.MADE, None, claim.epoch)
            tx.undos.begin(ordered, RequestState.CANCELLED, "olga", "why")
            tx.undos.set_left_over(ordered, [left])

        api.application.records.run(work)

        shown = operator.get(f"/v1/requests/{ordered}").json()
        effect = shown["effects"][0]
        assert (effect["path"], effect["item"], effect["state"], effect["outcome"]) == (
            "create",
            "anna",
            "done",
            "made",
        )
        assert shown["undo"]["left_over"] == [
            {
                "path": "create",
                "item": "anna",
                "name": "create[anna]",
                "action": "memory.note",
                "outcome": "made",
                "why": "it cannot be unsaid",
            }
        ]


def test_the_link_to_prefect_appears_with_the_flow_run(api: Any, anna: httpx.Client) -> None:
    request_id = accepted(anna.post("/v1/requests", json=ORDER))["id"]
    run = "5a6e2f57-3ad2-4c5b-8d0e-2f8f0a1a7c11"
    api.application.records.run(lambda tx: tx.requests.set_flow_run(request_id, run, "key"))

    link = anna.get(f"/v1/requests/{request_id}").json()["links"]["prefect"]

    assert link == f"{api.application.settings.prefect.ui}/runs/flow-run/{run}"


def test_an_order_is_answered_although_a_writer_holds_the_records_for_a_moment(api: Any, anna: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool, api.application.records.transaction() as tx:
        tx.publications.all()
        answer = pool.submit(anna.post, "/v1/requests", json=ORDER)
        wait_until("the order waits for the writer", lambda: not answer.done())

    assert answer.result(timeout=10).status_code == 202

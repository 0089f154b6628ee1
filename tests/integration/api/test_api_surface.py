"""Judging an order, finding the model, waiting, following, and who sees what."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from flows.outbox_kinds import DISPATCH
from flows.records.rows import NewTask, Sealed
from flows.records.states import RequestState
from request_models.plan import Eligible, Expression, Literal, Plan

MakePlan = Callable[..., Plan]
ORDER: dict[str, Any] = {"model": "project-bucket", "inputs": {"project": "apollo"}}
TICKET = {"system": "rt", "id": "4711", "url": "https://rt.example.org/4711"}


def kind_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("urn:orderly:problem:")


def order(client: httpx.Client, **changes: Any) -> str:
    answer = client.post("/v1/requests", json={**ORDER, **changes})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def without_null(value: Any) -> Any:
    match value:
        case dict():
            return {name: without_null(item) for name, item in value.items() if item is not None}
        case list():
            return [without_null(item) for item in value]
        case _:
            return value


def move(api: Any, request_id: str, *states: RequestState) -> None:
    for state in states:
        api.application.records.run(
            lambda tx, state=state: tx.requests.move(request_id, state, actor="test", why="to see it")
        )


class TestValidating:
    """`:validate` says what ordering would say, and records nothing."""

    def test_a_good_order_is_shown_as_it_would_be_accepted(
        self, anna: httpx.Client, nothing_recorded: Callable[[], None]
    ) -> None:
        secret = {"model": "project-bucket", "inputs": {"project": "apollo", "token": "canary"}}

        verdict = anna.post("/v1/requests:validate", json=secret)

        assert verdict.status_code == 200
        assert verdict.json()["valid"] is True
        assert verdict.json()["inputs"] == {
            "project": "apollo",
            "region": "eu-west-1",
            "days": 90,
            "token": None,
            "note": "",
        }
        assert "canary" not in verdict.text
        nothing_recorded()

    @pytest.mark.parametrize(
        "wrong", [{"inputs": {"project": "X"}}, {"model": "bucket"}, {"inputs": {}}, {"inputs": {"colour": "red"}}]
    )
    def test_a_wrong_one_has_the_problem_that_ordering_it_has(
        self, anna: httpx.Client, nothing_recorded: Callable[[], None], wrong: dict[str, Any]
    ) -> None:
        verdict = anna.post("/v1/requests:validate", json={**ORDER, **wrong}).json()
        refused = anna.post("/v1/requests", json={**ORDER, **wrong}).json()

        assert verdict["valid"] is False
        assert without_null(verdict["problem"]) == refused
        nothing_recorded()


class TestMatching:
    """`:match` ranks models by the words that they have in common with what was said."""

    @pytest.fixture
    def models(self, api: Any, make_plan: MakePlan) -> None:
        access = make_plan("repository-access", "Access to a code repository")
        api.publish(replace(access, summary={"en": "Read or write access."}, service="source-code"))
        only = Eligible(Expression("'staff' in requester.groups", ("requester.groups",)), None, Literal("Ask HR."))
        api.publish(
            replace(make_plan("vpn", "A VPN account"), summary={"en": "Remote work."}, service="network", eligible=only)
        )

    def match(self, client: httpx.Client, text: str, **more: Any) -> list[dict[str, Any]]:
        answer = client.post("/v1/catalogue:match", json={"text": text, **more})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def test_what_fits_best_comes_first_and_says_why(self, anna: httpx.Client, models: None) -> None:
        best, *others = self.match(anna, "please give me write access to repositories")

        assert best["model"] == "repository-access"
        assert {reason["field"]: reason["words"] for reason in best["reasons"]}["summary"] == ["access", "write"]
        assert all(best["score"] > other["score"] for other in others)

    def test_it_says_what_is_missing_to_order(self, anna: httpx.Client, models: None) -> None:
        (asked,) = self.match(anna, "object storage")
        (known,) = self.match(anna, "object storage", inputs={"project": "apollo"})

        assert asked["missing"] == [{"name": "project", "title": "Project"}]
        assert known["missing"] == []

    def test_it_says_who_may_not_order_it_and_what_to_do(self, anna: httpx.Client, models: None) -> None:
        (found,) = self.match(anna, "vpn")

        assert found["eligible"] is False
        assert "Ask HR." in found["why_not"]

    def test_other_languages_and_scripts_without_spaces_are_found(self, anna: httpx.Client, models: None) -> None:
        assert self.match(anna, "我要一个对象存储")[0]["model"] == "project-bucket"

    def test_no_word_in_common_is_no_match(self, anna: httpx.Client, models: None) -> None:
        assert self.match(anna, "lunch") == []

    def test_only_what_one_may_order_is_in_the_catalogue(self, anna: httpx.Client, api: Any, models: None) -> None:
        def names(client: httpx.Client, **query: Any) -> set[str]:
            return {item["model"] for item in client.get("/v1/catalogue", params=query).json()["items"]}

        portal = api.client("portal", "catalogue:read", "requests:for-others")

        assert names(anna) == {"project-bucket", "repository-access"}
        assert names(anna, eligible=False) == names(portal) == {"project-bucket", "repository-access", "vpn"}

    def test_an_unchanged_page_of_the_catalogue_is_304(self, anna: httpx.Client, api: Any, make_plan: MakePlan) -> None:
        tag = {"If-None-Match": anna.get("/v1/catalogue").headers["etag"]}
        assert anna.get("/v1/catalogue", headers=tag).status_code == 304

        api.publish(make_plan("vpn", "A VPN account"))

        assert anna.get("/v1/catalogue", headers=tag).status_code == 200


class TestTickets:
    """A ticket orders a model once, where the front-end cannot send an Idempotency-Key."""

    def test_the_same_ticket_fired_at_once_many_times_is_one_request(self, api: Any) -> None:
        clients = [api.client("rt") for _ in range(10)]

        with ThreadPoolExecutor(10) as pool:
            ids = set(pool.map(lambda number: order(clients[number % 10], source=TICKET), range(50)))

        assert len(ids) == 1
        assert len(clients[0].get("/v1/requests").json()["items"]) == 1

    def test_another_address_of_the_ticket_does_not_matter(self, anna: httpx.Client) -> None:
        assert order(anna, source=TICKET) == order(anna, source={**TICKET, "url": None})

    def test_other_inputs_from_the_same_ticket_are_refused_with_the_request_that_there_is(
        self, anna: httpx.Client
    ) -> None:
        first = order(anna, source=TICKET)

        again = anna.post(
            "/v1/requests", json={"model": "project-bucket", "inputs": {"project": "b2"}, "source": TICKET}
        )

        assert (again.status_code, kind_of(again)) == (409, "ordered-before")
        assert first in again.json()["detail"]

    def test_an_idempotency_key_orders_again(self, anna: httpx.Client) -> None:
        first = order(anna, source=TICKET)

        again = anna.post("/v1/requests", json={**ORDER, "source": TICKET}, headers={"Idempotency-Key": "second"})

        assert again.status_code == 202
        assert again.json()["id"] != first

    def test_two_callers_do_not_hear_of_each_others_tickets(self, api: Any, anna: httpx.Client) -> None:
        first = order(anna, source=TICKET)
        other = api.client("ben").post(
            "/v1/requests", json={"model": "project-bucket", "inputs": {"project": "b2"}, "source": TICKET}
        )

        assert other.status_code == 202
        assert other.json()["id"] != first


def test_an_order_may_say_when_it_may_start_at_the_earliest(anna: httpx.Client, api: Any) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    accepted = anna.post("/v1/requests", json={**ORDER, "not_before": tomorrow.isoformat()}).json()

    due = datetime.fromisoformat(accepted["due"])
    assert timedelta(seconds=899) < due - tomorrow < timedelta(seconds=901)
    for moment, count in ((tomorrow - timedelta(seconds=1), 0), (tomorrow + timedelta(seconds=1), 1)):
        waiting = api.application.records.read(lambda tx, moment=moment: tx.outbox.due(DISPATCH, moment, 10))
        assert len(waiting) == count


@pytest.mark.parametrize("moment", [0, "0", 1.5, "2026-11-20", "2026-11-20 10:00Z", "2026-11-20T10:00:00"], ids=repr)
def test_a_moment_is_written_as_the_document_says(
    anna: httpx.Client, nothing_recorded: Callable[[], None], moment: Any
) -> None:
    ordered = anna.post("/v1/requests", json={**ORDER, "not_before": moment})
    listed = anna.get("/v1/requests", params={"submitted_from": moment})

    assert (ordered.status_code, listed.status_code) == (422, 422)
    nothing_recorded()


@pytest.mark.parametrize("leave", ["yes", 1, "true"], ids=repr)
def test_what_cannot_be_taken_back_is_left_only_for_true(anna: httpx.Client, leave: Any) -> None:
    answer = anna.post(f"/v1/requests/{order(anna)}:undo", json={"why": "so", "leave": leave})

    assert answer.status_code == 422


class TestWaiting:
    """`Prefer: wait=N` (RFC 7240)."""

    def test_without_it_the_answer_comes_at_once(self, anna: httpx.Client) -> None:
        answer = anna.post("/v1/requests", json=ORDER, headers={"Prefer": "respond-async"})

        assert answer.status_code == 202
        assert "preference-applied" not in answer.headers

    def test_what_has_not_ended_by_then_is_202(self, anna: httpx.Client) -> None:
        answer = anna.post("/v1/requests", json=ORDER, headers={"Prefer": "respond-async, wait=1"})

        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=1"
        assert answer.json()["state"] == "scheduled"

    def test_what_ends_meanwhile_is_200_with_all_of_it(self, api: Any, anna: httpx.Client) -> None:
        ticket = {"Idempotency-Key": "one"}
        first = anna.post("/v1/requests", json=ORDER, headers=ticket).json()["id"]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lambda: anna.post("/v1/requests", json=ORDER, headers={**ticket, "Prefer": "wait=9"}))
            move(api, first, RequestState.IN_PROGRESS, RequestState.FULFILLED)
            answer = waiting.result()

        assert answer.status_code == 200
        assert answer.json()["state"] == "fulfilled"
        assert answer.headers["location"].endswith(first)


class TestFollowing:
    """Events, steps, log lines, outputs and audit of one request."""

    def test_events_come_in_their_order_and_go_on_after_one(self, api: Any, anna: httpx.Client) -> None:
        request_id = order(anna)
        move(api, request_id, RequestState.IN_PROGRESS)

        everything = anna.get(f"/v1/requests/{request_id}/events").json()["items"]
        rest = anna.get(f"/v1/requests/{request_id}/events", params={"after": 2}).json()["items"]

        assert [(event["id"], event["to_state"]) for event in everything] == [
            (1, "validating"),
            (2, "scheduled"),
            (3, "in_progress"),
        ]
        assert rest == everything[2:]

    def test_they_can_be_streamed_until_the_end_and_resumed(self, api: Any, anna: httpx.Client) -> None:
        request_id = order(anna)
        stream = {"Accept": "text/event-stream"}
        with anna.stream("GET", f"/v1/requests/{request_id}/events", headers=stream) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            while next(lines) != "id: 2":
                pass
            move(api, request_id, RequestState.IN_PROGRESS, RequestState.FULFILLED)
            live = list(lines)
        resumed = anna.get(f"/v1/requests/{request_id}/events", headers={**stream, "Last-Event-ID": "3"}).text

        assert [line for line in live if line.startswith(("id", "event"))] == [
            "event: moved",
            "id: 3",
            "event: moved",
            "id: 4",
            "event: moved",
            "event: end",
        ]
        assert "id: 3" not in resumed
        assert resumed.endswith("event: end\ndata: {}\n\n")
        told = json.loads(next(line for line in resumed.splitlines() if line.startswith("data"))[len("data: ") :])
        assert told["to_state"] == "fulfilled"

    def test_its_parts_can_be_read_one_by_one(self, anna: httpx.Client) -> None:
        path = f"/v1/requests/{order(anna)}"

        detail = anna.get(path)
        steps = anna.get(f"{path}/steps")
        logs = anna.get(f"{path}/logs").json()["items"]

        assert steps.json()["items"] == detail.json()["steps"]
        assert steps.headers["etag"] == detail.headers["etag"]
        assert anna.get(f"{path}/outputs").json() == {"items": []}
        assert [line["text"].partition(":")[0] for line in logs] == ["validating", "scheduled"]

    def test_the_audit_says_who_did_what_and_shows_when_it_was_altered(self, api: Any, anna: httpx.Client) -> None:
        request_id = order(anna)
        record = anna.get(f"/v1/requests/{request_id}/audit").json()
        assert record["intact"] is True
        assert [entry["actor"] for entry in record["entries"]][1] == "orderly"

        with api.application.records._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE sequence = 2")

        altered = anna.get(f"/v1/requests/{request_id}/audit").json()
        assert altered["intact"] is False
        assert altered["faults"] == ["The event does not fit its hash: altered."]


class TestActing:
    """Acts on what was changed since one looked."""

    @pytest.mark.parametrize("verb", ["cancel", "retry", "undo"])
    def test_are_refused(self, api: Any, anna: httpx.Client, verb: str) -> None:
        olga = api.client("olga", "admin")
        path = f"/v1/requests/{order(anna)}"
        seen = olga.get(path).headers["etag"]
        move(api, path.rpartition("/")[2], RequestState.IN_PROGRESS, RequestState.ON_HOLD)

        late = olga.post(f"{path}:{verb}", json={"why": "so"}, headers={"If-Match": seen})
        fresh = olga.post(f"{path}:{verb}", json={"why": "so"}, headers={"If-Match": olga.get(path).headers["etag"]})

        assert (late.status_code, kind_of(late)) == (412, "changed-meanwhile")
        assert fresh.status_code == 202


class TestSeeing:
    """What is not one's own does not exist, unless it asks something of one."""

    PARTS = ("", "/events", "/steps", "/logs", "/outputs", "/audit")

    @pytest.mark.parametrize("part", PARTS)
    def test_a_stranger_and_one_that_never_was_look_the_same(self, api: Any, anna: httpx.Client, part: str) -> None:
        request_id, none = order(anna), "00000000-0000-4000-8000-000000000000"
        ben = api.client("ben")

        answers = [ben.get(f"/v1/requests/{one}{part}") for one in (request_id, none)]

        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text.replace(request_id, none) == answers[1].text

    def test_who_has_a_task_of_it_sees_it(self, api: Any, anna: httpx.Client) -> None:
        request_id = order(anna)
        carl = api.client("carl")
        assert carl.get(f"/v1/requests/{request_id}").status_code == 404

        task = NewTask(
            id="5f0f3f6f-3f10-4a59-9a52-0b8c6b1e3f0e",
            request_id=request_id,
            path="create",
            item_key="",
            generation=1,
            team="storage",
            assignee="carl",
            title=Sealed("t", "Do it"),
            instructions=Sealed("i", None),
            returns=None,
            secret_results=(),
            due=None,
        )
        api.application.records.run(lambda tx: tx.tasks.add(task, "test"))

        assert carl.get(f"/v1/requests/{request_id}").status_code == 200
        assert [one["id"] for one in carl.get("/v1/requests").json()["items"]] == [request_id]
        assert api.client("dora").get("/v1/requests").json()["items"] == []

    def test_requests_are_found_by_ticket_requester_and_time(self, api: Any, anna: httpx.Client) -> None:
        ours = order(anna, source=TICKET)
        order(anna)
        submitted = anna.get(f"/v1/requests/{ours}").json()["submitted"]

        def found(**query: str) -> list[str]:
            answer = anna.get("/v1/requests", params=query)
            assert answer.status_code == 200, answer.text
            return [one["id"] for one in answer.json()["items"]]

        assert found(source_system="rt", source_id="4711") == [ours]
        assert found(source_system="rt", source_id="4712") == []
        assert found(requester="ben") == []
        assert len(found(requester="anna", submitted_from=submitted)) == 2
        assert found(submitted_before=submitted) == []
        assert anna.get("/v1/requests", params={"submitted_from": "yesterday"}).status_code == 422

    def test_an_agent_orders_for_another_and_the_record_shows_both(self, api: Any) -> None:
        portal = api.client("portal", "requests:create", "requests:read", "requests:for-others")
        request_id = order(portal, requested_for="dora")

        seen = api.client("dora").get(f"/v1/requests/{request_id}").json()

        assert (seen["requester"]["id"], seen["requested_for"]["id"]) == ("portal", "dora")
        refused = api.client("ben").post("/v1/requests", json={**ORDER, "requested_for": "dora"})
        assert refused.status_code == 403

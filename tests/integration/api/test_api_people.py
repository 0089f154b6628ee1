"""What people do over the API and the command line: holds, tasks and events, with rights, versions and bad input."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from flows.execution import FlowRunIdentity, Proceed
from request_models.actions import EffectClass
from request_models.json_values import JsonValue
from request_models.plan import Expression, Literal, MapOf, OnFailure, Parallel, Plan, Step

Run = Callable[..., Any]
RETURNS: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
    "additionalProperties": False,
}
WHY = {"why": "by hand"}


def waiting_step(path: str, uses: str, returns: dict[str, JsonValue] | None, **arguments: JsonValue) -> Step:
    given = {name: Literal(value) for name, value in arguments.items()}
    return Step(
        path=path,
        title={"en": path},
        uses=uses,
        contract="1",
        effect=EffectClass.READ_ONLY,
        arguments=MapOf(dict(given)),
        returns=returns,
    )


def failing(path: str, **more: Any) -> Step:
    """A step of an action that this installation does not have."""
    return Step(
        path=path,
        title={"en": path},
        uses="nowhere.note",
        contract="1",
        effect=EffectClass.IDEMPOTENT,
        arguments=MapOf({"text": Expression("inputs.project")}),
        returns=RETURNS,
        **more,
    )


def task_step() -> Step:
    return waiting_step("by_hand", "human.task", RETURNS, team="storage", instructions="Count them.", within="PT1H")


@pytest.fixture
def olga(api: Any) -> httpx.Client:
    """She may do everything."""
    client: httpx.Client = api.client("olga", "admin")
    return client


def run(api: Any, request_id: str) -> None:
    """Run the request as its flow does, as far as it goes."""
    application = api.application
    key = f"orderly:{request_id}:nonce"
    application.records.run(lambda tx: tx.requests.set_flow_run(request_id, None, key))
    entry = application.execution.enter(request_id, FlowRunIdentity(f"run-{request_id}", key))
    assert isinstance(entry, Proceed), entry
    with entry.session as session:
        session.finish(session.walk(lambda unit: session.run_step(unit, lambda line: None)))


def order(api: Any, anna: httpx.Client, plan: Plan) -> str:
    api.publish(plan)
    answer = anna.post("/v1/requests", json={"model": plan.model, "inputs": {"project": "apollo"}})
    request_id: str = answer.json()["id"]
    run(api, request_id)
    return request_id


@pytest.fixture
def held(api: Any, anna: httpx.Client, make_plan: Any) -> str:
    """The id of a request on hold in a step that the model goes on without, and another that it does not."""
    optional = failing("optional", on_failure=OnFailure.CONTINUE)
    blocks = (Parallel((failing("needed"), waiting_step("signal", "wait.event", RETURNS, event="shipped"))), optional)
    return order(api, anna, replace(make_plan(), blocks=blocks))


@pytest.fixture
def task(api: Any, anna: httpx.Client, olga: httpx.Client, make_plan: Any) -> dict[str, Any]:
    order(api, anna, replace(make_plan(), blocks=(task_step(),)))
    (found,) = olga.get("/v1/tasks", params={"whose": "all"}).json()["items"]
    shown: dict[str, Any] = found
    return shown


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:orderly:problem:{kind}"
    return body


class TestHolds:
    def test_a_hold_shows_its_cause_its_steps_and_the_choices(self, olga: httpx.Client, held: str) -> None:
        answer = olga.get(f"/v1/requests/{held}")

        body = answer.json()
        assert answer.headers["etag"] == f'"{body["version"]}"'
        assert (body["state"], body["zero_touch"], body["touches"], body["parent"]) == ("on_hold", True, [], None)
        hold = body["hold"]
        assert "needed" in hold["cause"]
        assert [(step["step"], step["state"], step["choices"]) for step in hold["steps"]] == [
            ("needed", "failed", ["complete"]),
            ("signal", "started", ["complete"]),
        ]
        assert hold["choices"] == ["retry", "undo", "fix", "assign"]
        assert hold["assigned"] == {"team": None, "person": None}

    def test_a_step_is_completed_with_a_result_of_its_type_only(self, olga: httpx.Client, held: str) -> None:
        here = f"/v1/requests/{held}:complete"
        body = problem(
            olga.post(here, json={**WHY, "step": "needed", "result": {"count": True}}), 422, "invalid-result"
        )
        assert body["errors"][0]["pointer"] == "/result/count"
        problem(olga.post(here, json={**WHY, "step": "create", "result": {}}), 409, "not-possible")
        problem(olga.post(here, json={"step": "needed", "result": {"count": 1}}), 422, "invalid-request")
        problem(olga.post(here, json={**WHY, "step": "needed", "go_on": "yes"}), 422, "invalid-request")
        problem(olga.post(here, json={**WHY, "step": "needed", "minutes": -1}), 422, "invalid-request")

        answer = olga.post(here, json={**WHY, "step": "needed", "result": {"count": 1}, "minutes": 5, "label": "odd"})

        assert answer.status_code == 202
        done = answer.json()
        assert (done["state"], done["zero_touch"], done["hold"]) == ("in_progress", False, None)
        (touch,) = done["touches"]
        assert (touch["kind"], touch["step"], touch["actor"], touch["minutes"]) == ("complete", "needed", "olga", 5)
        assert [attempt["touched"] for attempt in done["steps"][0]["attempts"]] == [False, True]
        problem(olga.post(here, json={**WHY, "step": "needed", "result": {"count": 1}}), 409, "wrong-state")

    def test_a_step_is_skipped_only_where_the_model_allows_it(self, olga: httpx.Client, held: str) -> None:
        answer = olga.post(f"/v1/requests/{held}:skip", json={**WHY, "step": "needed"})

        assert "on_failure: continue" in problem(answer, 409, "not-possible")["detail"]

    def test_inputs_are_corrected_as_an_order_is_judged(self, olga: httpx.Client, held: str) -> None:
        here = f"/v1/requests/{held}:fix"
        wrong = olga.post(here, json={**WHY, "inputs": {"project": "A"}})
        assert problem(wrong, 422, "invalid-inputs")["errors"][0]["pointer"] == "/inputs/project"
        problem(olga.post(here, json={**WHY, "inputs": {"project": "apollo"}}), 409, "not-possible")

        answer = olga.post(here, json={**WHY, "inputs": {"project": "artemis"}, "unset": []})

        assert answer.status_code == 202
        assert answer.json()["inputs"]["project"] == "artemis"

    def test_a_hold_is_assigned_and_an_act_on_what_was_changed_since_is_refused(
        self, olga: httpx.Client, held: str
    ) -> None:
        seen = olga.get(f"/v1/requests/{held}").headers["etag"]
        body = {**WHY, "team": "network", "assignee": "zoe"}
        here = f"/v1/requests/{held}:assign"
        assert olga.post(here, json=body, headers={"If-Match": seen}).json()["hold"]["assigned"] == {
            "team": "network",
            "person": "zoe",
        }
        problem(olga.post(here, json=body, headers={"If-Match": seen}), 412, "changed-meanwhile")
        problem(olga.post(here, json=body, headers={"If-Match": "seven"}), 422, "invalid-request")
        assert olga.post(here, json=body, headers={"If-Match": "*"}).status_code == 200

    @pytest.mark.parametrize("verb", ["complete", "skip", "fix", "assign"])
    def test_acts_need_the_scope_and_the_right_to_see(self, api: Any, anna: httpx.Client, held: str, verb: str) -> None:
        body = {**WHY, **({"step": "needed"} if verb in {"complete", "skip"} else {})}
        problem(anna.post(f"/v1/requests/{held}:{verb}", json=body), 403, "not-allowed")
        stranger = api.client("otto", "requests:act", "requests:read")
        problem(stranger.post(f"/v1/requests/{held}:{verb}", json=body), 404, "unknown-request")
        problem(stranger.post(f"/v1/requests/nothing:{verb}", json=body), 404, "unknown-request")


class TestTasks:
    def test_a_task_is_shown_completed_and_wakes_its_request(
        self, api: Any, olga: httpx.Client, task: dict[str, Any]
    ) -> None:
        assert (task["instructions"], task["state"], task["overdue"]) == ("Count them.", "open", False)
        assert task["returns"] == RETURNS
        here = f"/v1/tasks/{task['id']}"
        wrong = problem(olga.post(f"{here}:complete", json={"result": {"count": "1"}}), 422, "invalid-result")
        assert wrong["errors"][0]["pointer"] == "/result/count"

        done = olga.post(f"{here}:complete", json={"result": {"count": 1}, "why": "counted"})

        assert (done.status_code, done.json()["state"], done.json()["by"]) == (200, "done", "olga")
        request_id = task["request"]["id"]
        assert olga.get(f"/v1/requests/{request_id}").json()["state"] == "in_progress"
        run(api, request_id)
        request = olga.get(f"/v1/requests/{request_id}").json()
        assert (request["state"], request["zero_touch"]) == ("fulfilled", False)
        problem(olga.post(f"{here}:complete", json={"result": {"count": 1}}), 409, "wrong-state")

    def test_a_task_is_handed_over_and_spoken_of(self, olga: httpx.Client, task: dict[str, Any]) -> None:
        here = f"/v1/tasks/{task['id']}"
        seen = olga.get(here).headers["etag"]
        moved = olga.post(f"{here}:assign", json={**WHY, "team": "network"}, headers={"If-Match": seen})
        assert moved.json()["assigned"] == {"team": "network", "person": None}
        problem(olga.post(f"{here}:assign", json=WHY, headers={"If-Match": seen}), 412, "changed-meanwhile")
        said = olga.post(f"{here}:comment", json={"text": "looking"}).json()
        assert [note["event"] for note in said["history"]] == ["created", "assigned", "comment"]

    def test_tasks_of_others_look_like_none(self, api: Any, task: dict[str, Any]) -> None:
        otto = api.client("otto", "tasks:read", "tasks:act")
        assert otto.get("/v1/tasks").json() == {"items": [], "more": False}
        problem(otto.get(f"/v1/tasks/{task['id']}"), 404, "unknown-task")
        problem(otto.post(f"/v1/tasks/{task['id']}:complete", json={}), 404, "unknown-task")
        problem(otto.get("/v1/tasks", params={"whose": "all"}), 403, "not-allowed")
        problem(otto.get("/v1/tasks", params={"whose": "nobody"}), 422, "invalid-request")
        problem(otto.get("/v1/tasks/no-id"), 404, "unknown-task")


class TestEvents:
    def test_an_event_wakes_what_waits_for_it_and_is_one_under_its_id(
        self, api: Any, anna: httpx.Client, make_plan: Any
    ) -> None:
        step = waiting_step("signal", "wait.event", RETURNS, event="shipped", key="box-7")
        request_id = order(api, anna, replace(make_plan(), blocks=(step,)))
        sender = api.client("carrier", "events:send")
        event = {"event": "shipped", "key": "box-7", "data": {"count": 3}, "id": "msg-1"}

        first, again = sender.post("/v1/events", json=event), sender.post("/v1/events", json=event)

        assert (first.status_code, first.json()["fulfilled"], first.json()["repeated"]) == (202, 1, False)
        assert (again.status_code, again.json()["fulfilled"], again.json()["repeated"]) == (202, 0, True)
        run(api, request_id)
        assert anna.get(f"/v1/requests/{request_id}").json()["state"] == "fulfilled"

    def test_bad_events_are_refused(self, api: Any, anna: httpx.Client) -> None:
        sender = api.client("carrier", "events:send")
        problem(anna.post("/v1/events", json={"event": "shipped"}), 403, "not-allowed")
        for body in ({}, {"event": ""}, {"event": "a\nb"}, {"event": "a", "more": 1}, {"event": 7}):
            problem(sender.post("/v1/events", json=body), 422, "invalid-request")


class TestCommands:
    def test_a_task_is_listed_and_completed(self, orderly: Run, task: dict[str, Any]) -> None:
        listed = orderly("tasks", "--all")
        assert task["id"] in listed.stdout
        assert "storage" in listed.stdout
        refused = orderly("complete", task["id"], "--result", '{"count": "1"}', "--why", "x")
        assert (refused.returncode, "/result/count" in refused.stderr) == (1, True)
        done = orderly("complete", task["id"], "--result", "-", "--why", "counted", "--json", text='{"count": 1}')
        assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "done")
        assert "counted" in orderly("tasks", task["id"]).stdout
        assert orderly("tasks", "--all").stdout.strip() == "No tasks."

    def test_a_hold_is_assigned_fixed_and_completed(self, orderly: Run, held: str) -> None:
        assert orderly("assign", held, "--team", "network", "--why", "theirs").stdout == "It is now with network.\n"
        refused = orderly("skip", held, "--step", "needed", "--why", "x")
        assert (refused.returncode, "on_failure: continue" in refused.stderr) == (1, True)
        stays = orderly(
            "complete", held, "--step", "needed", "--result", '{"count": 1}', "--why", "x", "--stay", "--json"
        )
        assert json.loads(stays.stdout)["state"] == "on_hold"
        fixed = orderly("fix", held, "-i", "days=7", "--why", "too long", "--json")
        request = json.loads(fixed.stdout)
        assert (request["state"], request["inputs"]["days"]) == ("in_progress", 7)
        assert [touch["kind"] for touch in request["touches"]] == ["hand_over", "complete", "fix"]
        (correction,) = request["corrections"]
        assert (correction["state"], correction["why"]) == ("applied", "too long")
        assert correction["changes"]["days"]["after"] == 7

    @pytest.mark.parametrize(
        "arguments",
        [
            ("complete", "no-id", "--why", "x"),
            ("complete", "no-id", "--why", "x", "--result", "{"),
            ("complete", "no-id", "--why", "x", "--item", "y"),
            ("fix", "no-id", "--why", "x"),
            ("fix", "no-id", "--why", "x", "-i", "y"),
            ("assign", "no-id", "--why", "x"),
            ("skip", "no-id", "--why", "x"),
            ("tasks", "--mine", "--all"),
        ],
    )
    def test_wrong_usage_is_exit_code_2(self, orderly: Run, arguments: tuple[str, ...]) -> None:
        assert orderly(*arguments).returncode == 2

"""Locks over the API and the command line: who holds them, who waits behind whom, and how they are freed."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from flows.execution import FlowRunIdentity, Proceed
from flows.lock_queue import may_be_dispatched
from request_models.actions import EffectClass
from request_models.plan import Literal, MapOf, Step, Text

WHY = {"why": "the bucket is needed"}


def failing() -> Step:
    """A step of an action that this installation does not have."""
    return Step(
        path="needed",
        title={"en": "needed"},
        uses="nowhere.note",
        contract="1",
        effect=EffectClass.IDEMPOTENT,
        arguments=MapOf({"text": Literal("x")}),
    )


@pytest.fixture
def held_and_waiting(api: Any, anna: httpx.Client, make_plan: Any) -> tuple[str, str]:
    """A request on hold that keeps a lock, and one that waits for it, scheduled."""
    locks = (Text("bucket:{{ inputs.project }}"), Literal("another"))
    api.publish(replace(make_plan(), blocks=(failing(),), locks=locks))
    order = {"model": "project-bucket", "inputs": {"project": "apollo"}}
    first, second = (str(anna.post("/v1/requests", json=order).json()["id"]) for _ in range(2))
    application, key = api.application, f"orderly:{first}:nonce"
    application.records.run(lambda tx: tx.requests.set_flow_run(first, None, key))
    entry = application.execution.enter(first, FlowRunIdentity(f"run-{first}", key))
    assert isinstance(entry, Proceed), entry
    with entry.session as session:
        session.finish(session.walk(lambda unit: session.run_step(unit, lambda line: None)))
    assert not application.records.run(lambda tx: may_be_dispatched(tx, tx.requests.get_for_update(second)))
    return first, second


def test_a_request_shows_the_locks_it_holds_and_whom_it_waits_behind(
    anna: httpx.Client, held_and_waiting: tuple[str, str]
) -> None:
    first, second = held_and_waiting
    holder, waiting = (anna.get(f"/v1/requests/{one}").json() for one in (first, second))
    assert [lock["name"] for lock in holder["locks"]] == ["another", "bucket:apollo"]
    assert all(lock["held_since"] and lock["waiting_behind"] is None for lock in holder["locks"])
    since = holder["locks"][0]["held_since"]
    assert [lock["waiting_behind"] for lock in waiting["locks"]] == [{"request": first, "held_since": since}] * 2
    assert [lock["held_since"] for lock in waiting["locks"]] == [None, None]
    assert waiting["state"] == "scheduled"
    assert f"it waits for lock another, held by request {first} since" in waiting["state_reason"]


def test_operators_see_all_locks_and_others_do_not(
    api: Any, anna: httpx.Client, held_and_waiting: tuple[str, str]
) -> None:
    first, second = held_and_waiting
    assert anna.get("/v1/locks").status_code == 403
    operator = api.client("olga", "requests:read", "requests:read:all")
    answer = operator.get("/v1/locks").json()
    assert [lock["name"] for lock in answer["items"]] == ["another", "bucket:apollo"]
    for lock in answer["items"]:
        assert [(one["request"], one["state"]) for one in lock["held_by"]] == [(first, "on_hold")]
        assert [(one["request"], one["held_since"]) for one in lock["waiting"]] == [(second, None)]
    assert answer["more"] is False


def test_locks_of_a_hold_are_freed_once_with_a_reason_by_who_may_act(
    api: Any, anna: httpx.Client, held_and_waiting: tuple[str, str]
) -> None:
    first, second = held_and_waiting
    here = f"/v1/requests/{first}:release-locks"
    operator = api.client("olga", "admin")
    assert anna.post(here, json=WHY).status_code == 403
    assert operator.post(here, json={}).status_code == 422
    assert operator.post(f"/v1/requests/{second}:release-locks", json=WHY).status_code == 409
    freed = operator.post(here, json=WHY)
    assert freed.status_code == 200, freed.text
    assert freed.json()["locks"] == []
    assert "were let go: the bucket is needed" in freed.json()["state_reason"]
    assert [touch["kind"] for touch in freed.json()["touches"]] == ["clean_up"]
    assert all(lock["held_since"] for lock in anna.get(f"/v1/requests/{second}").json()["locks"])
    assert operator.post(here, json=WHY).json()["type"] == "urn:orderly:problem:not-possible"


@pytest.mark.slow
def test_the_command_lists_locks_and_frees_them(orderly: Callable[..., Any], held_and_waiting: tuple[str, str]) -> None:
    first, second = held_and_waiting
    shown = orderly("locks")
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[:2] for line in shown.stdout.splitlines()[1:]] == [
        ["another", first],
        ["another", second],
        ["bucket:apollo", first],
        ["bucket:apollo", second],
    ]
    assert orderly("locks", "--release", first).returncode == 2
    assert orderly("locks", "--release", first, "--why", "needed").returncode == 0
    listed = json.loads(orderly("locks", "--json").stdout)["locks"]
    assert [[one["request"] for one in lock["held_by"]] for lock in listed] == [[second], [second]]

"""One `orderly up --sandbox` from its start to its end, and one that is killed in between."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from waiting import wait_until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.slow,
    pytest.mark.needs("namespaces"),
    pytest.mark.timeout(900),
]

FULFILLED_SECONDS = 240.0


def order(client: httpx.Client, project: str) -> str:
    answer = client.post(
        "/v1/requests",
        json={"model": "project-bucket", "inputs": {"project": project}},
        headers={"Idempotency-Key": project},
    )
    assert answer.status_code == 202, answer.text
    request_id: str = answer.json()["id"]
    return request_id


def wait_for(client: httpx.Client, request_id: str, state: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        request: dict[str, Any] = client.get(f"/v1/requests/{request_id}").json()
        return request if request["state"] == state else None

    return wait_until(f"request {request_id} is {state}", look, deadline=FULFILLED_SECONDS, every=0.2) or {}


def test_it_starts_fulfils_rides_out_a_dead_prefect_and_leaves_nothing(start_up: Callable[[], Any]) -> None:
    up = start_up()
    ready = up.ready()
    client = up.client()

    # Everything is there, and nothing of it is open to others.
    assert client.get("/readyz").status_code == 200
    assert httpx.get(ready["prefect"]).status_code == 200
    assert up.state.stat().st_mode & 0o077 == 0
    models = {model["model"] for model in client.get("/v1/catalogue").json()["items"]}
    assert models >= {"project-bucket", "linux-account", "project-space"}

    # The commands beside it find it by themselves.
    watched = up.orderly("submit", "project-bucket", "-i", "project=first", "--watch", "--json")
    assert watched.returncode == 0, watched.stdout + watched.stderr
    last = json.loads(watched.stdout.splitlines()[-1])
    assert last["state"] == "fulfilled"
    assert [step["state"] for step in last["steps"]] == ["done"] * len(last["steps"])
    page = httpx.get(last["links"]["prefect"], headers={"Accept": "text/html"}, follow_redirects=True)
    assert page.status_code == 200
    assert last["id"] in up.orderly("requests", "--text", last["id"], "--json").stdout
    doctor = up.orderly("doctor")
    assert doctor.returncode == 0, doctor.stdout

    # A second one on the same folder is refused, and disturbs nothing.
    second = up.orderly("up", "--sandbox", "--port", "0", "--prefect-port", "0", "--state", str(up.state))
    assert second.returncode == 1
    assert str(up.process.pid) in second.stderr
    assert client.get("/readyz").status_code == 200

    # Prefect dies: orders are accepted at once all the same, and run when it is back.
    os.kill(up.pid_of("prefect.server.api.server"), signal.SIGKILL)
    began = time.monotonic()
    request_id = order(client, "second")
    assert time.monotonic() - began < 2.0
    wait_for(client, request_id, "fulfilled")

    # Stopped, it ends well and takes everything along.
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert up.processes() == {}
    assert not (up.state / "up.json").exists()
    assert up.events()[-1]["event"] == "stopped"


def test_killed_it_leaves_no_process_and_started_again_it_loses_nothing(
    start_up: Callable[[], Any],
) -> None:
    up = start_up()
    client = up.client()
    requests = [order(client, f"killed-{number}") for number in range(3)]
    wait_until(
        "a request runs",
        lambda: any(client.get(f"/v1/requests/{one}").json()["state"] == "in_progress" for one in requests),
        deadline=FULFILLED_SECONDS,
    )
    last = order(client, "killed-last")

    up.process.kill()
    up.process.wait(10)

    wait_until("all its processes are gone", lambda: not up.processes(), deadline=10)

    again = start_up()
    client = again.client()
    for request_id in [*requests, last]:
        wait_for(client, request_id, "fulfilled")
    assert order(client, "killed-0") == requests[0], "the Idempotency-Key is remembered"
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(60) == 0
    assert again.processes() == {}

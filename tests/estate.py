"""A whole Orderly for acceptance tests: `orderly up --sandbox` as a user starts it, in a state folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from waiting import wait_until

START_WITHIN = 180.0
"""Seconds: a busy machine with two cores, Prefect's database made anew."""

ENDED = frozenset({"fulfilled", "failed", "cancelled", "rejected"})
SETTLED = ENDED | {"on_hold"}


@dataclass
class Estate:
    """`orderly up --sandbox` over one state folder; it can be stopped, killed and started again."""

    state: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    clients: dict[tuple[str, ...], httpx.Client] = field(default_factory=dict)

    def start(self) -> None:
        """Start it and wait until orders are taken and Prefect can run them."""
        command = [sys.executable, "-P", "-m", "flows.cli", "up", "--sandbox", "--port", "0", "--prefect-port", "0"]
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--state", str(self.state)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        wait_until("it is up, or has given up", lambda: self.process_ended() or self._takes_orders(), START_WITHIN)
        assert not self.process_ended(), self.output.read_text()
        wait_until("the catalogue is published", self._all_deployed, START_WITHIN)

    @property
    def output(self) -> Path:
        """What `orderly up` printed."""
        return self.state.with_suffix(".up.log")

    def process_ended(self) -> bool:
        """Whether `orderly up` has ended."""
        return self.process is None or self.process.poll() is not None

    def _takes_orders(self) -> bool:
        return self.http().get("/readyz").is_success

    def _all_deployed(self) -> bool:
        models = {item["model"] for item in self.http().get("/v1/catalogue").json()["items"]}
        found = self.prefect().post("/deployments/filter", json={}).json()
        return bool(models) and models <= {deployment["name"] for deployment in found}

    def stop(self) -> None:
        """End it as Ctrl-C does, and wait until it has ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def up(self) -> dict[str, Any]:
        """What the running `orderly up` tells other commands."""
        found: dict[str, Any] = json.loads((self.state / "up.json").read_text())
        return found

    def http(self, key: str | None = None) -> httpx.Client:
        """A client of the API, with this machine's key unless another is given."""
        secret = key or (self.state / "keys" / "local-api-key").read_text().strip()
        return self._client(self.up()["api"], {"Authorization": f"Bearer {secret}"})

    def prefect(self) -> httpx.Client:
        """A client of Prefect's API."""
        return self._client(self.up()["prefect_api"].rstrip("/") + "/", {})

    def _client(self, url: str, headers: dict[str, str]) -> httpx.Client:
        wanted = (url, *headers.values())
        if wanted not in self.clients:
            self.clients[wanted] = httpx.Client(base_url=url, headers=headers, timeout=30)
        return self.clients[wanted]

    def close(self) -> None:
        """Close the clients."""
        for client in self.clients.values():
            client.close()
        self.clients.clear()

    def order(self, model: str, inputs: Mapping[str, Any], **body: Any) -> httpx.Response:
        """Order a model for somebody with an address."""
        person = {"id": "ada", "name": "Ada", "email": "ada@example.org"}
        return self.http().post(
            "/v1/requests", json={"model": model, "inputs": inputs, "requested_for": person, **body}
        )

    def request(self, request_id: str) -> dict[str, Any]:
        """A request as the API shows it."""
        found: dict[str, Any] = self.http().get(f"/v1/requests/{request_id}").raise_for_status().json()
        return found

    def settled(self, request_id: str, within: float = 120.0) -> dict[str, Any]:
        """The request once it has ended or is on hold."""
        return self._in_state(request_id, SETTLED, within)

    def settled_as(self, request_id: str, state: str, within: float = 120.0) -> dict[str, Any]:
        """The request once it is in that state: one on hold may still be so for a moment after it was retried."""
        return self._in_state(request_id, {state}, within)

    def _in_state(self, request_id: str, states: AbstractSet[str], within: float) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.request(request_id)
            return found if found["state"] in states else None

        found = wait_until(f"request {request_id} is {' or '.join(sorted(states))}", look, within, every=0.5)
        assert found is not None
        return found


@contextmanager
def running(state: Path, **environment: str) -> Iterator[Estate]:
    """An estate that is stopped at the end, and killed if it does not stop."""
    estate = Estate(state, environment)
    try:
        estate.start()
        yield estate
    finally:
        estate.close()
        try:
            estate.stop()
        finally:
            estate.kill()

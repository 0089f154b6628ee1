"""A whole Orderly for acceptance tests: `orderly up --sandbox` as a user starts it, in a state folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
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

    def start(self) -> None:
        """Start it and wait until orders are taken and Prefect can run them."""
        command = [sys.executable, "-P", "-m", "flows.cli", "up", "--sandbox", "--port", "0", "--prefect-port", "0"]
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state.parent / f"{self.state.name}.up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--state", str(self.state)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        wait_until("orders are taken", lambda: self.http().get("/readyz").is_success, START_WITHIN)
        wait_until("the catalogue is published", self._all_deployed, START_WITHIN)

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
        return httpx.Client(base_url=self.up()["api"], headers={"Authorization": f"Bearer {secret}"}, timeout=30)

    def prefect(self) -> httpx.Client:
        """A client of Prefect's API."""
        return httpx.Client(base_url=self.up()["prefect_api"].rstrip("/") + "/", timeout=30)

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
        return wait_until(
            f"request {request_id} settles",
            lambda: (found := self.request(request_id))["state"] in SETTLED and found,
            within,
            every=0.5,
        )


@contextmanager
def running(state: Path, **environment: str) -> Iterator[Estate]:
    """An estate that is stopped at the end, and killed if it does not stop."""
    estate = Estate(state, environment)
    try:
        estate.start()
        yield estate
    finally:
        try:
            estate.stop()
        finally:
            estate.kill()

"""`orderly up --sandbox` as a person starts it, on free ports and a state folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.supervision import MARK, sweep
from waiting import wait_until

ORDERLY = Path(sys.executable).parent / "orderly"
ANY_PORTS = ("--port", "0", "--prefect-port", "0")
START_SECONDS = 300.0
"""Long, because tests of other tiers may run beside it; a quiet machine needs ten."""


@dataclass
class Up:
    """One `orderly up`, and the commands next to it."""

    state: Path
    output: Path
    process: "subprocess.Popen[bytes]"
    _clients: list[httpx.Client] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def ready(self) -> dict[str, Any]:
        """The event that says where everything is."""

        def look() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"`orderly up` ended: {self.output.read_text()}"
            return next((event for event in self.events() if event["event"] == "up"), None)

        return wait_until("everything is up", look, deadline=START_SECONDS) or {}

    def client(self) -> httpx.Client:
        url = self.ready()["api"]
        key = (self.state / "keys" / "local-api-key").read_text().strip()
        client = httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=10.0)
        self._clients.append(client)
        return client

    def orderly(self, *arguments: str, seconds: float = 240.0) -> "subprocess.CompletedProcess[str]":
        """Run another command on the same state folder."""
        return subprocess.run(
            [ORDERLY, *arguments],
            env={**os.environ, "ORDERLY_STATE": str(self.state)},
            cwd=self.state.parent,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def processes(self) -> dict[int, str]:
        """Every process of this `up`, with its command line; not `up` itself."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if f"{MARK}={self.state}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[int(entry.name)] = command
            except (OSError, ValueError):
                continue
        return found

    def pid_of(self, part: str) -> int:
        """The process whose command line holds `part`."""
        return next(pid for pid, command in self.processes().items() if part in command)

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[[], Up]]:
    """Start it; call it again to start it again on the same state folder."""
    started: list[Up] = []

    def start() -> Up:
        output = tmp_path / f"up-{len(started)}.jsonl"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [ORDERLY, "up", "--sandbox", "--json", *ANY_PORTS, "--state", tmp_path / "state"],
                stdout=stream,
                stderr=stream,
                cwd=tmp_path,
                process_group=0,
            )
        up = Up(tmp_path / "state", output, process)
        started.append(up)
        return up

    yield start
    for up in started:
        up.close()
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGTERM)
        up.process.wait(60)
    sweep(str(tmp_path / "state"))


@pytest.fixture
def run_orderly() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a command to its end, in a folder, with no setting of Orderly's in the environment."""

    def run(*arguments: str, cwd: Path, seconds: float = 500.0) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ORDERLY_")}
        return subprocess.run(
            [ORDERLY, *arguments],
            env=environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    return run

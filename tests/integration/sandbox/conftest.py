"""A sandbox as a process of its own, which tests may stop, kill and start again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from flows.sandbox.inspection import Status, status
from waiting import wait_until

START_SECONDS = 60.0


@dataclass
class Sandbox:
    """`python -m flows.sandbox` over one state folder."""

    state: Path
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def folder(self) -> Path:
        return self.state / "sandbox"

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it without waiting."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flows.sandbox", "--state", str(self.state)],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def start(self) -> Status:
        process = self.process = self.launch()

        def ready() -> list[Status]:
            if process.poll() is not None:
                pytest.fail(f"the sandbox ended: {self.log.read_text()}")
            now = status(self.state)
            return [now] if now is not None and now.pid == process.pid else []

        return wait_until("the sandbox is ready", ready, deadline=START_SECONDS)[0]

    def end(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end, return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(START_SECONDS)
        self.process = None
        return code

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def client(self, service: str, **more: Any) -> Any:
        """A boto3 client that asks once: a test counts what it does itself."""
        now = status(self.state)
        assert now is not None
        return boto3.client(
            service,
            endpoint_url=now.endpoint_url,
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
            config=Config(retries={"max_attempts": 0}),
            **{"region_name": "us-east-1", **more},
        )


def _ended(sandbox: Sandbox) -> None:
    if sandbox.process is not None:
        sandbox.end(signal.SIGTERM)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that is not started yet, over an empty state folder."""
    it = Sandbox(tmp_path / "state", tmp_path / "sandbox.log")
    yield it
    _ended(it)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running sandbox that a module's tests share; none of them may stop it."""
    place = tmp_path_factory.mktemp("sandbox")
    it = Sandbox(place / "state", place / "sandbox.log")
    it.start()
    yield it
    _ended(it)

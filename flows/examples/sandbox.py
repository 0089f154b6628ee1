"""An estate to run examples for real against: the sandbox, over a state folder that is thrown away."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.errors import OrderlyError
from flows.sandbox.inspection import Status, status
from flows.settings import SETTINGS_FILES, Settings, load_settings, settings_files
from flows.supervision import leashed
from request_models.plan import Plan
from request_models.schema import ExampleDocument

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.1


class SandboxUnavailable(OrderlyError):
    """The sandbox did not start; the message says what its log says last."""


@dataclass(frozen=True)
class Estate:
    """A running sandbox: the settings that point every connector at it; and, if there are no hosts, why."""

    settings: Settings
    no_hosts: str | None

    def skips(self, plan: Plan, example: ExampleDocument) -> str | None:
        """Why an example cannot be run for real here; None when it can."""
        if not example.sandbox:
            return "it says `sandbox: false`"
        if example.given.failures:
            return "its `failures` cannot be had for real"
        if plan.starts is not None:
            return "it starts only when `starts` says, for which nobody waits here"
        if self.no_hosts is not None and any(call.hosts is not None for call in plan.calls):
            return f"it needs hosts: {self.no_hosts}"
        return None


@contextmanager
def sandbox_estate() -> Iterator[Estate]:
    """Start a sandbox of its own, and end it. Raises SandboxUnavailable."""
    before = os.environ.get(SETTINGS_FILES)
    with TemporaryDirectory(prefix="orderly-sandbox-") as folder:
        state = Path(folder)
        process = _start(state)
        try:
            ready = _ready(process, state)
            files = (*settings_files(), ready.settings)
            os.environ[SETTINGS_FILES] = os.pathsep.join(map(str, files))
            yield Estate(load_settings(state=state), ready.no_hosts)
        finally:
            if before is None:
                os.environ.pop(SETTINGS_FILES, None)
            else:
                os.environ[SETTINGS_FILES] = before
            _end(process)


def _start(state: Path) -> "subprocess.Popen[bytes]":
    with _log(state).open("ab") as log:
        return subprocess.Popen(
            leashed([sys.executable, "-P", "-m", "flows.sandbox", "--state", str(state)]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us: we end it in our turn
        )


def _ready(process: "subprocess.Popen[bytes]", state: Path) -> Status:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = status(state)
        if found is not None:
            return found
        if process.poll() is not None:
            break
        time.sleep(_LOOK_SECONDS)
    lines = _log(state).read_text(errors="replace").strip().splitlines()
    raise SandboxUnavailable(f"The sandbox did not start: {lines[-1] if lines else 'it said nothing'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _log(state: Path) -> Path:
    return state / "sandbox.log"

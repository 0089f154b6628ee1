"""What is measured: an `orderly up` of its own in a folder, and the stock Prefect that it is held against."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from waiting import wait_until

_ORDERLY = str(Path(sys.executable).with_name("orderly"))
_PREFECT = [sys.executable, "-I", "-m", "prefect"]

EXTENSION = '''
"""Leaves a line with the time in a file: the least that a step can do."""

import os
import time

from request_models.actions import ActionResult, ActionSpec, EffectClass, Outcome
from request_models.value_types import Member, ObjectType, StringType


class Mark:
    spec = ActionSpec(
        name="mark.leave",
        title="Leave a line",
        arguments=ObjectType(members={"name": Member(type=StringType(), required=True)}),
        result=ObjectType(members={"name": Member(type=StringType(), required=True)}),
        effect=EffectClass.IDEMPOTENT,
    )

    def run(self, call):
        with open(FILE, "a") as out:
            out.write(f"{time.time()} {call.arguments['name']} {call.step_path}\\n")
        return ActionResult(Outcome.MADE, {"name": call.arguments["name"]})


class Marks:
    name = "mark"

    def find(self, name):
        return Mark() if name == "mark.leave" else None

    def names(self):
        return ["mark.leave"]

    def content(self, digest):
        return None

    def close(self):
        pass


def connector(settings, context):
    return Marks()
'''

FLOW = """
import os, time
from prefect import flow, task

@task
def leave(name, step):
    with open(FILE, "a") as out:
        out.write(f"{time.time()} {name} {step}\\n")
    return {"name": name}

@flow
def marks(name: str, steps: int = 5):
    for number in range(steps):
        leave.with_options(name=f"step_{number}")(name, f"step_{number}")
"""

DEPLOY = """
import sys
from prefect import flow
flow.from_source(source=sys.argv[1], entrypoint="marks_flow.py:marks").deploy(
    name="marks", work_pool_name="stock", build=False, push=False, print_next_steps=False)
"""


@dataclass(frozen=True)
class Mark:
    """A step's effect: when, of which order, which step."""

    at: float
    name: str
    step: str


class Marks:
    """The file that the effects are left in."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> list[Mark]:
        if not self.file.exists():
            return []
        lines = [line.split() for line in self.file.read_text().splitlines()]
        return [Mark(float(line[0]), line[1], line[2]) for line in lines if len(line) == 3]

    def of(self, name: str) -> list[Mark]:
        return [mark for mark in self.all() if mark.name == name]


class Installation:
    """A running `orderly up` with a model of so many steps for each number wanted, `marks-N`."""

    def __init__(self, folder: Path, steps: Sequence[int], settings: str = "") -> None:
        self.folder = folder
        self.marks = Marks(folder / "marks.txt")
        content = folder / "content"
        (content / "extensions").mkdir(parents=True)
        (content / "models").mkdir()
        (content / "extensions" / "mark.py").write_text(EXTENSION.replace("FILE", repr(str(self.marks.file))))
        for count in steps:
            (content / "models" / f"marks-{count}.yaml").write_text(_model(count))
        (folder / "settings.yaml").write_text(f"content: [{content}]\n{settings}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERLY_", "PREFECT_"))}
        self._environment = {
            **kept,
            "ORDERLY_SETTINGS": str(folder / "settings.yaml"),
            "ORDERLY_STATE": str(folder / "state"),
        }
        self.seconds_to_start = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=30, trust_env=False)

    def start(self) -> None:
        begun = time.monotonic()
        with (self.folder / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_ORDERLY, "up", "--port", "0", "--prefect-port", "0"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        state = self.folder / "state"
        wait_until("orderly is up", lambda: self._answers(state / "up.json"), 120)
        self.seconds_to_start = time.monotonic() - begun
        key = (state / "keys" / "local-api-key").read_text().strip()
        self._http.headers["Authorization"] = f"Bearer {key}"

    def _answers(self, file: Path) -> bool:
        self.api = str(json.loads(file.read_text())["api"])
        return "Up after" in (self.folder / "up.log").read_text() and self._http.get(f"{self.api}/readyz").is_success

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def order(self, steps: int, name: str) -> tuple[str, float]:
        """Order; the request's id, and when it was accepted."""
        order: dict[str, Any] = {"model": f"marks-{steps}", "inputs": {"name": name}}
        answer = self._http.post(f"{self.api}/v1/requests", json=order, headers={"Idempotency-Key": f"order-{name}"})
        at = time.time()
        if answer.status_code != httpx.codes.ACCEPTED:
            raise RuntimeError(f"The order was answered {answer.status_code}: {answer.text}")
        return str(answer.json()["id"]), at

    def state_of(self, request_id: str) -> str:
        return str(self._http.get(f"{self.api}/v1/requests/{request_id}").json()["state"])

    def processor_seconds(self) -> float:
        """What all processes have used so far, those that have ended included."""
        assert self._process is not None
        return processor_seconds(self._process.pid)

    def processes(self) -> list[int]:
        assert self._process is not None
        return tree(self._process.pid)


class StockPrefect:
    """A Prefect server, its stock process worker, and the same steps as a flow written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks = Marks(folder / "marks.txt")
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.api = f"http://127.0.0.1:{port}/api"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERLY_", "PREFECT_"))}
        self._environment = {
            **kept,
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        self._port = str(port)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._deployment = ""

    def start(self) -> None:
        (self.folder / "marks_flow.py").write_text(FLOW.replace("FILE", repr(str(self.marks.file))))
        self._begin("server", [*_PREFECT, "server", "start", "--host", "127.0.0.1", "--port", self._port])
        wait_until("Prefect answers", lambda: self._http.get(f"{self.api}/health").is_success, 90)
        self._run([*_PREFECT, "work-pool", "create", "stock", "--type", "process"])
        self._run([sys.executable, "-c", DEPLOY, str(self.folder)])
        self._begin("worker", [*_PREFECT, "worker", "start", "--pool", "stock"])
        answer = self._http.get(f"{self.api}/deployments/name/marks/marks")
        self._deployment = str(answer.raise_for_status().json()["id"])
        wait_until("the worker polls", lambda: "started" in (self.folder / "worker.log").read_text(), 60)

    def stop(self) -> None:
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)

    def order(self, steps: int, name: str) -> tuple[str, float]:
        body = {"parameters": {"name": name, "steps": steps}, "state": {"type": "SCHEDULED"}, "idempotency_key": name}
        answer = self._http.post(f"{self.api}/deployments/{self._deployment}/create_flow_run", json=body)
        for _ in range(10):
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(0.2)  # Prefect on SQLite answers so now and then; it is not held against it
            answer = self._http.post(f"{self.api}/deployments/{self._deployment}/create_flow_run", json=body)
        return str(answer.raise_for_status().json()["id"]), time.time()

    def state_of(self, flow_run_id: str) -> str:
        state = str(self._http.get(f"{self.api}/flow_runs/{flow_run_id}").json()["state"]["type"])
        return "fulfilled" if state == "COMPLETED" else state

    def processor_seconds(self) -> float:
        return sum(processor_seconds(process.pid) for process in self._processes)

    def _begin(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _run(self, command: Sequence[str]) -> None:
        subprocess.run(
            command, cwd=self.folder, env=self._environment, check=True, stdin=subprocess.DEVNULL, capture_output=True
        )


@contextmanager
def running(what: "Installation | StockPrefect") -> Iterator[None]:
    """Started, and stopped in any case."""
    try:
        what.start()
        yield
    finally:
        what.stop()


def processor_seconds(root: int) -> float:
    """Processor time of a process and all below it, with that of the children they have waited for."""
    ticks = 0
    for pid in tree(root):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process, and its share of it: what is in several processes counts once, in parts."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0, 0.0
    resident, share = (re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE) for name in ("Rss", "Pss"))
    assert resident is not None
    assert share is not None
    return int(resident[1]) / 1024, int(share[1]) / 1024


def _model(steps: int) -> str:
    lines = [
        f"model: marks-{steps}",
        "title: Marks",
        "kind: service-action",
        "service: bench",
        "owners: {accountable: bench-owner, responsible: [bench]}",
        "inputs:",
        '  name: {type: string, pattern: "^[a-z0-9-]{1,40}$", title: Name}',
        "due: {within: PT1H}",
        "steps:",
    ]
    for number in range(steps):
        lines += [
            f"  - id: step_{number}",
            "    uses: mark.leave",
            '    with: {name: "{{ inputs.name }}"}',
            "    undo: {none: A line in a file hurts nobody.}",
        ]
    return "\n".join(lines) + "\n"

"""What the tests of the Prefect side share: a real Prefect server, and a whole Orderly around it.

The systems that requests act on are stood in for by the connector `probe`, loaded as a user's extension: its target is
a folder, in which each effect is a line of `effects`, so that effects are counted at the target, not in our records.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, TaskRun

from connectors.registry import Registry
from flows.lifecycle import Caller, Order
from flows.publishing import prefect_client, record_publication
from flows.records.rows import Person, RequestRow
from flows.records.states import RequestState
from flows.settings import Settings
from flows.wiring import Application
from request_models.actions import EffectClass
from request_models.json_values import JsonValue
from request_models.plan import Due, Expression, Literal, MapOf, Owners, Plan, Step, Undo, UndoAction
from waiting import wait_until

PYTHON = sys.executable

PROBE = '''
"""Acts on a folder; see tests/prefect_estate.py."""

import os
import time
from datetime import timedelta
from pathlib import Path

from request_models.actions import (
    ActionFailed, ActionResult, ActionSpec, EffectClass, ErrorClass, Outcome,
)
from request_models.value_types import AnyType, Member, ObjectType, StringType


class Act:
    spec = ActionSpec(
        name="probe.act",
        title="Leave a line in a folder",
        arguments=ObjectType(members={"folder": Member(type=StringType(), required=True)}),
        result=AnyType(),
        effect=EffectClass.TAKES_TOKEN,
        token_lifetime=timedelta(days=1),
    )

    def run(self, call):
        folder = Path(call.arguments["folder"])
        call.log(f"acting on {folder.name} for {call.step_path}")
        self._wait_at(folder / f"gate-before-{call.step_path}", call)
        if (folder / f"broken-{call.step_path}").exists():
            raise ActionFailed("The world is broken.", error_class=ErrorClass.PERMANENT, code="broken")
        if (folder / f"fatal-{call.step_path}").exists():
            os.kill(os.getpid(), 9)
        code = folder / f"code-{call.step_path}"
        if code.exists():
            exec(compile(code.read_text(), code, "exec"), {"folder": folder})
        # The target honours tokens, as AWS does: the same call again has no second effect.
        with (folder / "calls").open("a") as calls:
            calls.write(f"{call.step_path} {call.token} {os.getpid()}\\n")
        effects = folder / "effects"
        made = effects.read_text().splitlines() if effects.exists() else []
        line = f"{call.step_path} {call.token}"
        if line not in made:
            with effects.open("a") as out:
                out.write(line + "\\n")
        self._wait_at(folder / f"gate-after-{call.step_path}", call)
        return ActionResult(Outcome.MADE, {"line": line})

    def _wait_at(self, gate, call):
        if gate.exists():
            gate.with_name(gate.name + "-reached").write_text(str(os.getpid()))
            while gate.exists():
                if gate.with_name("heeds-cancelling").exists() and call.cancelled():
                    raise ActionFailed("Stopped.", error_class=ErrorClass.TRANSIENT, code="cancelled")
                time.sleep(0.02)


class TakeBack(Act):
    spec = ActionSpec(
        name="probe.take_back",
        title="Take a line out of a folder",
        arguments=ObjectType(
            members={
                "folder": Member(type=StringType(), required=True),
                "line": Member(type=StringType(), required=True),
            }
        ),
        result=AnyType(),
        effect=EffectClass.IDEMPOTENT,
    )

    def run(self, call):
        folder = Path(call.arguments["folder"])
        self._wait_at(folder / f"gate-before-{call.step_path}", call)
        effects = folder / "effects"
        left = [line for line in effects.read_text().splitlines() if line != call.arguments["line"]]
        effects.write_text("".join(line + "\\n" for line in left))
        with (folder / "undone").open("a") as undone:
            undone.write(f"{call.step_path}\\n")
        self._wait_at(folder / f"gate-after-{call.step_path}", call)
        return ActionResult(Outcome.CHANGED, {})


class Probe:
    name = "probe"

    def find(self, name):
        return {"probe.act": Act, "probe.take_back": TakeBack}.get(name, lambda: None)()

    def names(self):
        return ["probe.act", "probe.take_back"]

    def content(self, digest):
        return None

    def close(self):
        pass


def connector(settings, context):
    return Probe()
'''


class PrefectServer:
    """A Prefect server of our own, that can be stopped and started again on the same data."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.api_url = f"http://127.0.0.1:{self.port}/api"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-I", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=self.home,
                env=prefect_environment(self.home, self.api_url),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until("the Prefect server answers", lambda: httpx.get(f"{self.api_url}/health").is_success, 300)

    def stop(self) -> None:
        if self._process is not None:
            end_group(self._process)
            self._process = None


def prefect_environment(home: Path, api_url: str) -> dict[str, str]:
    """The environment of a process that uses Prefect, with nothing of the developer's own Prefect in it."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "ORDERLY"))},
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "INFO",
    }


def end_group(process: "subprocess.Popen[bytes]", seconds: float = 15.0) -> None:
    """End a process and its group; by SIGKILL when asking does not help."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(seconds)


@dataclass
class Target:
    """A folder that requests act on."""

    folder: Path

    def break_step(self, step: str) -> None:
        (self.folder / f"broken-{step}").touch()

    def mend_step(self, step: str) -> None:
        (self.folder / f"broken-{step}").unlink()

    def misbehave(self, step: str, code: str) -> None:
        """Have the step run some Python first; `folder` is the target's folder."""
        (self.folder / f"code-{step}").write_text(code)

    def make_fatal(self, step: str) -> None:
        (self.folder / f"fatal-{step}").touch()

    def close_gate(self, when: str, step: str) -> None:
        (self.folder / f"gate-{when}-{step}").touch()

    def open_gate(self, when: str, step: str) -> None:
        (self.folder / f"gate-{when}-{step}").unlink()

    def wait_for_arrival(self, when: str, step: str, deadline: float = 240) -> int:
        """The pid of the process that reached the gate."""
        reached = self.folder / f"gate-{when}-{step}-reached"
        return int(
            wait_until(f"a process is {when} step {step}", lambda: reached.exists() and reached.read_text(), deadline)
        )

    def effects(self) -> list[str]:
        """The steps that had their effect here, one entry for each effect."""
        return self._steps("effects")

    def calls(self) -> list[str]:
        """The steps that were called, one entry for each call."""
        return self._steps("calls")

    def undone(self) -> list[str]:
        """The calls of undos, by their paths, one entry for each."""
        return self._steps("undone")

    def heed_cancelling(self) -> None:
        """Have the steps that wait at a gate stop when they are told to."""
        (self.folder / "heeds-cancelling").touch()

    def _steps(self, name: str) -> list[str]:
        file = self.folder / name
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


@dataclass
class Estate:
    """An Orderly with its own records, work pool, keeper and worker, on a Prefect server that others may share."""

    settings: Settings
    environment: Mapping[str, str]
    application: Application
    folder: Path
    parts: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def start(self, *parts: str) -> None:
        """Start `keeper`, `worker` or both."""
        mains = {
            "keeper": "from flows.keeper import run_keeper as run",
            "worker": "from flows.worker.service import run_worker as run",
        }
        for part in parts:
            main = f"{mains[part]}; from flows.settings import load_settings; run(load_settings())"
            with (self.folder / f"{part}.log").open("ab") as log:
                self.parts[part] = subprocess.Popen(
                    [PYTHON, "-I", "-c", main],
                    env=dict(self.environment),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def stop(self, *parts: str) -> None:
        for part in parts or tuple(self.parts):
            end_group(self.parts.pop(part))

    def kill(self, part: str) -> None:
        """kill -9, of that process alone."""
        process = self.parts.pop(part)
        process.kill()
        process.wait()

    def wait_until_idle(self) -> None:
        """Wait until the worker has no process of a flow run left."""
        worker = self.parts.get("worker")
        if worker is not None:
            wait_until("no flow run has a process", lambda: not runs_of(worker.pid), 30, every=0.2)

    def target(self) -> Target:
        folder = self.folder / "targets" / uuid.uuid4().hex[:8]
        folder.mkdir(parents=True)
        return Target(folder)

    def publish(self, target: Target, steps: Iterable[str] = ("first", "second", "third"), model: str = "") -> Plan:
        """Publish a model of steps that act on the target."""
        plan = plan_of(model or f"probe-{uuid.uuid4().hex[:8]}", target, steps)
        record_publication(self.application.records, self.registry, plan)
        return plan

    @property
    def registry(self) -> Registry:
        return self.application.registry

    def order(self, plan: Plan) -> str:
        """Order a model; the request's id."""
        person = Person(id="ada", name="Ada Lovelace")
        caller = Caller(key_id="test", person=person, scopes=frozenset({"admin"}))
        return self.application.lifecycle.submit(Order(model=plan.model, inputs={}), caller).request.id

    def request(self, request_id: str) -> RequestRow:
        row = self.application.records.read(lambda tx: tx.requests.get(request_id))
        assert row is not None
        return row

    def wait_for(self, request_id: str, state: RequestState, deadline: float = 240) -> RequestRow:
        def look() -> RequestRow | None:
            row = self.request(request_id)
            return row if row.state is state else None

        try:
            row = wait_until(f"request {request_id} is {state}", look, deadline, every=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.request(request_id)}\n{self.logs()}") from None
        assert row is not None
        return row

    def wait_for_any(self, request_id: str, *states: RequestState, deadline: float = 240) -> RequestState:
        """Wait until the request is in one of the states; which."""

        def look() -> RequestState | None:
            state = self.request(request_id).state
            return state if state in states else None

        state = wait_until(f"request {request_id} is {states}", look, deadline, every=0.3)
        assert state is not None
        return state

    def client(self) -> AbstractContextManager[SyncPrefectClient]:
        return prefect_client(self.settings.prefect, retries=3)

    def flow_run(self, request_id: str) -> FlowRun:
        """The flow run that the record names, as Prefect has it."""
        flow_run_id = wait_until("the request has a flow run", lambda: self.request(request_id).flow_run_id, 30)
        assert flow_run_id is not None
        with self.client() as client:
            return read_flow_run(client, flow_run_id)

    def deployment_of(self, run: FlowRun) -> UUID:
        assert run.deployment_id is not None
        return run.deployment_id

    def wait_for_run(self, flow_run_id: str | UUID, *types: str, deadline: float = 60) -> FlowRun:
        """Wait until the flow run's state is of one of the types."""

        def look() -> FlowRun | None:
            with self.client() as client:
                run = read_flow_run(client, flow_run_id)
            return run if run.state is not None and run.state.type.value in types else None

        try:
            run = wait_until(f"flow run {flow_run_id} is {types}", look, deadline, every=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        assert run is not None
        return run

    def task_states(self, flow_run_id: str | UUID) -> dict[str, str]:
        """The name of the latest state of each task of a flow run, by the task run's name."""
        with self.client() as client:
            found: list[TaskRun] = client.read_task_runs(
                task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[UUID(str(flow_run_id))]))
            )
        found.sort(key=lambda run: run.expected_start_time or run.created or 0)
        return {run.name: (run.state.name or "") if run.state else "" for run in found}

    def wait_for_log(self, flow_run_id: str | UUID, text: str) -> None:
        """Wait until the run's log has the text; Prefect sends log lines in batches."""
        wait_until(f"the log says {text!r}", lambda: text in self.run_logs(flow_run_id), 20, every=0.3)

    def run_logs(self, flow_run_id: str | UUID) -> str:
        with self.client() as client:
            answer = client.request(
                "POST",
                "/logs/filter",
                json={"logs": {"flow_run_id": {"any_": [str(flow_run_id)]}}, "sort": "TIMESTAMP_ASC"},
            )
        return "\n".join(line["message"] for line in answer.json())

    def logs(self) -> str:
        """The last lines of the keeper's and the worker's logs, for a failing test's report."""
        logs = {file.name: file.read_text(errors="replace") for file in sorted(self.folder.glob("*.log"))}
        return "\n".join(f"--- {name}\n" + "\n".join(text.splitlines()[-30:]) for name, text in logs.items())


def is_running(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def runs_of(worker: int) -> list[int]:
    """The processes of a worker's flow runs, and what else is below it; its warm parent left out."""
    return [child for child in children_of(worker) if name_of(child) != "orderly-warm"]


def warm_parents_of(worker: int) -> list[int]:
    """The warm parents of a worker."""
    return [child for child in children_of(worker) if name_of(child) == "orderly-warm"]


def name_of(pid: int) -> str:
    """What `ps` shows as the process's name; empty when it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    return ""


def children_of(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def read_flow_run(client: SyncPrefectClient, flow_run_id: str | UUID) -> FlowRun:
    return client.read_flow_run(UUID(str(flow_run_id)))


TAKE_BACK = UndoAction(
    uses="probe.take_back",
    contract="1",
    effect=EffectClass.IDEMPOTENT,
    arguments=MapOf({"folder": Expression("args.folder"), "line": Expression("result.line")}),
    timeout_seconds=120,
)


def plan_of(model: str, target: Target, steps: Iterable[str]) -> Plan:
    arguments: JsonValue = str(target.folder)
    return Plan(
        model=model,
        title={"en": "A probe"},
        kind="resource",
        service="probing",
        summary={"en": "Leaves lines in a folder."},
        owners=Owners(accountable="probe-owner", responsible=("probe-team",)),
        inputs={"type": "object", "properties": {}, "additionalProperties": False},
        due=Due(within_seconds=900),
        blocks=tuple(
            Step(
                path=step,
                title={"en": f"Step {step}"},
                uses="probe.act",
                contract="1",
                effect=EffectClass.TAKES_TOKEN,
                arguments=MapOf({"folder": Literal(arguments)}),
                timeout_seconds=120,
                undo=Undo(actions=(TAKE_BACK,)),
            )
            for step in steps
        ),
    )


def make_estate(
    folder: Path, server: PrefectServer, claim_ttl_seconds: float = 3.0, *, worker: Mapping[str, Any] | None = None
) -> Estate:
    """An Orderly in `folder`; nothing of it is started. ORDERLY_TEST_WARM=0 has every run spawned."""
    content = folder / "content"
    (content / "extensions").mkdir(parents=True)
    (content / "extensions" / "probe.py").write_text(PROBE)
    given: dict[str, Any] = {
        "state": str(folder / "state"),
        "content": [str(content)],
        "prefect": {"api_url": server.api_url, "work_pool": f"orderly-{uuid.uuid4().hex[:8]}"},
        "claim": {"ttl_seconds": claim_ttl_seconds},
        "keeper": {"dispatch_every": 0.2, "reconcile_every": 0.5},
        "worker": {
            "poll_seconds": 0.5,
            "warm": os.environ.get("ORDERLY_TEST_WARM", "1") != "0",
            **(worker or {}),
        },
    }
    settings = Settings(**{**given, "state": folder / "state", "content": (content,)})
    (folder / "settings.yaml").write_text(settings_yaml(given))
    environment = {
        **prefect_environment(server.home, server.api_url),
        "ORDERLY_SETTINGS": str(folder / "settings.yaml"),
    }
    application = Application.open(settings)
    settings.state.mkdir(parents=True)
    application.records.migrate()
    return Estate(settings, environment, application, folder)


def settings_yaml(given: Mapping[str, Any], indent: str = "") -> str:
    lines = []
    for key, value in given.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", settings_yaml(value, indent + "  ").rstrip("\n")]
        else:
            lines.append(f"{indent}{key}: {value!r}")
    return "\n".join(lines) + "\n"


def wait_a_little_for_nothing(seconds: float) -> None:
    """Give something that must not happen the time in which it would."""
    time.sleep(seconds)

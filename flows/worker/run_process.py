"""Starting the process of a flow run: isolated, in a process group of its own, in a private empty folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

import anyio
import anyio.abc
from prefect.runner._control_channel import ControlChannel
from prefect.runner._process_manager import ProcessHandle, create_isolated_termination_scope

from flows.worker.adopted import RUN_VARIABLE, Adopted
from flows.worker.confinement import Limits
from flows.worker.warm_runs import ForkedRun, WarmRuns

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

LEAVE_STATE_ALONE = 75
"""Exit code of a process that lost its claim (EX_TEMPFAIL): another one runs the request and will report."""

_STOP_SECONDS = 5.0


class FlowRunHandle(ProcessHandle):
    """The process of a flow run. Prefect takes any exit code but 0 for a crash and would say so on the flow run.

    It must not when the process lost its claim, or when there is another process for the same flow run by now (Retry
    was pressed while this one hung, and it was killed for it): that one reports.
    """

    def __init__(self, process: anyio.abc.Process | ForkedRun, superseded: Callable[[], bool]) -> None:
        # Prefect asks a process for its pid and its return code, and no more.
        super().__init__(cast(anyio.abc.Process, process), create_isolated_termination_scope(process.pid))
        self._superseded = superseded

    @property
    def returncode(self) -> int | None:
        code = super().returncode
        return 0 if code == LEAVE_STATE_ALONE or (code is not None and self._superseded()) else code


@dataclass(frozen=True)
class RunProcesses:
    """How a worker's flow runs get their processes: forked by the warm parent (None: without one), or spawned."""

    runs: Path
    """The folder for the private working folders; each is removed when its process has ended."""
    environment: Callable[[], Mapping[str, str]]
    limits: Limits
    adopted: Adopted
    warm: WarmRuns | None


class FlowRunStarter:
    """Starts a flow run's process: Prefect's `ProcessStarter` strategy.

    Nothing of the command, the environment or the folder comes from Prefect, but for names in `known`, variables that
    spare the process asking for them. `superseded` says whether another process
    was started for the same flow run.
    """

    def __init__(
        self,
        processes: RunProcesses,
        known: Mapping[str, str],
        *,
        control: ControlChannel,
        superseded: Callable[[], bool],
    ) -> None:
        self._processes = processes
        self._known = known
        self._superseded = superseded
        self._control = control

    async def start(
        self,
        flow_run: "FlowRun",
        task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start the process, tell its handle, and return when it and everything in its group has ended."""
        folder = private_folder(self._processes.runs)
        adopted = self._processes.adopted
        try:
            process = await self._start(flow_run.id, self._environment_of(flow_run), folder)
            try:
                task_status.started(FlowRunHandle(process, self._superseded))
                await process.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await _end_group(process)
                adopted.known.discard(process.pid)
                adopted.run_ended(flow_run.id)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _start(
        self, flow_run_id: UUID, environment: Mapping[str, str], folder: Path
    ) -> anyio.abc.Process | ForkedRun:
        if self._processes.warm is not None:
            forked = await self._processes.warm.fork(flow_run_id, environment, folder)
            if forked is not None:
                return forked
        limits = json.dumps(self._processes.limits.as_json())
        process = await anyio.open_process(
            [sys.executable, "-I", "-m", "flows.worker.engine", str(flow_run_id), str(os.getpid()), limits],
            stdin=subprocess.DEVNULL,
            stdout=None,
            stderr=None,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        self._processes.adopted.known.add(process.pid)
        return process

    def _environment_of(self, flow_run: "FlowRun") -> dict[str, str]:
        environment = {**self._processes.environment(), **self._known, RUN_VARIABLE: str(flow_run.id)}
        # The worker runs the hooks of cancelled and crashed runs; ours have none.
        environment["PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS"] = "false"
        # Without a listener (RuntimeError) Prefect kills without telling first; that is its own fallback.
        with suppress(RuntimeError):
            port, token = self._control.register(flow_run.id)
            environment |= {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
        return environment


def private_folder(runs: Path) -> Path:
    """A new empty folder, readable by us only, whose name tells which worker made it."""
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"worker-{os.getpid()}-", dir=runs))


def remove_abandoned_folders(runs: Path) -> None:
    """Remove the folders of workers that were killed before they could."""
    for folder in runs.glob("worker-*-*"):
        pid = folder.name.split("-")[1]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


async def _end_group(process: anyio.abc.Process | ForkedRun) -> None:
    """End what is left of the group: the process itself if we are being stopped, its children in any case."""
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        with anyio.move_on_after(_STOP_SECONDS):
            await process.wait()
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)

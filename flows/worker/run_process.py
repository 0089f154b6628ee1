"""Starting the process of a flow run: isolated, in a process group of its own, in a private empty folder."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
from prefect.runner._control_channel import ControlChannel
from prefect.runner._process_manager import ProcessHandle, create_isolated_termination_scope

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

    def __init__(self, process: anyio.abc.Process, superseded: Callable[[], bool]) -> None:
        super().__init__(process, create_isolated_termination_scope(process.pid))
        self._superseded = superseded

    @property
    def returncode(self) -> int | None:
        code = super().returncode
        return 0 if code == LEAVE_STATE_ALONE or (code is not None and self._superseded()) else code


class FlowRunStarter:
    """Starts a flow run's process: Prefect's `ProcessStarter` strategy.

    Nothing of the command, the environment or the folder comes from Prefect. `runs` is the folder for the private
    working folders; each is removed when its process has ended. `superseded` says whether another process was started
    for the same flow run.
    """

    def __init__(
        self,
        *,
        runs: Path,
        environment: Mapping[str, str],
        control: ControlChannel,
        superseded: Callable[[], bool],
    ) -> None:
        self._superseded = superseded
        self._runs = runs
        self._environment = environment
        self._control = control

    async def start(
        self,
        flow_run: "FlowRun",
        task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start the process, tell its handle, and return when it and everything in its group has ended."""
        folder = private_folder(self._runs)
        try:
            process = await anyio.open_process(
                [sys.executable, "-I", "-m", "flows.worker.engine", str(flow_run.id), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=None,
                stderr=None,
                cwd=folder,
                env=self._environment_of(flow_run),
                start_new_session=True,
            )
            try:
                task_status.started(FlowRunHandle(process, self._superseded))
                await process.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await _end_group(process)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _environment_of(self, flow_run: "FlowRun") -> dict[str, str]:
        environment = {**self._environment, "PREFECT__FLOW_RUN_ID": str(flow_run.id)}
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


async def _end_group(process: anyio.abc.Process) -> None:
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

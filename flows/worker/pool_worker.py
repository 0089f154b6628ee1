"""The Prefect worker of type `orderly`; importing this module registers the type with Prefect.

Whoever can reach Prefect can put a command, an environment or a folder into job variables, a deployment or the work
pool, and stock workers run it. This one takes nothing from Prefect but the id of the flow run.
"""

import logging
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.logging.loggers import flow_run_logger
from prefect.runner._flow_run_executor import FlowRunExecutionResult, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.settings.context import get_current_settings
from prefect.workers.base import BaseJobConfiguration, BaseWorker, BaseWorkerResult

from flows.publishing import NO_VARIABLES
from flows.settings import Settings, load_settings, settings_files
from flows.worker.adopted import Adopted
from flows.worker.confinement import Limits
from flows.worker.run_process import FlowRunStarter, RunProcesses
from flows.worker.sources import fingerprint
from flows.worker.warm_runs import WarmRuns

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State, WorkPool
    from prefect.client.schemas.responses import DeploymentResponse, WorkerFlowRunResponse

_LOOK_EVERY_SECONDS = 0.1

_logger = logging.getLogger(__name__)


class OrderlyJobConfiguration(BaseJobConfiguration):
    """What a run needs to start: nothing that Prefect stores."""

    @classmethod
    async def resolve_for_flow_run(
        cls,
        flow_run: "FlowRun",
        *,
        client: PrefectClient,
        work_pool: "WorkPool",
        worker_name: str,
        worker_id: UUID | None = None,
        deployment: "DeploymentResponse | None" = None,
    ) -> Self:
        """Make the configuration, telling the operator about whatever tried to be part of it."""
        if deployment is None and flow_run.deployment_id is not None:
            deployment = await client.read_deployment(flow_run.deployment_id)
        _tell_what_is_ignored(flow_run, deployment)
        return cls()


def _tell_what_is_ignored(flow_run: "FlowRun", deployment: "DeploymentResponse | None") -> None:
    found = [f"the run's job variable {name!r}" for name in flow_run.job_variables or {}]
    if deployment is not None:
        found += [f"the deployment's job variable {name!r}" for name in deployment.job_variables or {}]
        found += ["the deployment's pull steps"] if deployment.pull_steps else []
    if found:
        flow_run_logger(flow_run).warning(
            "Ignored: %s. Orderly's worker takes no command, environment or folder from Prefect.",
            ", ".join(sorted(found)),
        )


class OrderlyWorkerResult(BaseWorkerResult):
    """How a flow run's process ended."""


class _NoHooks:
    """Our flows have no hooks; Prefect's own runner would load a deployment's code into the worker to look for some."""

    async def run_cancellation_hooks(self, flow_run: "FlowRun", state: "State[Any]") -> None: ...

    async def run_crashed_hooks(self, flow_run: "FlowRun", state: "State[Any]") -> None: ...


class OrderlyWorker(BaseWorker[OrderlyJobConfiguration, Any, OrderlyWorkerResult]):
    """Runs each flow run of the pool as an isolated process. `limit` is how many at a time."""

    type = "orderly"
    job_configuration = OrderlyJobConfiguration
    _display_name = "Orderly"
    _description = "Runs Orderly's flows. Takes no command, environment or folder from Prefect."
    _documentation_url = ""
    _logo_url = ""

    def __init__(self, work_pool_name: str, *, limit: int | None = None, **options: Any) -> None:
        # Prefect's own limiter breaks the worker when a run it holds a slot for is scheduled again (Retry forced while
        # the first process lives), so the slots are counted here.
        super().__init__(work_pool_name, limit=None, **options)
        self._slots = limit
        self._processes = _run_processes(load_settings())
        self._running: Counter[UUID] = Counter()
        self._unreachable = False
        self._draining = False

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """A template without a single variable: there is nothing to configure from Prefect."""
        return NO_VARIABLES

    async def run(
        self,
        flow_run: "FlowRun",
        configuration: OrderlyJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> OrderlyWorkerResult:
        """Run one flow run to its end, under Prefect's own lifecycle: cancellation, crash detection, heartbeats."""
        self._running[flow_run.id] += 1
        try:
            return await self._execute(flow_run, task_status or anyio.TASK_STATUS_IGNORED)
        finally:
            self._running[flow_run.id] -= 1

    async def _execute(self, flow_run: "FlowRun", task_status: anyio.abc.TaskStatus[int]) -> OrderlyWorkerResult:
        async with FlowRunExecutorContext() as context:
            starter = FlowRunStarter(
                self._processes,
                control=context.control_channel,
                superseded=lambda: self._running[flow_run.id] > 1,
            )
            executor = context.create_executor(flow_run, starter, propose_submitting=False, hook_runner=_NoHooks())
            execution: FlowRunExecutionResult | None = None

            async def execute(*, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED) -> None:
                nonlocal execution
                execution = await executor.submit(task_status=task_status)

            async with anyio.create_task_group() as group:
                handle: ProcessHandle = await group.start(execute)
                task_status.started(handle.pid or 0)
        if execution is None or execution.status_code is None:
            raise RuntimeError(f"The process of flow run {flow_run.id} could not be started.")
        return OrderlyWorkerResult(status_code=execution.status_code, identifier=str(execution.handle.pid))

    async def setup(self) -> None:
        """Have a warm parent before the first flow run comes."""
        self._look_after_processes()
        await super().setup()

    async def teardown(self, *exc_info: Any) -> None:
        """End the flow runs that still go on, then the warm parent."""
        try:
            await super().teardown(*exc_info)
        finally:
            if self._processes.warm is not None:
                self._processes.warm.close()

    def _look_after_processes(self) -> None:
        self._processes.adopted.look()
        if self._processes.warm is not None:
            self._processes.warm.look()

    async def drain(self, seconds: float) -> None:
        """Take no more flow runs, and wait until those under way have finished, at most so many seconds."""
        self._draining = True
        with anyio.move_on_after(seconds):
            while self._running.total() or self._submitting_flow_run_ids:  # noqa: ASYNC110 - Prefect's set has no event
                await anyio.sleep(_LOOK_EVERY_SECONDS)

    async def _get_scheduled_flow_runs(self) -> list["WorkerFlowRunResponse"]:
        if self._draining:
            return []
        runs = await super()._get_scheduled_flow_runs()
        if self._slots is None:
            return runs
        return runs[: max(0, self._slots - self._running.total() - len(self._submitting_flow_run_ids))]

    async def get_and_submit_flow_runs(self) -> list["FlowRun"]:
        """Look for runs; a Prefect that does not answer is waited for, however long it takes."""
        self._look_after_processes()
        try:
            found = await super().get_and_submit_flow_runs()
        except httpx.HTTPError as error:
            self._note_unreachable(error)
            return []
        self._unreachable = False
        return found

    async def _sync_and_initialize(self) -> None:
        try:
            await super()._sync_and_initialize()
        except httpx.HTTPError as error:
            self._note_unreachable(error)

    def _note_unreachable(self, error: httpx.HTTPError) -> None:
        # Left to Prefect, an outage of a minute ends the worker, and with it the flow runs it has under way.
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
            raise error
        if not self._unreachable:
            _logger.warning("Prefect does not answer (%s); looking again until it does.", error)
        self._unreachable = True


def _run_processes(settings: Settings) -> RunProcesses:
    worker, adopted = settings.worker, Adopted()
    limits = Limits(worker.run_memory_mib, worker.run_cpu_seconds, worker.run_oom_score)
    warm = None
    if worker.warm and WarmRuns.are_possible():
        files = settings_files()
        warm = WarmRuns(adopted, limits, lambda: fingerprint(settings.content, files), _environment)
    return RunProcesses(settings.state / "runs", _environment, limits, adopted, warm)


def _environment() -> dict[str, str]:
    """The worker's own environment, with its Prefect settings spelt out: they may come from a profile."""
    environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
    # Ours to wait and poll again; a flow run has to get its state through.
    environment.pop("PREFECT_CLIENT_MAX_RETRIES", None)
    return environment

"""The Prefect worker of type `orderly`; importing this module registers the type with Prefect.

Whoever can reach Prefect can put a command, an environment or a folder into job variables, a deployment or the work
pool, and stock workers run it. This one takes nothing from Prefect but the id of the flow run.
"""

import asyncio
import logging
from collections import Counter
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

import anyio
import anyio.abc
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectException
from prefect.logging.loggers import flow_run_logger
from prefect.runner._flow_run_executor import FlowRunExecutionResult, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.workers.base import BaseJobConfiguration, BaseWorker, BaseWorkerResult

from flows.bells import WORKER, Bell, bell_or_none
from flows.publishing import NO_VARIABLES
from flows.settings import Settings, load_settings, settings_files
from flows.worker.adopted import Adopted
from flows.worker.confinement import Limits
from flows.worker.engine import DEPLOYMENT_NAME, FLOW_NAME, WORK_POOL_ID
from flows.worker.lifecycle_context import SharedContext
from flows.worker.run_environment import run_environment
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
        """The configuration, in which nothing of the run or its deployment has any part."""
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
        settings = load_settings()
        self._state = settings.state
        self._forgery_tokens = True
        self._processes = self._run_processes(settings)
        self._look_now = anyio.Event()
        self._looking = anyio.Lock()
        self._more_wait = False
        self._running: Counter[UUID] = Counter()
        self._names: dict[UUID | None, str] = {}
        self._shared = SharedContext()
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
            if not self._running[flow_run.id]:
                del self._running[flow_run.id]
            if self._more_wait:
                self._look_now.set()

    async def _execute(self, flow_run: "FlowRun", task_status: anyio.abc.TaskStatus[int]) -> OrderlyWorkerResult:
        async with self._context(flow_run) as context:
            starter = FlowRunStarter(
                self._processes,
                self._known_of(flow_run),
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
                group.start_soon(self._learn_in_time, flow_run)
        if execution is None or execution.status_code is None:
            raise RuntimeError(f"The process of flow run {flow_run.id} could not be started.")
        return OrderlyWorkerResult(status_code=execution.status_code, identifier=str(execution.handle.pid))

    def _context(self, flow_run: "FlowRun") -> AbstractAsyncContextManager[FlowRunExecutorContext]:
        """Prefect's context; one of its own for a second process of a run, since it knows processes by their run."""
        if self._running[flow_run.id] > 1 or self._runs_task_group is None:
            return FlowRunExecutorContext()
        return self._shared.used(self._runs_task_group)

    def _known_of(self, flow_run: "FlowRun") -> dict[str, str]:
        names = {FLOW_NAME: flow_run.flow_id, DEPLOYMENT_NAME: flow_run.deployment_id}
        known = {variable: self._names[key] for variable, key in names.items() if key in self._names}
        return known | ({WORK_POOL_ID: str(self._work_pool.id)} if self._work_pool is not None else {})

    async def _learn_in_time(self, flow_run: "FlowRun") -> None:
        try:
            await self._learn(flow_run)
        except (httpx.HTTPError, PrefectException) as error:
            # The run is none the worse for it.
            _logger.info("Of flow run %s the operator is not told all: %s", flow_run.id, error)

    async def _learn(self, flow_run: "FlowRun") -> None:
        """What may wait until a run has started: what it tried to bring along, how it is called, who runs it."""
        deployment = None
        if flow_run.deployment_id is not None:
            deployment = await self.client.read_deployment(flow_run.deployment_id)
            self._names[deployment.id] = deployment.name
        _tell_what_is_ignored(flow_run, deployment)
        if flow_run.flow_id not in self._names:
            self._names[flow_run.flow_id] = (await self.client.read_flow(flow_run.flow_id)).name
        await super()._give_worker_labels_to_flow_run(flow_run.id)

    async def _give_worker_labels_to_flow_run(self, flow_run_id: UUID) -> None:
        """Later, in `_learn`."""

    async def _propose_submitting_state(self, flow_run: "FlowRun") -> None:
        """Not at all: the process says Running sooner than this could be read."""

    async def setup(self) -> None:
        """Have a warm parent before the first flow run comes."""
        await super().setup()
        with suppress(httpx.HTTPError):  # when it does not answer, the runs ask for themselves
            self._forgery_tokens = await _wants_forgery_tokens(self.client)
        self._look_after_processes()
        if self._runs_task_group is not None:
            self._runs_task_group.start_soon(self._look_when_called)

    async def teardown(self, *exc_info: Any) -> None:
        """End the flow runs that still go on, then the warm parent."""
        try:
            await super().teardown(*exc_info)
        finally:
            if self._processes.warm is not None:
                self._processes.warm.close()

    def _run_processes(self, settings: Settings) -> RunProcesses:
        worker, adopted, files = settings.worker, Adopted(), settings_files()
        limits = Limits(worker.run_memory_mib, worker.run_cpu_seconds, worker.run_oom_score)

        def environment() -> dict[str, str]:
            return run_environment(settings.state, forgery_tokens=self._forgery_tokens)

        warm = None
        if worker.warm and WarmRuns.are_possible():
            warm = WarmRuns(adopted, limits, lambda: fingerprint(settings.content, files), environment)
        return RunProcesses(settings.state / "runs", environment, limits, adopted, warm)

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
        self._more_wait = len(runs) > self._free_slots()
        return runs[: self._free_slots()]

    def _free_slots(self) -> int:
        assert self._slots is not None
        starting = sum(not self._running[flow_run_id] for flow_run_id in self._submitting_flow_run_ids)
        return max(0, self._slots - self._running.total() - starting)

    async def get_and_submit_flow_runs(self) -> list["FlowRun"]:
        """Look for runs; a Prefect that does not answer is waited for, however long it takes."""
        self._look_after_processes()
        try:
            async with self._looking:
                found = await super().get_and_submit_flow_runs()
        except httpx.HTTPError as error:
            self._note_unreachable(error)
            return []
        self._unreachable = False
        return found

    async def _look_when_called(self) -> None:
        """Look at once when the bell rings, or when a run has ended for which another had to wait."""
        with bell_or_none(self._state, WORKER) as bell:
            loop = asyncio.get_running_loop()
            if bell is not None:
                loop.add_reader(bell.fileno(), self._heard, bell)
            try:
                while True:
                    await self._look_now.wait()
                    self._look_now = anyio.Event()
                    with suppress(httpx.HTTPError):  # the loop that polls will meet it too, and knows what to do
                        await self.get_and_submit_flow_runs()
            finally:
                if bell is not None:
                    loop.remove_reader(bell.fileno())

    def _heard(self, bell: Bell) -> None:
        bell.quieten()
        self._look_now.set()

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


async def _wants_forgery_tokens(client: PrefectClient) -> bool:
    """Whether the server wants a token with each change; it answers 422 to who asks for one when it does not."""
    try:
        await client.request("GET", "/csrf-token", params={"client": str(uuid4())})
    except httpx.HTTPStatusError as error:
        return error.response.status_code != httpx.codes.UNPROCESSABLE_ENTITY
    return True

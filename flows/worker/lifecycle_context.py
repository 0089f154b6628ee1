"""One of what Prefect makes for each flow run: connections by which it cancels a run, and hears from its process."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
from prefect.runner._flow_run_executor import FlowRunExecutorContext

_RENEWED_AFTER_SECONDS = 600.0
"""A connection that was lost is replaced by polling, and does not come back by itself."""


class SharedContext:
    """Prefect's context of executing flow runs, for all the runs of a worker together.

    It lives in a task of the worker's, since it must be left by the task that entered it, and is renewed when it has
    been in use for long and no run needs it.
    """

    def __init__(self) -> None:
        self._context: FlowRunExecutorContext | None = None
        self._made = 0.0
        self._users = 0
        self._lock = anyio.Lock()
        self._scope: anyio.CancelScope | None = None

    @asynccontextmanager
    async def used(self, tasks: anyio.abc.TaskGroup) -> AsyncIterator[FlowRunExecutorContext]:
        """The context, for one run; `tasks` is the group that it lives in."""
        async with self._lock:
            if self._users == 0 and time.monotonic() - self._made > _RENEWED_AFTER_SECONDS:
                self._end()
            if self._context is None:
                self._context = await tasks.start(self._keep)
            context = self._context
            self._users += 1
        try:
            yield context
        finally:
            self._users -= 1

    def _end(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
        self._context = self._scope = None

    async def _keep(self, *, task_status: anyio.abc.TaskStatus[FlowRunExecutorContext]) -> None:
        with anyio.CancelScope() as scope:
            async with FlowRunExecutorContext() as context:
                self._scope, self._made = scope, time.monotonic()
                task_status.started(context)
                await anyio.sleep_forever()

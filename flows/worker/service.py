"""`orderly worker`: the worker of this machine, until it is told to stop."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flows.left_runs import LeftRuns
from flows.settings import SETTINGS_FILES, Settings, settings_files

if TYPE_CHECKING:
    from flows.worker.pool_worker import OrderlyWorker


DRAIN_SECONDS = 10.0
"""How long flow runs may go on after the worker was told to stop: a call that is cut off leaves an unknown outcome."""

END_SECONDS = 10.0
"""How long playbooks that were cut off then have to be ended on their hosts."""


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    Then no more flow runs are taken, and those under way have DRAIN_SECONDS to finish; a second signal ends them at
    once. The keeper starts the requests of those that were ended again.
    """
    _prepare_environment(settings)
    # After the environment: Prefect reads its settings when it is imported.
    from flows.worker.pool_worker import OrderlyWorker  # noqa: PLC0415 - see above
    from flows.worker.run_process import remove_abandoned_folders  # noqa: PLC0415 - see above

    runs = settings.state / "runs"
    remove_abandoned_folders(runs)
    worker = OrderlyWorker(
        settings.prefect.work_pool,
        name=f"orderly on {socket.gethostname()} {os.getpid()}",
        limit=settings.worker.limit,
        prefetch_seconds=0,
    )
    with LeftRuns(runs, patience=END_SECONDS):
        asyncio.run(_work(worker))


async def _work(worker: "OrderlyWorker") -> None:
    asked, urged = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: urged.set() if asked.is_set() else asked.set())
    work = asyncio.ensure_future(worker.start())
    await _first_of(work, asyncio.ensure_future(asked.wait()))
    if not work.done():
        await _first_of(asyncio.ensure_future(worker.drain(DRAIN_SECONDS)), asyncio.ensure_future(urged.wait()))
        work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def _first_of(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _prepare_environment(settings: Settings) -> None:
    """What the worker and its processes go by. Paths become absolute, for the processes run in other folders."""
    files = os.pathsep.join(str(path.absolute()) for path in settings_files())
    os.environ |= {
        "ORDERLY_STATE": str(settings.state),
        "PREFECT_API_URL": settings.prefect.api_url,
        "PREFECT_WORKER_QUERY_SECONDS": str(settings.worker.poll_seconds),
        # Each retry doubles the wait: with Prefect's five, a poll may sleep for half a minute after Prefect is back.
        "PREFECT_CLIENT_MAX_RETRIES": "1",
    }
    if files:
        os.environ[SETTINGS_FILES] = files
    if settings.content:
        os.environ["ORDERLY_CONTENT"] = os.pathsep.join(str(folder) for folder in settings.content)
    if settings.prefect.auth_string is not None:
        os.environ["PREFECT_API_AUTH_STRING"] = settings.prefect.auth_string.get_secret_value()
    # Prefect reads prefect.toml, .env and pyproject.toml of the folder it starts in.
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(settings.state)

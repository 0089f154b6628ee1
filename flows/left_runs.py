"""Ends what runs of playbooks left on this machine and on their hosts, when all that watched over them was killed too.

The worker and the keeper both look: whichever lives, or is started next, sees to it. A folder is locked meanwhile.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from connectors.run_folders import RunFolder, end_left_run, folders

LOOK_EVERY_SECONDS = 1.0
AGAIN_AFTER_SECONDS = 30.0
"""For a run that may be at work on a host which is out of reach."""
AT_ONCE = 4

_logger = logging.getLogger(__name__)


class LeftRuns:
    """A thread that looks after the folders of runs, from `with` to its end.

    On leaving, runs that are being ended have `patience` seconds to be over: a service manager kills what is left of a
    service whose main process has ended.
    """

    def __init__(self, runs: Path, patience: float = 0.0) -> None:
        self._runs = runs
        self._patience = patience
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="orderly-left-run")
        self._ending: dict[Path, Future[None]] = {}
        self._not_before: dict[Path, float] = {}
        self._thread = threading.Thread(target=self._keep, name="orderly-left-runs", daemon=True)

    def look(self) -> None:
        """See to every folder that is there and that nobody sees to yet."""
        there = {folder.path: folder for folder in folders(self._runs)}
        self._ending = {path: ending for path, ending in self._ending.items() if not ending.done()}
        self._not_before = {path: at for path, at in self._not_before.items() if path in there}
        for path, folder in there.items():
            if path not in self._ending and time.monotonic() >= self._not_before.get(path, 0.0):
                self._ending[path] = self._pool.submit(self._end, folder)

    def _end(self, folder: RunFolder) -> None:
        what = f"step {folder.about.step} of request {folder.about.request}"
        try:
            left = end_left_run(folder)
        except OSError:
            _logger.exception("what a run for %s left could not be ended; trying again", what)
            left = {"": ""}
        if left is None:
            return  # it is under way
        if not left:
            _logger.warning("ended what a killed run for %s had left", what)
            return
        if folder.path not in self._not_before:
            where = "; ".join(f"{host or 'its hosts'}: {why}" for host, why in sorted(left.items()))
            _logger.warning(
                "a run for %s may still be at work (%s); trying again every %g s", what, where, AGAIN_AFTER_SECONDS
            )
        self._not_before[folder.path] = time.monotonic() + AGAIN_AFTER_SECONDS

    def _keep(self) -> None:
        while not self._over.wait(LOOK_EVERY_SECONDS):
            self.look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline and any(path not in self._not_before for path in self._paths()):
            self.look()
            time.sleep(0.1)
        self._pool.shutdown(cancel_futures=True)

    def _paths(self) -> list[Path]:
        return [folder.path for folder in folders(self._runs)]

"""The worker as the parent of last resort: what a flow run leaves behind becomes the worker's, and is ended and reaped.

A worker is a child subreaper, so that the kernel gives it the runs that its warm parent forks; with them it gets every
process below a run whose own parent has ended, those too that left the run's process group.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from flows.worker.confinement import adopt_orphans

RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""Environment variable by which a process that a run started is known to be its."""

_SHOWN_OF_A_NAME = 15
_LEFT_A_ZOMBIE_SECONDS = 5.0
_END_BY_THEMSELVES_SECONDS = 15.0
"""Longer than a supervisor of a playbook needs to end what is below it."""
_REMEMBERED_SECONDS = 600.0


def name_of_run(flow_run_id: UUID) -> str:
    """The name of a run's process; forks of it inherit it."""
    return f"run-{flow_run_id.hex}"


@dataclass(frozen=True)
class _Ended:
    name: str
    variable: bytes
    at: float


class Adopted:
    """The children of this process that nobody here started. `known` are pids that somebody else waits for."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self.known: set[int] = set()
        self._seconds = seconds
        self._ended: list[_Ended] = []
        self._zombies: dict[int, float] = {}
        adopt_orphans()

    def run_ended(self, flow_run_id: UUID) -> None:
        """Nothing of this run may go on for long: `look` ends what still does."""
        name = name_of_run(flow_run_id)[:_SHOWN_OF_A_NAME]
        self._ended.append(_Ended(name, f"{RUN_VARIABLE}={flow_run_id}".encode(), self._seconds()))

    def look(self) -> None:
        """Kill what ended runs left, and reap what has ended. Cheap; to be called every now and then."""
        now = self._seconds()
        self._ended = [run for run in self._ended if now - run.at < _REMEMBERED_SECONDS]
        overdue = [run for run in self._ended if now - run.at > _END_BY_THEMSELVES_SECONDS]
        zombies = {}
        for pid in _children():
            if pid in self.known:
                continue
            if _is_zombie(pid):
                zombies[pid] = self._zombies.get(pid, now)
            elif any(_is_of(pid, run) for run in overdue):
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        # Not at once: a process that somebody here started, and waits for, may not be known yet.
        for pid, since in zombies.items():
            if now - since >= _LEFT_A_ZOMBIE_SECONDS:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        self._zombies = zombies


def _children() -> Iterator[int]:
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            yield from map(int, (thread / "children").read_text().split())


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def _is_of(pid: int, run: _Ended) -> bool:
    with suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n") == run.name:
            return True
        return run.variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False

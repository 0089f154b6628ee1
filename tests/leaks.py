"""What a test left behind: processes, threads, mounts. Linux only; elsewhere nothing is seen."""

import ctypes
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from waiting import StillWaitingError, wait_until

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GRACE = 5.0  # seconds that what was told to end may take to do so


@dataclass(frozen=True)
class Surroundings:
    """What was there at one moment."""

    processes: frozenset[int]
    threads: frozenset[int]
    mounts: frozenset[str]


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent dies, so that no leak hides under init."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def surroundings() -> Surroundings:
    return Surroundings(
        processes=frozenset(_live_descendants(os.getpid())),
        threads=frozenset(id(thread) for thread in threading.enumerate()),
        mounts=frozenset(_mounts()),
    )


def left_behind(before: Surroundings, grace: float = GRACE) -> list[str]:
    """A line for each thing that is there now, was not `before`, and does not go away by itself within `grace` seconds.

    Processes left are killed, by their ids, so that one leak fails one test only.
    """
    try:
        wait_until("nothing is left behind", lambda: not _report(before), deadline=grace)
    except StillWaitingError:
        report = _report(before)
        for process in _new_processes(before):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return report
    return []


def _report(before: Surroundings) -> list[str]:
    processes = _new_processes(before)
    threads = [t for t in threading.enumerate() if id(t) not in before.threads and not t.daemon and t.is_alive()]
    mounts = _mounts() - before.mounts
    return [
        *(f"process {process}: {_command(process)}" for process in sorted(processes)),
        *(f"thread {thread.name}" for thread in threads),
        *(f"mount {mount}" for mount in sorted(mounts)),
    ]


def _new_processes(before: Surroundings) -> set[int]:
    """Those that were not there before; but a worker that was may have made its warm parent, or made it anew, since."""
    parents = dict(_parents())
    return {
        process
        for process in set(_live_descendants(os.getpid())) - before.processes
        if not (parents.get(process) in before.processes and "flows.worker.warm_parent" in _command(process))
    }


def _live_descendants(of: int) -> list[int]:
    """Process ids below `of`, ended ones (zombies) left out."""
    parents = dict(_parents())
    found: list[int] = []
    frontier = {of}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found.extend(frontier)
    return found


def _parents() -> list[tuple[int, int]]:
    pairs = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The command's name, in parentheses, may hold anything: what counts starts after the last one.
            state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue  # it ended while we looked
        if state not in {"Z", "X"}:
            pairs.append((int(entry.name), int(parent)))
    return pairs


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(ended)"


def _mounts() -> set[str]:
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    return {line.split()[4] for line in lines}

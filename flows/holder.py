"""Which process holds a claim, whether it still lives, and how it is ended before another takes over (invariant 2)."""

import os
import signal
import socket
import time
from datetime import datetime
from functools import cache
from pathlib import Path

from flows.records.rows import Claim, Holder

_GONE_WITHIN_SECONDS = 5.0


def this_process() -> Holder:
    """The process we are in."""
    pid = os.getpid()
    return Holder(host=socket.gethostname(), boot_id=_boot_id(), pid=pid, pid_started=started_at(pid) or 0)


def is_here(process: Holder) -> bool:
    """Whether it ran on this machine since its last boot, so that we can tell if it lives."""
    return process.host == socket.gethostname() and process.boot_id == _boot_id()


def is_gone(process: Holder) -> bool:
    """Whether it is certain that the process runs no more. Of another machine's process nothing is certain."""
    if process.host == socket.gethostname() and process.boot_id != _boot_id():
        return True
    return is_here(process) and started_at(process.pid) != process.pid_started


def end(process: Holder) -> bool:
    """Kill a process of this machine and the group it leads; true when it is gone.

    SIGKILL, since a process that was stopped (SIGSTOP) or hangs would not act on anything milder.
    """
    if is_gone(process):
        return True
    if not is_here(process) or process.pid == os.getpid():
        return False
    try:
        group = os.getpgid(process.pid)
        if group == process.pid:
            os.killpg(group, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while not is_gone(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def make_way(held: Claim, now: datetime, longest_call_seconds: float) -> bool:
    """Whether the request may be taken from its holder, who is then certainly not acting any more.

    On this machine a dead holder is seen to be dead, and one that stopped renewing (frozen, hung) is killed first. Of
    another machine's process we know nothing: its claim must have expired for as long as its longest call may last.
    """
    if is_gone(held.holder):
        return True
    late_seconds = (now - held.expires).total_seconds()
    if is_here(held.holder):
        return late_seconds > 0 and end(held.holder)
    return late_seconds > longest_call_seconds


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it does not run (a zombie runs no more)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name stands in parentheses and may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in {"Z", "X"} else int(started)

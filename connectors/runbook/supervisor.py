"""Runs one command and lets nothing of it survive; a program of its own, on the standard library alone.

It adopts every orphan below it (child subreaper) and is told by the kernel when its parent ends, by whatever signal
(PR_SET_PDEATHSIG). When the command ends, or on SIGTERM, SIGINT, SIGHUP, it kills all that is left below and exits.

Usage: supervisor.py PARENT_PID PID_FILE COMMAND [ARGUMENT...]
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

STOPPED = 143
"""Exit status when told to stop; else it is the command's own."""

KILL_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main() -> int:
    """Supervise, and give the exit status."""
    parent, pid_file, command = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the kernel was asked to tell
        return STOPPED
    pid_file.write_text(str(os.getpid()), encoding="ascii")
    child = _start(command)
    status = _wait(child)
    _kill_all_below()
    return status


def _start(command: list[str]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted; the engine made the command
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error}\n")
    finally:
        os._exit(127)


def _wait(child: int) -> int:
    while True:
        if signal.sigwait(_SIGNALS) != signal.SIGCHLD:
            return STOPPED
        while (ended := _reap()) is not None:
            if ended[0] == child:
                return os.waitstatus_to_exitcode(ended[1]) % 256


def _reap() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _kill_all_below() -> None:
    deadline = time.monotonic() + KILL_SECONDS
    while (left := _below(os.getpid())) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        while _reap() is not None:
            continue
        time.sleep(0.01)


def _below(ancestor: int) -> list[int]:
    """Every process below one, that one left out: orphans in between were adopted by it, so the tree is whole."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            parent = _parent_of(int(entry.name))
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


def _parent_of(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


if __name__ == "__main__":
    sys.exit(main())

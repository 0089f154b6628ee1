"""Runs one playbook and lets nothing of it survive; a program of its own, on the standard library alone.

`run_supervisor.py run PARENT_PID FOLDER MARK COMMAND...` runs a command. It adopts every orphan below it (child
subreaper) and is told by the kernel when its parent ends, by whatever signal (PR_SET_PDEATHSIG). When the command ends,
or on SIGTERM, SIGINT, SIGHUP, it kills all that is left below. Modules outlive the connection they came by, so unless
the command came to an end of its own, what it left on its hosts is ended too, over a connection made for that.

`run_supervisor.py end FOLDER ID [HOST...]` ends what a run left when its supervisor was killed as well: processes here
whose environment holds ID, then what is on the hosts; those named, or else all that the run played on.

`connectors.run_folders` says what is in FOLDER.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RUN_VARIABLE = "ORDERLY_RUN"
"""Environment variable that every process of a run carries, on the hosts too, with the run's mark."""

HELD, SUPERVISOR_PID, PLAYED, BECAME = "held", "supervisor.pid", "played", "became"
END, ENDED, LEFT_ON = "end.json", "ended", "left.json"
"""Files of a run's folder."""

STOPPED = 143
"""Exit status when told to stop; else it is the command's own."""

OF_ITS_OWN = frozenset({0, 2, 4})
"""How Ansible ends of its own: well, with failed hosts, with unreachable ones."""

KILL_SECONDS = 10.0
END_SECONDS = 60.0
"""How long the clean-up on the hosts may take."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main(arguments: Sequence[str]) -> int:
    """Supervise, or end what is left; gives the exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    match arguments:
        case ["run", parent, folder, mark, *command]:
            return _supervise(int(parent), Path(folder), mark, command)
        case ["end", folder, run_id, *hosts]:
            _kill_marked(run_id)
            _end_on_hosts(Path(folder), hosts)
            return 0
        case _:
            raise SystemExit(__doc__)


def _supervise(parent: int, folder: Path, mark: str, command: list[str]) -> int:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the kernel was asked to tell
        return STOPPED
    with (folder / SUPERVISOR_PID).open("w", encoding="ascii") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        print(os.getpid(), file=mine, end="", flush=True)
        child = _start(command, {**os.environ, RUN_VARIABLE: mark})
        status = _wait(child)
        _kill_all_below()
        if status not in OF_ITS_OWN:
            _end_on_hosts(folder, ())
        if os.getppid() != parent:
            _remove(folder)
    return status


def _start(command: list[str], environment: Mapping[str, str], log: Path | None = None) -> int:
    child = os.fork()
    if child:
        return child
    try:
        if log is not None:
            to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for ours, its in ((nothing, 0), (to, 1), (to, 2)):
                os.dup2(ours, its)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is wanted; the engine made the command
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


def _end_on_hosts(folder: Path, hosts: Sequence[str]) -> None:
    """Play the clean-up on the hosts, and leave a note of those where it did not come to its end, with the reason."""
    order = json.loads((folder / END).read_text(encoding="utf-8")) if (folder / END).exists() else None
    played = _played(folder)
    wanted = list(hosts or played)
    left: dict[str, str] = {}
    if order is not None and wanted:
        (folder / ENDED).unlink(missing_ok=True)
        command = [*order["command"], *_added_inventory(folder, played), "--limit", ":".join(wanted)]
        environment = order["environment"] | ({"ORDERLY_BECAME": "1"} if (folder / BECAME).exists() else {})
        status = _wait_at_most(_start(command, environment, folder / "end.log"), END_SECONDS)
        _kill_all_below()
        left = _not_ended(folder, wanted if not hosts else [], status)
    scratch = folder / f".{LEFT_ON}"
    scratch.write_text(json.dumps(left), encoding="utf-8")
    scratch.replace(folder / LEFT_ON)


def _played(folder: Path) -> dict[str, dict[str, Any]]:
    """The hosts that the run came to, with how to reach those that it added to the inventory itself."""
    found: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError):
        for line in (folder / PLAYED).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the last line, when its writer was killed
                host = json.loads(line)
                found[host["host"]] = host["reach"] or found.get(host["host"], {})
    return found


def _added_inventory(folder: Path, played: Mapping[str, Mapping[str, Any]]) -> list[str]:
    added = {name: reach for name, reach in played.items() if reach}
    if not added:
        return []
    file = folder / "added.json"
    file.write_text(json.dumps({"all": {"hosts": added}}), encoding="utf-8")
    return ["--inventory", str(file)]


def _not_ended(folder: Path, wanted: Sequence[str], status: int | None) -> dict[str, str]:
    """Why it is not certain, by host, that nothing of the run is left there. `wanted` may be names of groups."""
    said: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in (folder / ENDED).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                said[answer["host"]] = answer["left"]
    if status is None:
        silent = f"it did not answer within {END_SECONDS:g} seconds"
    else:
        silent = "it is not in the inventory any more" if said else f"the clean-up ended with status {status}"
    for name in wanted:
        said.setdefault(name, silent)
    if not said:
        said[""] = silent
    return {name: why for name, why in said.items() if why}


def _wait_at_most(child: int, seconds: float) -> int | None:
    """The exit status of a process, None when it was not through in time."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, left)
        while (ended := _reap()) is not None:
            if ended[0] == child:
                return os.waitstatus_to_exitcode(ended[1]) % 256
    return None


def _remove(folder: Path) -> None:
    """Remove the folder of a run whose engine is gone, unless work may be left on a host, or somebody sees to it."""
    with contextlib.suppress(OSError), (folder / HELD).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_left_somewhere(folder):
            shutil.rmtree(folder)


def is_left_somewhere(folder: Path) -> bool:
    """Whether something of the run may still be on a host, as far as was found."""
    try:
        return bool(json.loads((folder / LEFT_ON).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return False


def _kill_marked(text: str) -> None:
    """Kill the processes here whose environment holds a text: for when the supervisor, which knew them, was killed."""
    deadline = time.monotonic() + KILL_SECONDS
    while (left := marked(text)) and time.monotonic() < deadline:
        _kill(left)
        time.sleep(0.01)


def marked(text: str) -> list[int]:
    """The processes of this machine whose environment holds a text and can be read; this one is left out."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            # One of another user, or one that just ended, cannot be read.
            with contextlib.suppress(OSError):
                if text.encode() in Path(entry.path, "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def _kill_all_below() -> None:
    deadline = time.monotonic() + KILL_SECONDS
    while (left := _below(os.getpid())) and time.monotonic() < deadline:
        _kill(left)
        while _reap() is not None:
            continue
        time.sleep(0.01)


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


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
    sys.exit(main(sys.argv[1:]))

"""Finding and entering the namespaces that a host is.

A pid file holds two words, the process id and its start time (field 22 of /proc/PID/stat): a later process that got the
same id is not the host, and entering it would act on this machine itself.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.sandbox.errors import HostUnreachable
from flows.sandbox.files import write_whole

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_START_TIME = 22 - 3
"""Where field 22 stands after the command's name, which may hold blanks and brackets."""


@dataclass(frozen=True)
class HostProcess:
    """Process 1 of a host, as this machine numbers it."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        return _started(self.pid) == self.started

    def enter(self) -> list[str]:
        """The command that runs the words after it inside. A user namespace is entered where there is one."""
        user = ["--user"] if _namespace(self.pid, "user") != _namespace(os.getpid(), "user") else []
        target = ["--target", str(self.pid)]
        return ["nsenter", *target, *user, "--mount", "--pid", "--uts", "--ipc", "--root", "--wd", "--"]

    def kill(self, patience: float = 5.0) -> None:
        """End the host and all that runs in it; returns when it is gone, or after `patience` seconds."""
        deadline = time.monotonic() + patience
        while self.alive and time.monotonic() < deadline:
            os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)


def process_at(pid: int) -> HostProcess:
    """Raises HostUnreachable when there is no such process."""
    started = _started(pid)
    if started is None:
        raise HostUnreachable(f"process {pid} has ended")
    return HostProcess(pid, started)


def write_pid_file(path: Path, process: HostProcess) -> None:
    """Name the host's first process to whoever wants to enter it."""
    write_whole(path, f"{process.pid} {process.started}\n".encode(), mode=0o644)


def read_pid_file(path: Path) -> HostProcess | None:
    """What the file names, alive or not; None without a (readable) file."""
    try:
        pid, started = path.read_text().split()
        return HostProcess(int(pid), started)
    except (OSError, ValueError):
        return None


def run_inside(
    process: HostProcess, command: Sequence[str], given: bytes = b"", seconds: float = 30.0
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a host. Raises subprocess.TimeoutExpired after `seconds`."""
    return subprocess.run(
        [*process.enter(), *command],
        input=given,
        capture_output=True,
        check=False,
        timeout=seconds,
        umask=0o022,
        env={"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8"},
    )


def _started(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[_START_TIME]


def _namespace(pid: int, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError as error:
        raise HostUnreachable(f"process {pid} cannot be looked at: {error.strerror}") from error

"""Hosts to act on, without virtual machines or containers: mount, process, host name and IPC namespaces.

A host sees this machine's files. Its /etc, /home, /var, /root, /srv, /opt and /usr are overlays whose changes are kept
in hosts/NAME/upper; /tmp, /run and /dev are its own and start empty; all else is read-only. So whatever a runbook does
there, as root, changes nothing outside the state folder. Where overlay mounts are refused (a root filesystem that is an
overlay itself, a user namespace) /etc is copied instead, /home, /var, /root, /srv and /opt start bare, kept in
hosts/NAME/copy, and /usr is read-only.

It needs root, or a user with subordinate ids (newuidmap). What hosts are not: a border against malice (the kernel and
the network are shared), or machines with services (there is no systemd in them).
"""

import getpass
import json
import logging
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.sandbox import host_init
from flows.sandbox.errors import HostUnreachable, SandboxError
from flows.sandbox.namespaces import HostProcess, process_at, read_pid_file, run_inside, write_pid_file

TREES = ("/etc", "/home", "/var", "/root", "/srv", "/opt", "/usr")
TOOLS = ("useradd", "usermod", "groupadd", "git")
"""Programs that the shipped runbooks call on a host."""

PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_START_SECONDS = 30.0
_RANGE = 65536
"""Subordinate ids that a host needs: as many as a system has."""

_log = logging.getLogger(__name__)


class HostsUnavailable(SandboxError):
    """Neither namespaces nor mounts are to be had: the text says why."""


@dataclass(frozen=True)
class HostPlan:
    """A host there is to be, and its group in the inventory."""

    name: str
    group: str


SHIPPED = (HostPlan("web-1", "linux_servers"), HostPlan("web-2", "linux_servers"), HostPlan("files-1", "file_servers"))


@dataclass
class Host:
    """A running host."""

    plan: HostPlan
    folder: Path
    outer: subprocess.Popen[bytes]
    process: HostProcess
    how: Mapping[str, str]
    """Tree -> overlay, copy or read-only."""

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"


@dataclass
class Hosts:
    """All hosts. Start, mend and stop them in one thread, the main one: they die with the thread that started them."""

    folder: Path
    state: Path
    """Of all of Orderly: hidden from the hosts."""
    plans: Sequence[HostPlan] = SHIPPED
    running: dict[str, Host] = field(default_factory=dict, init=False)

    def start(self) -> None:
        """Raises HostsUnavailable, with none left running."""
        try:
            for plan in self.plans:
                self.running[plan.name] = self._start(plan)
        except BaseException:
            self.stop()
            raise

    def mend(self) -> None:
        """Start again what has ended (somebody killed its process 1). What cannot be is tried once, and reported."""
        for name, host in list(self.running.items()):
            if host.outer.poll() is None:
                continue
            _log.warning("the host %s ended; it is started again", name)
            host.process.kill()
            _close(host)
            del self.running[name]
            try:
                self.running[name] = self._start(host.plan)
            except HostsUnavailable as error:
                _log.warning("%s", error)

    def stop(self) -> None:
        """End every host and what runs in it. Their mounts go with them."""
        for host in self.running.values():
            host.process.kill()
            _close(host)
        self.running.clear()

    def missing_tools(self) -> list[str]:
        """Programs that runbooks call and this machine lacks. All hosts see the same ones."""
        host = next(iter(self.running.values()), None)
        if host is None:
            return []
        look = ["/bin/sh", "-c", 'command -v "$1"', "sh"]
        return [tool for tool in TOOLS if run_inside(host.process, [*look, tool]).returncode != 0]

    def _start(self, plan: HostPlan) -> Host:
        folder = self.folder / plan.name
        folder.mkdir(parents=True, exist_ok=True)
        leftover = read_pid_file(folder / "pid")
        if leftover is not None:
            leftover.kill()  # of a sandbox killed a moment ago; two must not share an overlay
            (folder / "pid").unlink()
        outer = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(host_init.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,  # Ctrl-C in a terminal is for the sandbox, not for its hosts
        )
        try:
            answer = self._set_up(outer, plan, folder)
            process = process_at(int(answer["ready"]))
        except (HostsUnavailable, HostUnreachable, OSError) as error:
            outer.kill()
            _end_pipes(outer)
            raise HostsUnavailable(f"The sandbox cannot have hosts here. {error}") from error
        write_pid_file(folder / "pid", process)
        return Host(plan, folder, outer, process, answer["how"])

    def _set_up(self, outer: subprocess.Popen[bytes], plan: HostPlan, folder: Path) -> Mapping[str, Any]:
        privileged = os.geteuid() == 0
        if not privileged:
            _need_subordinate_ids()
        _tell(
            outer,
            {
                "parent": os.getpid(),
                "name": plan.name,
                "folder": str(folder.resolve()),
                "state": str(self.state.resolve()),
                "trees": TREES,
                "keep": [] if interpreter() in PYTHONS else [sys.base_prefix],
                "user_namespace": not privileged,
                "overlays": privileged,
            },
        )
        answer = _hear(outer)
        if answer.get("map"):
            _map_ids(outer.pid)
            _tell(outer, {})
            answer = _hear(outer)
        if "error" in answer:
            raise HostsUnavailable(f"{answer['error']}.")
        return answer


def interpreter() -> str:
    """The Python that Ansible's modules run with on a host: the system's, or else the one that runs us."""
    for path in PYTHONS:
        if os.access(path, os.X_OK):
            return path
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))


def inventory(hosts: Sequence[Host]) -> dict[str, object]:
    """The hosts as an Ansible inventory. Every group of the shipped hosts is there, empty when there are none."""
    groups: dict[str, dict[str, dict[str, object]]] = {plan.group: {"hosts": {}} for plan in SHIPPED}
    for host in hosts:
        groups.setdefault(host.plan.group, {"hosts": {}})["hosts"][host.plan.name] = {
            "ansible_connection": "orderly_namespace",
            "orderly_host_pid_file": str(host.pid_file.resolve()),
            "ansible_python_interpreter": interpreter(),
            "ansible_become": False,  # one is root there already
        }
    return {"all": {"children": groups}}


def _need_subordinate_ids() -> None:
    """Raises HostsUnavailable when this user cannot map a whole system's ids."""
    for program in ("newuidmap", "newgidmap"):
        if shutil.which(program) is None:
            raise HostsUnavailable(f"You are not root, and `{program}` is not installed (Debian: uidmap).")
    for file in ("/etc/subuid", "/etc/subgid"):
        _subordinate(file)


def _subordinate(file: str) -> int:
    """The first of this user's subordinate ids."""
    names = {getpass.getuser(), str(os.getuid())}
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, first, count = (*line.split(":"), "", "")[:3]
        if name in names and first.isdigit() and count.isdigit() and int(count) >= _RANGE:
            return int(first)
    raise HostsUnavailable(
        f"You are not root, and {file} gives you no {_RANGE} subordinate ids"
        f" (as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {getpass.getuser()})."
    )


def _map_ids(pid: int) -> None:
    """Inside, root is this user, and 1 to 65536 are the subordinate ids."""
    for program, own, file in (("newuidmap", os.getuid(), "/etc/subuid"), ("newgidmap", os.getgid(), "/etc/subgid")):
        first = _subordinate(file)
        command = [program, str(pid), "0", str(own), "1", "1", str(first), str(_RANGE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise HostsUnavailable(f"`{program}` failed: {done.stderr.strip()}")


def _tell(outer: subprocess.Popen[bytes], line: Mapping[str, object]) -> None:
    assert outer.stdin is not None
    outer.stdin.write(json.dumps(line).encode() + b"\n")
    outer.stdin.flush()


def _hear(outer: subprocess.Popen[bytes]) -> Mapping[str, Any]:
    """One JSON line. The pipe is read unbuffered, so that select tells the truth."""
    assert outer.stdout is not None
    said, deadline = b"", time.monotonic() + _START_SECONDS
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([outer.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise HostsUnavailable(f"It was not up within {_START_SECONDS:.0f} s.")
        part = os.read(outer.stdout.fileno(), 1)
        if not part:
            raise HostsUnavailable("Its first process ended without a word; the log may say more.")
        said += part
    answer = json.loads(said)
    assert isinstance(answer, dict)
    return answer


def _close(host: Host) -> None:
    _end_pipes(host.outer)
    host.pid_file.unlink(missing_ok=True)
    devices = host.folder / "dev"  # where the host's /dev was mounted, in its namespace
    if devices.exists():
        devices.rmdir()


def _end_pipes(outer: subprocess.Popen[bytes]) -> None:
    outer.wait()
    for pipe in (outer.stdin, outer.stdout):
        if pipe is not None:
            pipe.close()

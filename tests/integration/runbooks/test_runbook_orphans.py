"""Whatever ends a run before its time, nothing of it works on: here, and on the hosts that it reached.

A run is cut short while every kind of work is under way on a host of its own; processes are then counted where they
run, by the run's mark in their environment.
"""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors.run_folders import processes_of_runs
from flows.left_runs import LeftRuns
from request_models.actions import ErrorClass
from waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PYTHON = "/usr/bin/python3"
SECONDS = 5.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
"""Within so many seconds of a kill nothing may be left: five, where the processors are not wanted by others too."""

META = """
    title: Work on and on
    effect: idempotent
    check_mode: none
    arguments: {marker: {type: str, required: true}}
    """
KINDS = ("shell", "module", "job", "polled", "became")
PLAYBOOK = """
    - hosts: all
      gather_facts: false
      strategy: free
      tasks:
        - name: Work in a shell, and in what it leaves in the background
          ansible.builtin.shell: trap "" HUP TERM; setsid sleep 7001 & sleep 7001
          environment: {KIND: "shell-{{ marker }}"}
          when: "'shell' in group_names"
        - name: Work in a module
          ansible.builtin.wait_for: {path: /nowhere/at/all, timeout: 600}
          environment: {KIND: "module-{{ marker }}"}
          when: "'module' in group_names"
        - name: Leave a job behind
          ansible.builtin.command: sleep 7001
          async: 600
          poll: 0
          environment: {KIND: "job-{{ marker }}"}
          when: "'job' in group_names"
        - name: Work beside the job
          ansible.builtin.wait_for: {path: /nowhere/at/all, timeout: 600}
          environment: {KIND: "beside-{{ marker }}"}
          when: "'job' in group_names"
        - name: Look after a job
          ansible.builtin.command: sleep 7001
          async: 600
          poll: 1
          environment: {KIND: "polled-{{ marker }}"}
          when: "'polled' in group_names"
        - name: Work as somebody else
          ansible.builtin.shell: setsid sleep 7001 & sleep 7001
          become: true
          become_user: nobody
          environment: {KIND: "became-{{ marker }}"}
          when: "'became' in group_names"
    """

ENGINE = """
import json, os, sys, uuid
from pathlib import Path
from connectors.registry import ConnectorContext
from connectors.runbook import connector
from request_models.actions import ActionCall, ActionFailed
order = json.loads(sys.argv[1])
folder = Path(order["folder"])
context = ConnectorContext(folder / "state", (folder / "content",), "dev")
action = connector(order["settings"], context).find("runbook.work")
cancel = folder / "cancel"
call = ActionCall(
    "runbook.work", {"marker": order["marker"]}, uuid.UUID(order["token"]), "r", "s", hosts=tuple(order["hosts"]),
    timeout_seconds=order["timeout"], cancelled=cancel.exists,
)
try:
    action.run(call)
except ActionFailed as error:
    (folder / "failed").write_text(json.dumps([error.error_class, error.code, str(error)]))
"""


@dataclass
class Work:
    """A run under way, in a process of its own: `engine` is what a flow run's process is."""

    engine: subprocess.Popen[bytes]
    estate: Any
    marker: str
    processes: Callable[[str], list[int]]

    @property
    def folder(self) -> Path:
        folder: Path = next(self.estate.runs.iterdir())
        return folder

    @property
    def supervisor(self) -> int:
        return int((self.folder / "supervisor.pid").read_text())

    @property
    def client(self) -> int:
        children = Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children").read_text().split()
        return int(children[0])

    def working(self, kind: str) -> bool:
        return bool(self.processes(f"KIND={kind}-{self.marker}"))

    def left(self) -> list[str]:
        """What still runs of it, anywhere on this machine, which the hosts are too."""
        found = {*self.processes(self.marker), *self.processes(self.run_id), *self.processes("ORDERLY_ENDS=")}
        return [_command(pid) for pid in found - {self.engine.pid}]

    run_id: str = ""
    token: uuid.UUID = field(default_factory=uuid.uuid4)
    supervisor_pid: int = 0
    client_pid: int = 0

    def failure(self) -> list[str]:
        self.engine.wait(60)
        said: list[str] = json.loads((self.estate.folder / "failed").read_text())
        return said


def _command(pid: int) -> str:
    try:
        return f"{pid} " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return f"{pid} (ended)"


Starter = Callable[..., Work]


@pytest.fixture
def start(processes: Callable[[str], list[int]]) -> Iterator[Starter]:
    engines: list[subprocess.Popen[bytes]] = []

    def begin(estate: Any, kinds: tuple[str, ...], settings: Any = None, timeout: float = 100) -> Work:
        estate.runbook("work", META, PLAYBOOK)
        estate.connector()
        marker, token = uuid.uuid4().hex, uuid.uuid4()
        order = {
            "folder": str(estate.folder),
            "settings": {"inventory": [str(estate.folder / "hosts.yml")], **(settings or {})},
            "marker": marker,
            "token": str(token),
            "hosts": list(kinds),
            "timeout": timeout,
        }
        engine = subprocess.Popen(
            [sys.executable, "-c", ENGINE, json.dumps(order)], cwd=Path(__file__).parents[3], start_new_session=True
        )
        engines.append(engine)
        work = Work(engine, estate, marker, processes, token=token)
        for kind in kinds:
            sign = {"job": "beside"}.get(kind, kind)  # a job is on its way when what comes after it has begun
            wait_until(f"{kind} is at work", lambda sign=sign: work.working(sign), deadline=40)  # type: ignore[misc]
        work.run_id, work.supervisor_pid, work.client_pid = work.folder.name, work.supervisor, work.client
        return work

    yield begin
    for engine in engines:
        if engine.poll() is None:
            os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()


def hosts_of(kinds: tuple[str, ...], host: dict[str, Any]) -> dict[str, Any]:
    """A host for each kind of work, in a group of that name: all of them this machine."""
    return {"all": {"children": {kind: {"hosts": {f"{kind}-host": dict(host)}} for kind in kinds}}}


def _cancel(work: Work) -> None:
    (work.estate.folder / "cancel").touch()


def _signal(which: str, number: signal.Signals) -> Callable[[Work], None]:
    def send(work: Work) -> None:
        match which:
            case "group":
                os.killpg(work.engine.pid, number)
            case "all":
                for pid in (work.engine.pid, work.supervisor, work.client):
                    os.kill(pid, number)
            case "engine":
                work.engine.send_signal(number)
            case _:
                os.kill(getattr(work, which), number)

    return send


CUTS: dict[str, Callable[[Work], None]] = {
    "cancel": _cancel,
    "engine-term": _signal("engine", signal.SIGTERM),
    "engine-kill": _signal("engine", signal.SIGKILL),
    "group-kill": _signal("group", signal.SIGKILL),
    "supervisor-term": _signal("supervisor", signal.SIGTERM),
    "supervisor-kill": _signal("supervisor", signal.SIGKILL),
    "client-term": _signal("client", signal.SIGTERM),
    "client-kill": _signal("client", signal.SIGKILL),
}


@pytest.mark.needs("sshd", "ssh")
@pytest.mark.parametrize("cut", CUTS)
def test_nothing_of_a_run_works_on_over_ssh(start: Starter, estate: Any, sshd: Any, cut: str) -> None:
    estate.inventory = hosts_of(KINDS, sshd.host)
    work = start(estate, KINDS, sshd.settings)
    CUTS[cut](work)
    wait_until("nothing works on", lambda: not work.left(), deadline=SECONDS)


@pytest.mark.parametrize("cut", ["engine-kill", "supervisor-kill", "client-kill"])
def test_nothing_of_a_run_works_on_here(start: Starter, estate: Any, cut: str) -> None:
    kinds = ("shell", "module", "job", "polled")
    estate.inventory = hosts_of(kinds, {"ansible_connection": "local", "ansible_python_interpreter": PYTHON})
    work = start(estate, kinds)
    CUTS[cut](work)
    wait_until("nothing works on", lambda: not work.left(), deadline=SECONDS)


@pytest.mark.needs("sshd", "ssh")
def test_what_is_left_when_all_that_watched_is_killed_is_ended_by_the_next_worker(
    start: Starter, estate: Any, sshd: Any
) -> None:
    estate.inventory = hosts_of(("shell", "job"), sshd.host)
    work = start(estate, ("shell", "job"), sshd.settings)
    _signal("all", signal.SIGKILL)(work)
    work.engine.wait()
    assert work.left()
    assert processes_of_runs(estate.runs)
    with LeftRuns(estate.runs):
        wait_until("nothing works on", lambda: not work.left(), deadline=SECONDS)
        wait_until("its folder is gone", lambda: not list(estate.runs.iterdir()))
    assert processes_of_runs(estate.runs) == []


@pytest.mark.needs("sshd", "ssh")
def test_a_host_out_of_reach_is_unknown_until_it_is_back_and_nothing_is_run_there_meanwhile(
    start: Starter, estate: Any, sshd: Any, processes: Callable[[str], list[int]]
) -> None:
    estate.inventory = hosts_of(("job",), sshd.host)
    work = start(estate, ("job",), sshd.settings)
    os.kill(sshd.server.pid, signal.SIGSTOP)  # it takes no new connection; those that there are go on
    try:
        _cancel(work)
        kind, code, said = work.failure()
        assert (kind, code) == (ErrorClass.UNKNOWN, "still_running")
        assert "may still be at work on job-host" in said
        assert work.working("job")
        again = estate.fail(
            "work", {"marker": "again"}, hosts=("job",), settings=sshd.settings, resent=True, token=work.token
        )
        assert (again.error_class, again.code) == (ErrorClass.UNKNOWN, "still_running")
        assert processes("KIND=job-again") == []
    finally:
        os.kill(sshd.server.pid, signal.SIGCONT)
    with LeftRuns(estate.runs):
        wait_until("nothing works on", lambda: not work.left() and not list(estate.runs.iterdir()), deadline=30)


@pytest.mark.needs("sshd", "ssh")
def test_a_resent_call_first_ends_what_an_earlier_run_left_whose_machine_is_gone(
    start: Starter, estate: Any, sshd: Any, tmp_path: Path
) -> None:
    estate.inventory = hosts_of(("job",), sshd.host)
    work = start(estate, ("job",), sshd.settings)
    estate.runs.rename(tmp_path / "gone")  # as on another machine: no folder tells of the run
    for pid in (work.engine.pid, work.supervisor_pid, work.client_pid):
        os.kill(pid, signal.SIGKILL)
    work.engine.wait()
    assert work.working("job")
    estate.runbook("work", META, "[{hosts: all, gather_facts: false, tasks: [{ansible.builtin.command: id}]}]")
    estate.run("work", {"marker": "again"}, hosts=("job",), settings=sshd.settings, resent=True, token=work.token)
    assert not work.working("job")

"""One run of a playbook: a private folder, ansible-runner under a supervisor, and a report of what happened."""

import fcntl
import os
import re
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ansible_runner import Runner

from connectors.runbook.content import unpack
from connectors.runbook.events import Events, HostReport
from connectors.runbook.exchange import Exchange
from connectors.runbook.invocation import PROJECT, RUN_VARIABLE, SUPERVISOR_PID, runner_config
from connectors.runbook.settings import RunbookSettings
from request_models.json_values import JsonValue

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
"""Names of groups and hosts that mean nothing more to Ansible's host patterns."""

Stop = Literal["timeout", "cancelled"]


@dataclass(frozen=True)
class RunOrder:
    """What to run. `hosts` are names of groups and hosts, `done` hosts to leave out; none means the implicit localhost.

    `plain` and `secret` are the arguments, `masks` the texts to show nowhere.
    """

    playbook: str
    content: bytes
    plain: Mapping[str, JsonValue]
    secret: Mapping[str, JsonValue]
    masks: list[str]
    hosts: tuple[str, ...]
    done: tuple[str, ...]
    timeout_seconds: float | None
    log: Callable[[str], None]
    cancelled: Callable[[], bool]
    check: bool = False


@dataclass(frozen=True)
class RunReport:
    """What happened. `refusal` is why nothing was started; `last_words` are Ansible's when it ended by itself.

    `played` are the hosts that plays were started on; `exit_status` is None when a signal ended the supervisor.
    """

    run_id: str
    played: tuple[str, ...]
    exit_status: int | None
    stopped: Stop | None
    refusal: str | None
    last_words: str
    tasks_ran: bool
    hosts: Mapping[str, HostReport]
    outputs: Mapping[str, JsonValue]

    @property
    def cut_short(self) -> bool:
        """Whether it was stopped, or killed: what it was doing on the hosts may go on there."""
        return self.stopped is not None or self.exit_status is None


def run(order: RunOrder, settings: RunbookSettings, runs: Path) -> RunReport:
    """Run a playbook to its end, its timeout or its cancellation; no process of it is left afterwards."""
    with _private_folder(runs) as folder:
        unpack(order.content, folder / PROJECT)
        (folder / "tmp").mkdir(mode=0o700)
        events = Events(order.log, order.masks)
        with Exchange(folder, order.plain, order.secret, order.masks, _may_play(order)) as exchange:
            watch = _Watch(folder / SUPERVISOR_PID, order, settings.kill_seconds)
            config = runner_config(
                folder,
                settings,
                exchange.path,
                playbook=order.playbook,
                limit=limit(order.hosts, order.done) if order.hosts else None,
                check=order.check,
            )
            runner = Runner(config=config, event_handler=events.take, cancel_callback=watch.look)
            try:
                runner.run()
            finally:
                watch.end()
                if runner.rc is None:
                    _kill_all_of(folder.name)
        return RunReport(
            run_id=folder.name,
            played=tuple(exchange.heard.hosts),
            exit_status=runner.rc,
            stopped=watch.stopped,
            refusal=exchange.heard.refusal,
            last_words=events.last_words,
            tasks_ran=events.tasks_ran,
            hosts=events.hosts,
            outputs=exchange.heard.outputs,
        )


def sweep(runs: Path) -> None:
    """Remove the folders of runs whose process was killed: those that nobody holds any more."""
    for folder in sorted(runs.glob("[!.]*")) if runs.is_dir() else ():
        with suppress(OSError), (folder / "held").open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)


def limit(hosts: Sequence[str], done: Sequence[str]) -> str:
    """Ansible's limit for these names; never empty, which would mean all hosts.

    Raises ValueError for a name that could mean more than itself.
    """
    for name in (*hosts, *done):
        if not SAFE_NAME.match(name):
            raise ValueError(f"'{name}' is no name of a host or group: letters, digits, '_', '.', '-' only")
    if not hosts:
        raise ValueError("no group or host was named; nothing is ever run on all hosts")
    return ":".join([*hosts, *(f"!{name}" for name in done)])


@contextmanager
def _private_folder(runs: Path) -> Iterator[Path]:
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = runs / secrets.token_hex(6)
    unnamed = folder.with_name(f".{folder.name}")  # until it is held, so that nobody sweeps it away
    unnamed.mkdir(mode=0o700)
    with (unnamed / "held").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        unnamed.rename(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Watch:
    """Stops the supervisor when time is up or the call is cancelled; ansible-runner asks it between two reads.

    ansible-runner would kill the process group, and with it the supervisor that keeps track of the rest.
    """

    def __init__(self, pid_file: Path, order: RunOrder, kill_seconds: float) -> None:
        self._pid_file = pid_file
        self._order = order
        self._kill_seconds = kill_seconds
        self._deadline = None if order.timeout_seconds is None else time.monotonic() + order.timeout_seconds
        self._kill_at: float | None = None
        self.stopped: Stop | None = None

    def look(self) -> bool:
        """True when ansible-runner must kill what is left itself, because the supervisor did not end in time."""
        if self.stopped is None:
            self.stopped = self._reason()
        if self.stopped is None:
            return False
        if self._kill_at is None and self._signal(signal.SIGTERM):
            self._kill_at = time.monotonic() + self._kill_seconds
        return self._kill_at is not None and time.monotonic() > self._kill_at

    def end(self) -> None:
        """Leave no supervisor behind when ansible-runner itself failed."""
        if self._signal(signal.SIGTERM):
            with suppress(ChildProcessError):
                os.waitpid(int(self._pid_file.read_text(encoding="ascii")), 0)

    def _reason(self) -> Stop | None:
        if self._order.cancelled():
            return "cancelled"
        if self._deadline is not None and time.monotonic() > self._deadline:
            return "timeout"
        return None

    def _signal(self, number: int) -> bool:
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
            if _parent_of(pid) != os.getpid():  # it has ended, and its id may be another process's by now
                return False
            os.kill(pid, number)
        except (OSError, ValueError):
            return False
        return True


def _kill_all_of(run_id: str) -> None:
    """Kill what carries the run's id: for when the supervisor, which knew them all, was killed itself."""
    mark = f"{RUN_VARIABLE}={run_id}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def _parent_of(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return int(stat.rpartition(")")[2].split()[1])


def _may_play(order: RunOrder) -> Callable[[list[str], list[str] | None], str | None]:
    def judge(hosts: list[str], known: list[str] | None) -> str | None:
        missing = sorted(set(order.hosts) - set(known)) if known is not None else []
        if missing:
            return f"the inventory has no group or host named {', '.join(missing)}"
        unsafe = [name for name in hosts if not SAFE_NAME.match(name)]
        if unsafe:
            return f"the inventory's host '{unsafe[0]}' has a name that cannot be used safely; rename it"
        return None

    return judge

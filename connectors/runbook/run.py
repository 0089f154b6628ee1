"""One run of a playbook: a private folder, ansible-runner under a supervisor, and a report of what happened."""

import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from ansible_runner import Runner

from connectors.run_folders import About, RunFolder, call_of, end_left_runs_of, new_folder, pattern_of_call
from connectors.run_supervisor import END_SECONDS, OF_ITS_OWN, RUN_VARIABLE
from connectors.runbook.content import unpack
from connectors.runbook.events import Events, HostReport
from connectors.runbook.exchange import Exchange
from connectors.runbook.invocation import PROJECT, runner_config, tell_how_to_end
from connectors.runbook.settings import RunbookSettings
from request_models.json_values import JsonValue

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
"""Names of groups and hosts that mean nothing more to Ansible's host patterns."""

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names that mean this machine to Ansible where the inventory does not have them."""

Stop = Literal["timeout", "cancelled"]


@dataclass(frozen=True)
class RunOrder:
    """What to run. `hosts` are names of groups and hosts, `done` hosts to leave out; none means the implicit localhost.

    `plain` and `secret` are the arguments, `masks` the texts to show nowhere.
    """

    about: About
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

    `exit_status` is None when a signal ended the supervisor. `left_on` are the hosts where it may still be at work,
    with the reason why it could not be ended.
    """

    exit_status: int | None
    stopped: Stop | None
    refusal: str | None
    last_words: str
    tasks_ran: bool
    hosts: Mapping[str, HostReport]
    outputs: Mapping[str, JsonValue]
    left_on: Mapping[str, str]


def run(order: RunOrder, settings: RunbookSettings, runs: Path) -> RunReport:
    """Run a playbook to its end, its timeout or its cancellation.

    No process of it is left afterwards, here or on its hosts, but on those of `left_on`.
    """
    with new_folder(runs, order.about) as folder:
        unpack(order.content, folder.path / PROJECT)
        (folder.path / "tmp").mkdir(mode=0o700)
        if order.hosts:
            tell_how_to_end(folder, settings, folder.pattern)
        events = Events(order.log, order.masks)
        with Exchange(folder.path, order.plain, order.secret, order.masks, _Judge(order, folder)) as exchange:
            watch = _Watch(folder.pid_file, order, settings.kill_seconds + END_SECONDS)
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
                left_on = _ended(folder, runner.rc, events)
        return RunReport(
            exit_status=runner.rc,
            stopped=watch.stopped,
            refusal=exchange.heard.refusal,
            last_words=events.last_words,
            tasks_ran=events.tasks_ran,
            hosts=events.hosts,
            outputs=exchange.heard.outputs,
            left_on=left_on,
        )


def end_earlier_runs(about: About, hosts: tuple[str, ...], settings: RunbookSettings, runs: Path) -> Mapping[str, str]:
    """End what earlier runs of a call left, before it is run again or looked for.

    By their folders where these are here, and in any case on the hosts: the machine that started them may be another.
    Gives the hosts where something may be left, with the reason.
    """
    token = UUID(about.token)
    left = end_left_runs_of(runs, token)
    if left or not hosts:
        return left
    with new_folder(runs, about) as folder:
        (folder.path / "tmp").mkdir(mode=0o700)
        tell_how_to_end(folder, settings, pattern_of_call(token))
        return folder.end(hosts, f"{RUN_VARIABLE}={call_of(token)}.")


def _ended(folder: RunFolder, exit_status: int | None, events: Events) -> Mapping[str, str]:
    """The hosts where something of an ended run may still be at work.

    A run that was cut short was ended there by its supervisor, unless that was killed.
    """
    if exit_status in OF_ITS_OWN:
        hosts = [name for name, host in events.hosts.items() if host.may_work_on]
        return folder.end(hosts) if hosts else {}
    left = folder.left_on
    return folder.end() if left is None else left


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


def _parent_of(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return int(stat.rpartition(")")[2].split()[1])


class _Judge:
    """Says whether a play may start; notes where the run goes, for whoever may have to end it there."""

    def __init__(self, order: RunOrder, folder: RunFolder) -> None:
        self._order = order
        self._folder = folder
        self._known: frozenset[str] = frozenset()

    def may_play(self, hosts: list[str], known: list[str] | None, added: Mapping[str, Any]) -> str | None:
        missing = sorted(set(self._order.hosts) - set(known)) if known is not None else []
        if missing:
            return f"the inventory has no group or host named {', '.join(missing)}"
        unsafe = [name for name in hosts if not SAFE_NAME.match(name)]
        if unsafe:
            return f"the inventory's host '{unsafe[0]}' has a name that cannot be used safely; rename it"
        self._known |= frozenset(known or ())
        self._note({name: added.get(name, {}) for name in hosts})
        return None

    def note_host(self, name: str) -> None:
        if SAFE_NAME.match(name):
            self._note({name: {}})

    def note_become(self) -> None:
        self._folder.note_become()

    def _note(self, hosts: Mapping[str, Mapping[str, Any]]) -> None:
        # What runs here is below the supervisor, which ends it.
        elsewhere = {name: reach for name, reach in hosts.items() if name in self._known or name not in _HERE}
        self._folder.note_hosts(elsewhere)

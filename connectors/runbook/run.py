"""One run of a playbook: a private folder, ansible-runner under a supervisor, and a report of what happened."""

import fcntl
import os
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ansible_runner import Runner, RunnerConfig
from ansible_runner.utils import get_callback_dir

from connectors.runbook import supervisor
from connectors.runbook.content import SHIPPED, unpack
from connectors.runbook.events import Events, HostReport
from connectors.runbook.exchange import Exchange
from connectors.runbook.settings import RunbookSettings
from request_models.json_values import JsonValue

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
"""Names of groups and hosts that mean nothing more to Ansible's host patterns."""

LOOK_EVERY = 0.2
"""Seconds between two looks at timeout and cancel."""

RUN_VARIABLE = "ORDERLY_RUN"
"""Environment variable that every process of a run carries, with the run's id."""

Stop = Literal["timeout", "cancelled"]

_PLUGINS = SHIPPED / "plugins"
_PLUGIN_VARIABLES = {
    "action": "ANSIBLE_ACTION_PLUGINS",
    "become": "ANSIBLE_BECOME_PLUGINS",
    "callback": "ANSIBLE_CALLBACK_PLUGINS",
    "connection": "ANSIBLE_CONNECTION_PLUGINS",
    "filter": "ANSIBLE_FILTER_PLUGINS",
    "lookup": "ANSIBLE_LOOKUP_PLUGINS",
    "module_utils": "ANSIBLE_MODULE_UTILS",
    "modules": "ANSIBLE_LIBRARY",
    "test": "ANSIBLE_TEST_PLUGINS",
    "vars": "ANSIBLE_VARS_PLUGINS",
}
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "TZ", "SSH_AUTH_SOCK")
_EMPTY_INVENTORY = "all:\n  hosts: {}\n"


@dataclass(frozen=True)
class RunOrder:
    """What to run. `hosts` are names of groups and hosts, `done` hosts to leave out; no hosts means the localhost.

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
    """What happened. `refusal` is why nothing was started; `last_words` are Ansible's when it ended by itself."""

    exit_status: int
    stopped: Stop | None
    refusal: str | None
    last_words: str
    tasks_ran: bool
    hosts: Mapping[str, HostReport]
    outputs: Mapping[str, JsonValue]


def run(order: RunOrder, settings: RunbookSettings, runs: Path) -> RunReport:
    """Run a playbook to its end, its timeout or its cancellation; no process of it is left afterwards."""
    with _private_folder(runs) as folder:
        unpack(order.content, folder / "project")
        for part in ("tmp", "inventory"):
            (folder / part).mkdir(mode=0o700)
        (folder / "inventory" / "none.yml").write_text(_EMPTY_INVENTORY, encoding="utf-8")
        events = Events(order.log, order.masks)
        with Exchange(folder, order.plain, order.secret, order.masks, _may_play(order)) as exchange:
            watch = _Watch(folder / "supervisor.pid", order, settings.kill_seconds)
            config = _runner_config(folder, order, settings, exchange.path)
            runner = Runner(config=config, event_handler=events.take, cancel_callback=watch.look)
            try:
                runner.run()
            finally:
                watch.end()
        return RunReport(
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
    for folder in sorted(runs.glob("*")) if runs.is_dir() else ():
        with suppress(OSError), (folder / "held").open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)


def limit(hosts: Sequence[str], done: Sequence[str]) -> str:
    """Ansible's limit for these names; never empty, which would mean all hosts.

    Raises ValueError for a name that could mean more than itself.
    """
    names = list(hosts) or ["localhost"]
    for name in (*names, *done):
        if not SAFE_NAME.match(name):
            raise ValueError(f"'{name}' is no name of a host or group: letters, digits, '_', '.', '-' only")
    return ":".join([*names, *(f"!{name}" for name in done)])


@contextmanager
def _private_folder(runs: Path) -> Iterator[Path]:
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = runs / secrets.token_hex(6)
    folder.mkdir(mode=0o700)
    with (folder / "held").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
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


def _runner_config(folder: Path, order: RunOrder, settings: RunbookSettings, socket: Path) -> RunnerConfig:
    inventory = [str(path) for path in settings.inventory] or [str(folder / "inventory" / "none.yml")]
    config = RunnerConfig(
        private_data_dir=str(folder),
        project_dir=str(folder / "project"),
        playbook=f"playbooks/{order.playbook}.yml",
        inventory=inventory,
        limit=limit(order.hosts, order.done),
        ident=folder.name,
        forks=settings.forks,
        cmdline="--check --diff" if order.check else None,
        fact_cache_type="memory",
    )
    config.prepare()
    config.command = [*_supervised(folder), *_ansible_playbook(), *config.command[1:]]
    # The runner copies our whole environment and writes it into a file: give it only what a run needs.
    config.env = _environment(folder, settings, socket)
    config.pexpect_timeout = LOOK_EVERY
    config.suppress_ansible_output = True
    config.suppress_output_file = True
    return config


def _supervised(folder: Path) -> list[str]:
    return [sys.executable, "-I", "-S", supervisor.__file__, str(os.getpid()), str(folder / "supervisor.pid")]


def _ansible_playbook() -> list[str]:
    # -P: a folder of the runbooks must never hide a module of ours or Ansible's.
    return [sys.executable, "-P", "-m", "ansible", "playbook"]


def _environment(folder: Path, settings: RunbookSettings, socket: Path) -> dict[str, str]:
    project = folder / "project"
    runner_callbacks = get_callback_dir()
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    plugins = {
        variable: os.pathsep.join([str(_PLUGINS / part), str(project / "plugins" / part)])
        for part, variable in _PLUGIN_VARIABLES.items()
    }
    return {
        **passed,
        **plugins,
        **_ssh_environment(folder, settings),
        RUN_VARIABLE: folder.name,
        "ORDERLY_RUN_SOCKET": str(socket),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder / "tmp"),
        "ANSIBLE_CONFIG": str(SHIPPED / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_ROLES_PATH": str(project / "roles"),
        "ANSIBLE_NOCOLOR": "1",
        # The last one wins among these, so that ours beats the variables of hosts and groups.
        "ANSIBLE_VARS_ENABLED": "host_group_vars,orderly_arguments",
        # ansible-runner's callback extends the one named ORIGINAL.
        "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join([plugins["ANSIBLE_CALLBACK_PLUGINS"], runner_callbacks]),
        "ANSIBLE_STDOUT_CALLBACK": "awx_display",
        "ORIGINAL_STDOUT_CALLBACK": "orderly_run",
        "AWX_ISOLATED_DATA_DIR": str(folder / "artifacts" / folder.name),
    }


def _ssh_environment(folder: Path, settings: RunbookSettings) -> dict[str, str]:
    ssh = settings.ssh
    arguments = ["-o BatchMode=yes", *_multiplexing(folder)]
    if ssh.known_hosts_file is not None:
        arguments.append(f"-o UserKnownHostsFile={ssh.known_hosts_file}")
    environment = {
        "ANSIBLE_SSH_ARGS": " ".join(arguments),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_TIMEOUT": str(ssh.connect_seconds),
    }
    if ssh.user is not None:
        environment["ANSIBLE_REMOTE_USER"] = ssh.user
    if ssh.private_key_file is not None:
        environment["ANSIBLE_PRIVATE_KEY_FILE"] = str(ssh.private_key_file)
    return environment


def _multiplexing(folder: Path) -> list[str]:
    # ssh adds 10 characters of Ansible's and 17 of its own to the folder, and a socket's address holds 107.
    if len(os.fsencode(folder / "cp")) > 107 - 30:
        return ["-o ControlMaster=no"]
    return ["-o ControlMaster=auto", "-o ControlPersist=60s"]

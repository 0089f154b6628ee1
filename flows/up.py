"""`orderly up`: all of it on this machine, from one state folder, with no other server (design section 7)."""

import fcntl
import http.client
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flows.errors import OrderlyError
from flows.holder import started_at
from flows.running import Running, forget_running
from flows.sandbox.inspection import status
from flows.settings import SETTINGS_FILES, Settings, settings_files
from flows.state_folder import make_state_folder
from flows.supervision import Change, Part, Supervisor, sweep

LOOPBACK = "127.0.0.1"
_ANSWER_WITHIN_SECONDS = 1.0
_LONGEST_LOG = 10 * 1024 * 1024

_NOT_INHERITED = ("PREFECT_", "UVICORN_", "ANSIBLE_")
"""Prefixes of variables that the parts do not get: somebody's profile of Prefect must not decide where flows run."""


class AlreadyUp(OrderlyError):
    """Another `orderly up` runs on the state folder."""

    def __init__(self, state: Path, pid: str) -> None:
        super().__init__(
            f"`orderly up` runs already on {state} (process {pid or 'unknown'}). Stop it, or name another: --state."
        )
        self.state = state


class PortTaken(OrderlyError):
    """Another program listens where a part is to listen."""

    def __init__(self, what: str, port: int, option: str) -> None:
        super().__init__(f"Port {port}, for {what}, is in use by another program. Choose one: {option} PORT (0: any).")
        self.port = port


@dataclass(frozen=True)
class Setup:
    """What is to be started: where it listens, on which settings, with an estate of its own or not."""

    settings: Settings
    api_port: int
    prefect_port: int
    sandbox: bool

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.settings.state

    @property
    def api_url(self) -> str:
        """Where the API answers on this machine."""
        return f"http://{LOOPBACK}:{self.api_port}"

    @property
    def prefect_url(self) -> str:
        """Where Prefect and its UI answer."""
        return f"http://{LOOPBACK}:{self.prefect_port}"

    @property
    def sandbox_settings(self) -> Path:
        """The settings layer that points Orderly at the sandbox."""
        return self.state / "sandbox" / "settings.yaml"

    @property
    def layers(self) -> tuple[Path, ...]:
        """The settings files of every part."""
        return (*settings_files(), *((self.sandbox_settings,) if self.sandbox else ()))


def set_up(settings: Settings, *, api_port: int | None, prefect_port: int | None, sandbox: bool) -> Setup:
    """Settle the ports; 0 means any free one. Raises PortTaken."""
    prefect = urlsplit(settings.prefect.api_url).port or 4200
    return Setup(
        settings,
        _usable_port("the API", settings.api.port if api_port is None else api_port, "--port"),
        _usable_port("Prefect", prefect if prefect_port is None else prefect_port, "--prefect-port"),
        sandbox,
    )


def free_or_any(port: int) -> int:
    """The port if nobody listens there, else 0: for whoever would rather have another than none."""
    try:
        return _usable_port("", port, "")
    except PortTaken:
        return 0


def run_up(
    setup: Setup,
    tell: Callable[[Change], None],
    when_ready: Callable[[], object],
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Start everything, keep it running until SIGINT, SIGTERM or `until()`, stop it. Raises AlreadyUp, PartFailed."""
    make_state_folder(setup.state)
    with _locked(setup.state):
        # What a killed `up` left behind would work on the same records.
        sweep(_mark(setup.state))
        for folder in ("logs", "prefect", "work"):
            (setup.state / folder).mkdir(mode=0o700, exist_ok=True)
        supervisor = Supervisor(_parts(setup), _mark(setup.state), tell)
        _running(setup).write(setup.state)
        try:
            supervisor.run(when_ready, until)
        finally:
            forget_running(setup.state)


def _parts(setup: Setup) -> Sequence[Part]:
    """In the order in which they start; they stop in reverse."""
    environment = _environment(setup)
    # The layer that the sandbox writes does not exist when the first parts start.
    before_sandbox = {SETTINGS_FILES: os.pathsep.join(str(path) for path in settings_files())}
    base = ("records", "sandbox") if setup.sandbox else ("records",)

    def part(
        name: str,
        *command: str,
        ready: Callable[[], bool] | None = None,
        after: tuple[str, ...] = (),
        once: bool = False,
        essential: bool = False,
        gives_up_at: tuple[int, ...] = (),
        stop_seconds: float = 10.0,
        more: Mapping[str, str] | None = None,
    ) -> Part:
        return Part(
            name=name,
            command=(sys.executable, "-P", *command),
            log=_log(setup.state, name),
            folder=setup.state / "work",
            environment={**environment, **(more or {})},
            ready=ready,
            after=after,
            once=once,
            essential=essential,
            gives_up_at=gives_up_at,
            stop_seconds=stop_seconds,
        )

    sandbox = part(
        "sandbox",
        "-m",
        "flows.sandbox",
        "--state",
        str(setup.state),
        ready=lambda: status(setup.state) is not None,
        essential=True,
        gives_up_at=(2,),
        more=before_sandbox,
    )
    return (
        part(
            "records", "-m", "flows.cli", "migrate", once=True, essential=True, gives_up_at=(1, 2), more=before_sandbox
        ),
        *((sandbox,) if setup.sandbox else ()),
        part(
            "prefect",
            "-m",
            "uvicorn",
            # Not `prefect server start`: that would be one process more, which dies apart from its server.
            "--factory",
            "prefect.server.api.server:create_app",
            "--app-dir",
            str(setup.state / "work"),
            "--host",
            LOOPBACK,
            "--port",
            str(setup.prefect_port),
            "--log-level",
            "warning",
            "--no-access-log",
            ready=_answers(f"{setup.prefect_url}/api/ready"),
            essential=True,
            more=_prefect_server(setup),
        ),
        part("catalogue", "-m", "flows.cli", "publish", "--wait", "120", after=base, once=True, gives_up_at=(1, 2)),
        part(
            "api",
            "-m",
            "flows.cli",
            "api",
            ready=_answers(f"{setup.api_url}/readyz"),
            after=base,
            essential=True,
        ),
        part("keeper", "-m", "flows.cli", "keeper", after=base),
        # A worker that finds no Prefect when it starts looks again only with its next heartbeat, half a minute later.
        part("worker", "-m", "flows.cli", "worker", after=(*base, "prefect"), stop_seconds=20.0),
    )


def _environment(setup: Setup) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return {
        **kept,
        SETTINGS_FILES: os.pathsep.join(str(path) for path in setup.layers),
        "ORDERLY_STATE": str(setup.state),
        "ORDERLY_API__PORT": str(setup.api_port),
        "ORDERLY_PREFECT__API_URL": f"{setup.prefect_url}/api",
        "PREFECT_API_URL": f"{setup.prefect_url}/api",
        "PREFECT_HOME": str(setup.state / "prefect"),
        # Nobody outside is told what runs here.
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _prefect_server(setup: Setup) -> Mapping[str, str]:
    folder = setup.state / "prefect"
    return {
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(setup.prefect_port),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # By default the UI's files are written into the installed package, and any web page may call the API.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"{setup.prefect_url},http://localhost:{setup.prefect_port}",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def _running(setup: Setup) -> Running:
    return Running(
        pid=os.getpid(),
        started=started_at(os.getpid()) or 0,
        api=setup.api_url,
        prefect_ui=setup.prefect_url,
        prefect_api=f"{setup.prefect_url}/api",
        settings=tuple(str(path.absolute()) for path in setup.layers),
        sandbox=setup.sandbox,
    )


def _mark(state: Path) -> str:
    return str(state)


def _log(state: Path, name: str) -> Path:
    """A part's log; a long one is put aside, so that at most two of them are kept."""
    path = state / "logs" / f"{name}.log"
    if path.exists() and path.stat().st_size > _LONGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    return path


def _answers(url: str) -> Callable[[], bool]:
    """A check that `url` answers with success."""
    parts = urlsplit(url)

    def check() -> bool:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_WITHIN_SECONDS)
        try:
            connection.request("GET", parts.path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check


def _usable_port(what: str, port: int, option: str) -> int:
    with socket.socket() as probe:
        # As the servers do it: connections that linger after a restart do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise PortTaken(what, port, option) from None
        return int(probe.getsockname()[1])


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    with (state / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyUp(state, file.read().strip()) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

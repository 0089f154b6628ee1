"""A whole Orderly whose parts can be killed one by one: Prefect's server, API, keeper, worker, and their database."""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from chaos_targets import kill_process
from flows.preparation import prepare
from flows.settings import Settings
from flows.wiring import Application
from prefect_estate import children_of, prefect_environment, settings_yaml
from private_postgres import PrivatePostgres
from waiting import wait_until

MARK = "ORDERLY_CHAOS"
KINDS = ("a flow run", "worker", "keeper", "api", "prefect", "database")
PARTS = ("prefect", "api", "keeper", "worker")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ChaosEstate:
    """The parts, each a process group of its own."""

    folder: Path
    settings: Settings
    environment: Mapping[str, str]
    application: Application
    prefect_port: int
    mark: str
    postgres: PrivatePostgres | None
    parts: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.api.port}"

    def start(self, part: str) -> None:
        commands = {
            "prefect": (
                *("-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1"),
                *("--port", str(self.prefect_port), "--log-level", "warning", "--no-access-log"),
            ),
            "api": ("-m", "flows.cli", "api"),
            "keeper": ("-m", "flows.cli", "keeper"),
            "worker": ("-m", "flows.cli", "worker"),
        }
        with (self.folder / f"{part}.log").open("ab") as log:
            self.parts[part] = subprocess.Popen(
                [sys.executable, "-P", *commands[part]],
                env=dict(self.environment),
                cwd=self.folder / "work",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for(self, part: str, seconds: float = 120) -> None:
        """Wait until a server answers."""
        urls = {"prefect": f"http://127.0.0.1:{self.prefect_port}/api/health", "api": f"{self.api_url}/readyz"}
        if part in urls:
            wait_until(f"{part} answers", lambda: httpx.get(urls[part], timeout=5).is_success, seconds, every=0.3)

    def start_all(self) -> None:
        self.start("prefect")
        self.start("api")
        self.wait_for("prefect")
        self.wait_for("api")
        self.start("keeper")
        self.start("worker")

    def kill(self, part: str) -> None:
        """kill -9 of one part, and of it alone."""
        process = self.parts.pop(part)
        process.kill()
        process.wait()
        self.kills[part] += 1

    def kill_a_run(self, pick: random.Random) -> bool:
        """kill -9 of the process of one flow run."""
        worker = self.parts.get("worker")
        runs = [] if worker is None else sorted(children_of(worker.pid))
        if not runs:
            return False
        kill_process(pick.choice(runs))
        self.kills["a flow run"] += 1
        return True

    def kill_holder(self, request_id: str) -> None:
        """kill -9 of the process that runs a request: for kill points at the targets."""
        claim = self.application.records.read(lambda tx: tx.claims.get(request_id))
        if claim is not None and not claim.released:
            kill_process(claim.holder.pid)
            self.kills["a run, at a named point"] += 1

    def upset_database(self, seconds: float) -> None:
        """PostgreSQL is killed whole and started again; SQLite's file is locked for some seconds."""
        if self.postgres is not None:
            self.postgres.kill()
            self.kills["PostgreSQL"] += 1
            time.sleep(seconds)
            self.postgres.start()
            return
        with closing(sqlite3.connect(self.settings.state / "records.db", isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")
        self.kills["(records locked, not a kill)"] += 1

    def stop(self) -> None:
        """End all parts as `orderly up` does; what is left of a group after that is killed."""
        for part in reversed(PARTS):
            process = self.parts.pop(part, None)
            if process is None:
                continue
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def processes(self) -> list[str]:
        """The processes that carry the estate's mark: all that it, or a part of it, ever started and that still run."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return found

    def logs(self, lines: int = 25) -> str:
        told = []
        for file in sorted(self.folder.glob("*.log")):
            told += [f"--- {file.name}", *file.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(told)


class Havoc(threading.Thread):
    """Kills parts at random moments until told to stop; each is started again, some time later, as `up` would."""

    def __init__(self, estate: ChaosEstate, seed: int, every: tuple[float, float]) -> None:
        super().__init__(name="havoc")
        self._estate = estate
        self._pick = random.Random(seed)
        self._every = every
        self._over = threading.Event()
        # Each kind once, in some order; then by chance.
        self._first = self._pick.sample(KINDS, len(KINDS))
        self.broke: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(self._pick.uniform(*self._every)):
                self._strike()
        except BaseException as error:  # noqa: BLE001 - the test reports it
            self.broke = error

    def end(self) -> None:
        """Let the last strike come to its end."""
        self._over.set()
        self.join()

    def _strike(self) -> None:
        what = self._first.pop() if self._first else self._pick.choices(KINDS, (6, 2, 3, 2, 1, 1.5))[0]
        away = self._pick.uniform(0.0, 2.0)
        if what == "a flow run":
            self._estate.kill_a_run(self._pick)
        elif what == "database":
            self._estate.upset_database(away + 1)
        else:
            self._estate.kill(what)
            time.sleep(away)
            self._estate.start(what)
            self._estate.wait_for(what)


def make_chaos_estate(
    folder: Path,
    connectors: Mapping[str, Any],
    public: Mapping[str, Any],
    fill: Callable[[Path], None],
    postgres: PrivatePostgres | None,
) -> ChaosEstate:
    """An Orderly in `folder`; `fill` puts models and more into its content folder. Nothing of it is started."""
    content, prefect_port, mark = folder / "content", free_port(), uuid.uuid4().hex
    for name in ("models", "extensions", "runbooks/playbooks"):
        (content / name).mkdir(parents=True)
    (folder / "work").mkdir()
    fill(content)
    given: dict[str, Any] = {
        "state": str(folder / "state"),
        "content": [str(content)],
        "api": {"port": free_port()},
        "prefect": {"api_url": f"http://127.0.0.1:{prefect_port}/api", "work_pool": f"chaos-{mark[:8]}"},
        "claim": {"ttl_seconds": 5.0},
        "keeper": {"dispatch_every": 0.2, "reconcile_every": 1.0, "crashes_before_hold": 30},
        "worker": {"poll_seconds": 0.5, "limit": 6},
        "connectors": dict(connectors),
        "public": dict(public),
    }
    if postgres is not None:
        given["database_url"] = postgres.url
    (folder / "settings.yaml").write_text(settings_yaml(given))
    settings = Settings(**{**given, "state": folder / "state", "content": (content,)})
    environment = {
        **prefect_environment(folder / "prefect", f"http://127.0.0.1:{prefect_port}/api"),
        "ORDERLY_SETTINGS": str(folder / "settings.yaml"),
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_API_PORT": str(prefect_port),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        MARK: mark,
    }
    (folder / "prefect").mkdir()
    prepare(settings)
    return ChaosEstate(folder, settings, environment, Application.open(settings), prefect_port, mark, postgres)

"""A PostgreSQL of a test's own, from Debian's binaries under a temporary folder, so that it can be killed."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from waiting import wait_until


def binaries() -> Path | None:
    """Where the server's programs are, the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@dataclass
class PrivatePostgres:
    """A cluster. PostgreSQL refuses to run as root: then it runs as the user that Debian makes for it."""

    folder: Path
    programs: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return self._url_of("orderly")

    def _url_of(self, database: str) -> str:
        return f"postgresql://orderly@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        self.folder.mkdir()
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "orderly", "--no-locale", "-E", "UTF8", "--no-sync")
        self.start()
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as admin:
            admin.execute("CREATE DATABASE orderly")

    def start(self) -> None:
        """Start it and wait until it answers; what a kill left of it may take a moment to go."""
        wait_until("PostgreSQL answers", self._started, 60, every=0.3)

    def kill(self) -> None:
        """kill -9 of the whole of it."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def _started(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            with (self.folder.parent / "postgres.log").open("ab") as log:
                self.process = subprocess.Popen(
                    [
                        *(str(self.programs / "postgres"), "-D", self._data, "-p", str(self.port)),
                        *("-k", str(self.folder), "-h", "127.0.0.1", "-c", "max_connections=200"),
                    ],
                    cwd=self.folder,
                    user=self._user,
                    group=self._user,
                    extra_groups=None if self._user is None else [],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        psycopg.connect(self._url_of("postgres"), connect_timeout=2).close()
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    @property
    def _user(self) -> str | None:
        return "postgres" if os.geteuid() == 0 else None


@contextmanager
def private_postgres(folder: Path) -> Iterator[PrivatePostgres]:
    """A running cluster under `folder`, whose parents must let another user through."""
    programs = binaries()
    if programs is None:
        said = "PostgreSQL's server is not installed (Debian package postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have it: {said}", pytrace=False)
        pytest.skip(f"needs it: {said}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = PrivatePostgres(folder / "cluster", programs, port)
    try:
        server.make()
        yield server
    finally:
        server.stop()
        server.kill()

"""What tests need of the machine, and what its absence means: a skip on a laptop, a failure in CI.

`@pytest.mark.needs("sshd", "postgres")` on a test, or `needs.require("sshd")` in a fixture.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

POSTGRES_ADMIN_URL = os.environ.get("ORDERLY_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
"""A database on which the tests may create and drop databases of their own."""


def program(name: str) -> str | None:
    """The path of a program, those of system administration included, or None."""
    return shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    )


def _missing_program(name: str, package: str) -> Callable[[], str | None]:
    return lambda: None if program(name) else f"{name} is not installed (Debian package {package})"


def _missing_postgres() -> str | None:
    address = urlsplit(POSTGRES_ADMIN_URL)
    host, port = address.hostname or "127.0.0.1", address.port or 5432
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return f"no PostgreSQL answers on {host}:{port} ({error}); start one, or set ORDERLY_TEST_POSTGRES"
    return None


def _missing_root() -> str | None:
    return None if os.geteuid() == 0 else "it must run as root"


def _missing_namespaces() -> str | None:
    """Overlay hosts need mount and process namespaces, and an overlay in them: as root, or with subordinate ids."""
    unshare = program("unshare")
    if unshare is None:
        return "unshare is not installed (Debian package util-linux)"
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    trial = subprocess.run(
        [unshare, *as_user, "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    return None if trial.returncode == 0 else f"namespaces cannot be made here: {trial.stderr.strip()}"


_MISSING: dict[str, Callable[[], str | None]] = {
    "chromium": _missing_program("chromium", "chromium"),
    "git": _missing_program("git", "git"),
    "namespaces": _missing_namespaces,
    "node": _missing_program("node", "nodejs"),
    "postgres": _missing_postgres,
    "root": _missing_root,
    "ssh": _missing_program("ssh", "openssh-client"),
    "sshd": _missing_program("sshd", "openssh-server"),
    "systemd": _missing_program("systemd-analyze", "systemd"),
}


def require(*things: str) -> None:
    """Skip the test when one of `things` is not here, with the reason; in CI (CI=true) fail it.

    Raises KeyError for a thing this module does not know.
    """
    for thing in things:
        missing = _MISSING[thing]()
        if missing is None:
            continue
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have {thing}: {missing}", pytrace=False)
        pytest.skip(f"needs {thing}: {missing}")

"""Reading back what happened in a sandbox: what a demonstration shows, and tests count, comes from the target itself.

Every function takes the state folder (Settings.state); the sandbox may belong to another process. For AWS use boto3 on
`status(state).endpoint_url`, or a connector with the settings layer.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

from flows.sandbox.errors import HostUnreachable, SandboxError
from flows.sandbox.namespaces import read_pid_file, run_inside


@dataclass(frozen=True)
class Status:
    """What runs. `hosts` is empty, and `no_hosts` says why, where there can be none."""

    pid: int
    endpoint_url: str
    mail_port: int
    settings: Path
    hosts: Mapping[str, Mapping[str, str]]
    """Host -> tree -> overlay, copy or read-only."""
    no_hosts: str | None
    missing_tools: tuple[str, ...]
    """Programs that the shipped runbooks call and the hosts lack."""


@dataclass(frozen=True)
class Ended:
    """A command that ran on a host."""

    code: int
    output: str
    errors: str


def folder(state: Path) -> Path:
    """Where the sandbox keeps everything."""
    return state / "sandbox"


def status(state: Path) -> Status | None:
    """What runs now, or None when the sandbox is not (yet) ready. A file left by a killed one does not count."""
    try:
        facts: dict[str, Any] = json.loads((folder(state) / "ready.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    try:
        started = Path(f"/proc/{facts['pid']}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return None
    if started != facts["started"]:
        return None
    return Status(
        pid=facts["pid"],
        endpoint_url=facts["endpoint_url"],
        mail_port=facts["mail_port"],
        settings=Path(facts["settings"]),
        hosts=facts["hosts"],
        no_hosts=facts["no_hosts"],
        missing_tools=tuple(facts["missing_tools"]),
    )


def run_on_host(state: Path, host: str, command: Sequence[str], given: str = "", seconds: float = 30.0) -> Ended:
    """Run a program on a host, as root. Raises HostUnreachable; subprocess.TimeoutExpired after `seconds`."""
    process = read_pid_file(folder(state) / "hosts" / host / "pid")
    if process is None or not process.alive:
        raise HostUnreachable(f"The sandbox's host {host} is not running.")
    ended: subprocess.CompletedProcess[bytes] = run_inside(process, command, given.encode(), seconds)
    return Ended(ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace"))


def read_host_file(state: Path, host: str, path: str) -> str:
    """The text of a file as the host sees it. Raises HostUnreachable, and SandboxError when it cannot be read."""
    ended = run_on_host(state, host, ["cat", "--", path])
    if ended.code != 0:
        raise SandboxError(f"On {host}: {ended.errors.strip()}")
    return ended.output


def mails(state: Path) -> list[EmailMessage]:
    """Every mail kept, oldest first. X-Envelope-From and X-Envelope-To say who it really went to."""
    parser = BytesParser(policy=default)
    kept = []
    for path in sorted((folder(state) / "mail").glob("*.eml")):
        with path.open("rb") as stream:
            message = parser.parse(stream)
        assert isinstance(message, EmailMessage)
        kept.append(message)
    return kept

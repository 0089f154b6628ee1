"""A content folder of the test's own, hosts to act on, and a way to run."""

import getpass
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import needs
from connectors.registry import ConnectorContext
from connectors.runbook import RunbookConnector, connector
from flows.sandbox.hosts import Host, HostPlan, Hosts, inventory
from flows.sandbox.namespaces import run_inside
from request_models.actions import ActionCall, ActionFailed, ActionResult
from request_models.json_values import JsonValue
from waiting import wait_until

PYTHON = "/usr/bin/python3"


@dataclass
class Estate:
    """A connector over a content folder of its own."""

    folder: Path
    inventory: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def runs(self) -> Path:
        return self.folder / "state" / "runs"

    def write(self, path: str, text: str) -> Path:
        file = self.folder / "content" / "runbooks" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    def runbook(self, name: str, meta: str, playbook: str) -> None:
        self.write(f"playbooks/{name}.meta.yml", meta)
        self.write(f"playbooks/{name}.yml", playbook)

    def connector(self, **settings: JsonValue) -> RunbookConnector:
        hosts = self.folder / "hosts.yml"
        hosts.write_text(json.dumps(self.inventory))
        context = ConnectorContext(self.folder / "state", (self.folder / "content",), "dev")
        return connector({"inventory": [str(hosts)], **settings}, context)

    def run(
        self, name: str, arguments: Mapping[str, JsonValue], *, hosts: tuple[str, ...], timeout: float = 60, **call: Any
    ) -> ActionResult:
        action = self.connector(**call.pop("settings", {})).find(f"runbook.{name}")
        assert action is not None
        return action.run(
            ActionCall(
                f"runbook.{name}",
                arguments,
                call.pop("token", None) or uuid.uuid4(),
                "request",
                "step",
                hosts=hosts,
                timeout_seconds=timeout,
                log=call.pop("log", self.lines.append),
                **call,
            )
        )

    def fail(self, name: str, arguments: Mapping[str, JsonValue], **call: Any) -> ActionFailed:
        with pytest.raises(ActionFailed) as failed:
            self.run(name, arguments, **call)
        return failed.value


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


@pytest.fixture
def local(estate: Estate) -> Estate:
    """Two hosts that are this machine."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": PYTHON}
    estate.inventory = {"all": {"children": {"here": {"hosts": {"one": dict(here), "two": dict(here)}}}}}
    return estate


@dataclass
class Sshd:
    """An OpenSSH server of our own on the loopback address."""

    port: int
    folder: Path
    server: subprocess.Popen[bytes]

    @property
    def host(self) -> dict[str, Any]:
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_python_interpreter": PYTHON,
        }

    @property
    def settings(self) -> dict[str, JsonValue]:
        return {
            "ssh": {
                "private_key_file": str(self.folder / "user"),
                "known_hosts_file": str(self.folder / "known_hosts"),
                "connect_seconds": 5,
            }
        }


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    needs.require("sshd", "ssh")
    folder = tmp_path_factory.mktemp("sshd")
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
    port = needs_free_port()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "config").write_text(
        dedent(f"""\
            Port {port}
            ListenAddress 127.0.0.1
            HostKey {folder}/host
            AuthorizedKeysFile {folder}/authorized_keys
            PidFile none
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin yes
            MaxStartups 100
            LogLevel ERROR
            Subsystem sftp internal-sftp
            """)
    )
    command = [str(needs.program("sshd")), "-D", "-e", "-f", str(folder / "config")]
    if os.geteuid() == 0:
        # As root it wants /run/sshd: give it a /run of its own, so that nothing outside the test's folder changes.
        script = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"'
        command = ["unshare", "--mount", "/bin/sh", "-c", script, "sh", *command]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until("sshd greets", lambda: greeting(port).startswith(b"SSH-2.0"))
        yield Sshd(port, folder, server)
    finally:
        server.terminate()
        server.wait(10)


def needs_free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def greeting(port: int) -> bytes:
    import socket

    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return connection.recv(20)


@pytest.fixture
def over_ssh(estate: Estate, sshd: Sshd) -> Estate:
    """A host that is this machine, reached by ssh."""
    estate.inventory = {"all": {"children": {"servers": {"hosts": {"near": sshd.host}}}}}
    return estate


@dataclass
class Overlays:
    """Hosts that are namespaces with overlays, by name, and the shipped runbooks to act on them."""

    estate: Estate
    hosts: Mapping[str, Host]

    def run(self, name: str, arguments: Mapping[str, JsonValue], *hosts: str, **call: Any) -> ActionResult:
        return self.estate.run(name, arguments, hosts=hosts, **call)

    def fail(self, name: str, arguments: Mapping[str, JsonValue], *hosts: str, **call: Any) -> ActionFailed:
        return self.estate.fail(name, arguments, hosts=hosts, **call)

    def on(self, host: str, *command: str) -> str:
        """Standard output of a command on a host; it must succeed."""
        ended = run_inside(self.hosts[host].process, command)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.decode()

    def tree(self, host: str) -> str:
        """All that was ever changed on the host: what its overlays hold, without Ansible's folder in root's home."""
        upper = self.hosts[host].folder / "upper"
        found = []
        for file in sorted(upper.rglob("*")):
            if file.relative_to(upper).parts[0] == "root":
                continue
            stat = file.lstat()
            content = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
            found.append(
                f"{file.relative_to(upper)} {stat.st_mode:o} {stat.st_uid}:{stat.st_gid} {stat.st_mtime_ns} {content!r}"
            )
        return "\n".join(found)


@pytest.fixture
def overlays(estate: Estate, tmp_path: Path) -> Iterator[Overlays]:
    needs.require("namespaces", "root")
    plans = (HostPlan("web-1", "linux_servers"), HostPlan("web-2", "linux_servers"))
    hosts = Hosts(tmp_path / "hosts", tmp_path / "hosts", plans)
    hosts.start()
    try:
        estate.inventory = dict(inventory(list(hosts.running.values())))
        yield Overlays(estate, hosts.running)
    finally:
        hosts.stop()


@pytest.fixture
def processes() -> Callable[[str], list[int]]:
    """Ids of the processes whose command line or environment holds a text."""

    def holding(text: str) -> list[int]:
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                if any(text.encode() in (folder / part).read_bytes() for part in ("cmdline", "environ")):
                    found.append(int(folder.name))
            except OSError:
                continue
        return [pid for pid in found if pid != os.getpid()]

    return holding

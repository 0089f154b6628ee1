"""Starts the whole estate, says when it is ready, and ends all of it."""

import fcntl
import io
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from ruamel.yaml import YAML

from flows.sandbox.aws_endpoint import AwsEndpoint
from flows.sandbox.errors import SandboxRunning
from flows.sandbox.files import write_json, write_whole
from flows.sandbox.hosts import Hosts, HostsUnavailable, inventory
from flows.sandbox.inspection import folder
from flows.sandbox.mail_sink import HOST, MailSink
from flows.sandbox.namespaces import process_at

REGION = "us-east-1"
ACCOUNT = "123456789012"
"""moto's account for access keys that belong to none."""

ACCESS_KEY = "sandbox"
"""Access key and secret of the sandbox: they open nothing else."""

_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Estate:
    """The running estate over one state folder. Use `with`: leaving it ends everything."""

    def __init__(self, state: Path) -> None:
        """`state` is Settings.state. Raises SandboxRunning, JournalDamaged."""
        self._state = state
        self._folder = folder(state)
        self._ready = self._folder / "ready.json"
        self.settings = self._folder / "settings.yaml"
        self.no_hosts: str | None = None
        self._ending = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as ending:
            self._start(ending)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def mend(self) -> None:
        """Called now and then: starts again what died."""
        self.hosts.mend()

    def _start(self, ending: ExitStack) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ending.callback(os.close, _alone(self._folder))
        self._ready.unlink(missing_ok=True)
        ports = self._folder / "ports.json"
        self.aws = AwsEndpoint(self._folder / "aws", ports)
        ending.callback(self.aws.stop)
        self.mail = MailSink(self._folder / "mail", ports)
        ending.callback(self.mail.stop)
        self.hosts = Hosts(self._folder / "hosts", self._state)
        ending.callback(self.hosts.stop)
        try:
            self.hosts.start()
        except HostsUnavailable as error:
            self.no_hosts = str(error)
            _log.warning("%s Models that need hosts cannot run.", error)
        self._publish()
        ending.callback(self._ready.unlink, missing_ok=True)

    def _publish(self) -> None:
        """Settings first, then the word that all is ready: whoever waits for it finds them."""
        hosts_file = self._folder / "inventory" / "hosts.yml"
        write_whole(hosts_file, _yaml(inventory(list(self.hosts.running.values()))), mode=0o644)
        write_whole(self.settings, _yaml(self._layer(hosts_file)))
        me = process_at(os.getpid())
        write_json(
            self._ready,
            {
                "pid": me.pid,
                "started": me.started,
                "endpoint_url": self.aws.url,
                "mail_port": self.mail.port,
                "settings": str(self.settings.resolve()),
                "hosts": {name: host.how for name, host in self.hosts.running.items()},
                "no_hosts": self.no_hosts,
                "missing_tools": self.hosts.missing_tools(),
            },
        )

    def _layer(self, hosts_file: Path) -> Mapping[str, object]:
        """A settings layer (flows/settings.py) that points every connector at the sandbox."""
        return {
            "environment": "dev",
            "connectors": {
                "aws": {
                    "endpoint_url": self.aws.url,
                    "region": REGION,
                    "account_id": ACCOUNT,
                    "access_key_id": ACCESS_KEY,
                    "secret_access_key": ACCESS_KEY,
                    "accounts": {"sandbox": {"account_id": ACCOUNT}},
                },
                "mail": {"host": HOST, "port": self.mail.port, "from": "orderly@sandbox.invalid"},
                "runbook": {"inventory": [str(hosts_file.resolve())]},
            },
        }


def run(state: Path, when_ready: Callable[[Estate], None]) -> None:
    """Run the estate until SIGTERM, SIGINT or SIGHUP."""
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: asked_to_stop.set())
    with Estate(state) as estate:
        when_ready(estate)
        while not asked_to_stop.wait(_LOOK_SECONDS):
            estate.mend()


def _alone(place: Path) -> int:
    """Hold the folder, so that two sandboxes never write one journal. The kernel lets go when we end, however we do."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SandboxRunning(f"A sandbox runs over {place} already. Stop it, or choose another state folder.") from None
    return descriptor


def _yaml(document: Mapping[str, object]) -> bytes:
    writer = YAML(typ="safe")
    writer.default_flow_style = False
    text = io.BytesIO()
    writer.dump(document, text)
    return text.getvalue()

"""The engine's end of the private talk with a run: serves arguments and secrets, takes hosts and outputs."""

import json
import os
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from request_models.json_values import JsonValue

SOCKET_NAME = "run.sock"


@dataclass
class Heard:
    """What the run told: the outputs of each host that reached its final task, and why no play was started."""

    outputs: dict[str, JsonValue] = field(default_factory=dict)
    refusal: str | None = None


class Judge(Protocol):
    """Hears where a run goes, before it goes there."""

    def may_play(self, hosts: list[str], known: list[str] | None, added: Mapping[str, Any]) -> str | None:
        """Why the play must not start on these hosts, or None.

        `known` are the names of the inventory, given with the first play; `added` are the variables by which hosts are
        reached that the run added to it since.
        """

    def note_host(self, name: str) -> None:
        """A task goes to another host than the play's."""

    def note_become(self) -> None:
        """A task runs as another user on its host."""


class Exchange:
    """Listens in a run's private folder while it is open; only processes of our own user are answered."""

    def __init__(
        self,
        folder: Path,
        plain: Mapping[str, JsonValue],
        secret: Mapping[str, JsonValue],
        masks: list[str],
        judge: Judge,
    ) -> None:
        self._path = folder / SOCKET_NAME
        self._plain = plain
        self._secret = secret
        self._masks = masks
        self._judge = judge
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="orderly-run-exchange", daemon=True)
        self.heard = Heard()

    @property
    def path(self) -> Path:
        """Where the run finds the socket."""
        return self._path

    def __enter__(self) -> Self:
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            # A socket's address holds 107 bytes and a state folder may lie deeper: go by the open folder instead.
            self._listener.bind(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
        finally:
            os.close(folder)
        self._listener.listen(64)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread out of accept(); close() alone does not
        self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    self._talk(connection)
                except (OSError, ValueError):
                    continue  # a client that was killed, or is none of ours; the run itself shows what it lacks

    def _talk(self, connection: socket.socket) -> None:
        if _user_of(connection) not in {0, os.getuid()}:
            return
        with connection.makefile("rb") as stream:
            question = json.loads(stream.readline())
        connection.sendall(json.dumps(self._answer(question)).encode() + b"\n")

    def _answer(self, question: dict[str, Any]) -> JsonValue:
        match question:
            case {"want": "arguments"}:
                return {"plain": dict(self._plain), "secret": [*sorted(self._secret)]}
            case {"want": "secret", "name": str(name)} if name in self._secret:
                return {"value": self._secret[name]}
            case {"want": "masks"}:
                return list(self._masks)
            case {"want": "to_play", "hosts": list(hosts), "known": known, "added": dict(added)}:
                self.heard.refusal = self._judge.may_play(hosts, known, added)
                return {"go": self.heard.refusal is None}
            case {"want": "to_reach", "host": str(host)}:
                self._judge.note_host(host)
                return {}
            case {"want": "to_become"}:
                self._judge.note_become()
                return {}
            case {"want": "to_report", "host": str(host), "outputs": outputs}:
                self.heard.outputs[host] = outputs
                return {}
            case _:
                return {}


def _user_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])

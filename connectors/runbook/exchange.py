"""The engine's end of the private talk with a run: serves arguments and secrets, takes hosts and outputs."""

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from request_models.json_values import JsonValue

SOCKET_NAME = "run.sock"


@dataclass
class Heard:
    """What the run told: the hosts each play starts on, and the outputs of each host that reached its final task."""

    hosts: list[str] = field(default_factory=list)
    outputs: dict[str, JsonValue] = field(default_factory=dict)
    refusal: str | None = None


class Exchange:
    """Listens in a run's private folder while it is open; only processes of our own user are answered.

    `may_play(hosts, known)` says why the play must not start on these hosts, or None; `known` are the names of the
    inventory, given with the first play.
    """

    def __init__(
        self,
        folder: Path,
        plain: Mapping[str, JsonValue],
        secret: Mapping[str, JsonValue],
        masks: list[str],
        may_play: Callable[[list[str], list[str] | None], str | None],
    ) -> None:
        self._path = folder / SOCKET_NAME
        self._plain = plain
        self._secret = secret
        self._masks = masks
        self._may_play = may_play
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
            case {"want": "to_play", "hosts": list(hosts), "known": known}:
                self.heard.hosts = list(dict.fromkeys([*self.heard.hosts, *hosts]))
                self.heard.refusal = self._may_play(hosts, known)
                return {"go": self.heard.refusal is None}
            case {"want": "to_report", "host": str(host), "outputs": outputs}:
                self.heard.outputs[host] = outputs
                return {}
            case _:
                return {}


def _user_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])

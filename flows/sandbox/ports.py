"""Ports that stay the same from one start to the next, as long as nobody else took them."""

import json
import socket
from pathlib import Path

from flows.sandbox.files import write_json

LOOPBACK = "127.0.0.1"


def listen(remembered_in: Path, name: str) -> socket.socket:
    """A listening socket on loopback: on the port `name` had last time if it is free, else on a new one.

    The port is bound, not merely found free, so nobody can take it in between. The file is updated.
    """
    ports = _remembered(remembered_in)
    for port in (ports.get(name, 0), 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Connections of the sandbox that ran before may still linger on the port (TIME_WAIT).
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(128)
        except OSError:
            listener.close()
            if port == 0:
                raise
            continue
        write_json(remembered_in, {**ports, name: port_of(listener)})
        return listener
    raise AssertionError("the loop returns or raises")


def port_of(listener: socket.socket) -> int:
    """The port a socket listens on."""
    return int(listener.getsockname()[1])


def _remembered(path: Path) -> dict[str, int]:
    try:
        ports = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # the first start; or a file somebody broke: new ports will do
        return {}
    return {str(name): int(port) for name, port in ports.items() if isinstance(port, int) and 0 < port < 65536}

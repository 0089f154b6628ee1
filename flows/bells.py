"""Waking another process of this installation at once, instead of its finding out when it looks next.

A bell is a datagram socket in the state folder. Ringing says nothing but "look now", may come too often, and may be
lost: whoever listens looks by itself every now and then, as on another machine, where no bell is heard.
"""

import logging
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KEEPER = "keeper"
WORKER = "worker"

_logger = logging.getLogger(__name__)

_LONGEST_PATH = 100  # bytes; sun_path holds 108


class Bell:
    """A bell to listen to. Closing takes it away."""

    def __init__(self, state: Path, name: str) -> None:
        """Raises OSError where there can be no bell: the folder's path is too long, or cannot be written to."""
        folder = state / "bells"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{name}-{os.getpid()}"
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            with _reachable(folder) as reachable:
                self._socket.bind(f"{reachable}/{self._path.name}")
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor that becomes readable when it is rung."""
        return self._socket.fileno()

    def wait(self, seconds: float) -> bool:
        """Wait until it is rung, at most so long; whether it was. However often, that counts once."""
        ready, _, _ = select.select([self._socket], [], [], seconds)
        if ready:
            self.quieten()
        return bool(ready)

    def quieten(self) -> None:
        """Forget that it was rung."""
        with suppress(OSError):
            while True:
                self._socket.recv(16)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def bell_or_none(state: Path, name: str) -> Iterator[Bell | None]:
    """A bell to listen to; None, said in the log, where there can be none."""
    try:
        bell = Bell(state, name)
    except OSError as error:
        _logger.warning("No bell can be hung up in %s (%s): work is found by looking now and then.", state, error)
        yield None
        return
    try:
        yield bell
    finally:
        bell.close()


def ring(state: Path, name: str) -> None:
    """Ring all bells of that name. Never fails: it is a hint."""
    folder = state / "bells"
    with suppress(OSError):
        bells = sorted(folder.glob(f"{name}-*"))
        if not bells:
            return
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ringer,
            _reachable(folder) as near,
        ):
            for bell in bells:
                try:
                    ringer.sendto(b"!", f"{near}/{bell.name}")
                except ConnectionRefusedError:
                    bell.unlink(missing_ok=True)  # its process was killed
                except OSError:
                    continue  # rung already, more often than it can note


@contextmanager
def _reachable(folder: Path) -> Iterator[str]:
    """A name of the folder that is short enough for a socket's address, however deep the folder lies."""
    if len(os.fsencode(folder)) < _LONGEST_PATH - 40:
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)

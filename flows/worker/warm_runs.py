"""The worker's side of the warm parent: starts it, renews it, and has it fork the processes of flow runs."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import anyio

from flows.worker.adopted import Adopted
from flows.worker.confinement import Limits
from flows.worker.warm_parent import GO, LONGEST_MESSAGE, READY

_LOOK_EVERY_SECONDS = 0.5
_READY_WITHIN_SECONDS = 30.0
_FORKED_WITHIN_SECONDS = 10.0
_FIRST_BACK_OFF = 1.0
_LONGEST_BACK_OFF = 60.0

_logger = logging.getLogger(__name__)


class ForkedRun:
    """The process of a flow run that the warm parent forked; a child of ours."""

    def __init__(self, pid: int, adopted: Adopted) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._adopted = adopted
        adopted.known.add(pid)
        try:
            self._descriptor = os.pidfd_open(pid)
        except OSError:
            adopted.known.discard(pid)
            raise

    async def wait(self) -> int:
        """Wait until it has ended; the exit code, negative for a signal."""
        while self.returncode is None:
            await anyio.wait_readable(self._descriptor)
            ended, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not block
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
                self._adopted.known.discard(self.pid)
                os.close(self._descriptor)
        return self.returncode


@dataclass
class _Parent:
    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    loaded: str
    environment: Mapping[str, str]
    settled: anyio.Event = field(default_factory=anyio.Event)
    ready: bool = False

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None


class WarmRuns:
    """Forks flow runs from a warm parent, one generation of it at a time; None where a run has to be spawned instead.

    `fingerprint` tells when the parent has to be replaced, `environment` is what it is started with. Runs that an older
    parent forked go on: they are children of this process.
    """

    def __init__(
        self,
        adopted: Adopted,
        limits: Limits,
        fingerprint: Callable[[], str],
        environment: Callable[[], Mapping[str, str]],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._adopted = adopted
        self._limits = limits
        self._fingerprint = fingerprint
        self._environment = environment
        self._seconds = seconds
        self._parent: _Parent | None = None
        self._retired: list[subprocess.Popen[bytes]] = []
        self._looked_at = float("-inf")
        self._not_before = float("-inf")
        self._back_off = _FIRST_BACK_OFF
        self._useless = ""
        self._settling: asyncio.Task[None] | None = None

    @staticmethod
    def are_possible() -> bool:
        """Whether this machine has what it takes: Linux with pidfd, which some sandboxes lack."""
        try:
            os.close(os.pidfd_open(os.getpid()))
        except (AttributeError, OSError):
            return False
        return True

    def look(self) -> None:
        """Have a parent of the present code, starting one where there is none. Returns at once."""
        now = self._seconds()
        if now - self._looked_at < _LOOK_EVERY_SECONDS:
            return
        self._looked_at = now
        self._retired = [process for process in self._retired if not self._has_ended(process)]
        present, environment = self._fingerprint(), _lasting(self._environment())
        parent = self._parent
        if parent is not None:
            if parent.is_alive and parent.loaded == present and _lasting(parent.environment) == environment:
                return
            if parent.is_alive:
                _logger.info("Code, extensions or settings changed: flow runs get a new warm parent.")
            elif parent.ready:
                _logger.warning("The warm parent ended (exit code %s); making another.", parent.process.returncode)
            self._retire(parent)
        if self._useless != present and now >= self._not_before:
            self._start(present)

    def close(self) -> None:
        """End the parent; the runs go on."""
        if self._parent is not None:
            self._retire(self._parent)
        for process in self._retired:
            process.wait()
            self._has_ended(process)

    async def fork(self, flow_run_id: UUID, environment: Mapping[str, str], folder: Path) -> ForkedRun | None:
        """Fork the process of a flow run; None when it has to be spawned, with the reason in the log."""
        self.look()
        parent = self._parent
        if parent is None:
            return None
        with anyio.move_on_after(_READY_WITHIN_SECONDS):
            await parent.settled.wait()
        if not parent.ready or parent.channel.fileno() < 0:
            return None
        message = {
            "flow_run": str(flow_run_id),
            "environment": dict(environment),
            "folder": str(folder),
            "limits": self._limits.as_json(),
        }
        try:
            return await self._ask(parent, json.dumps(message).encode())
        except (OSError, ValueError) as error:
            _logger.warning("The warm parent did not fork flow run %s (%s); spawning it.", flow_run_id, error)
            self._looked_at = float("-inf")
            return None

    async def _ask(self, parent: _Parent, message: bytes) -> ForkedRun:
        if len(message) > LONGEST_MESSAGE:
            raise ValueError("its environment is too long")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                socket.send_fds(parent.channel, [message], [theirs.fileno()])
            answer = await _receive(ours, _FORKED_WITHIN_SECONDS)
            if not answer.isdigit():
                raise ValueError(answer.decode(errors="replace") or "it gave no answer")
            run = ForkedRun(int(answer), self._adopted)
            # Only now may it begin: had we given up before, it would end without a trace, and a spawned one is alone.
            ours.send(GO)
            return run

    def _start(self, present: str) -> None:
        environment = dict(self._environment())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "flows.worker.warm_parent", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._adopted.known.add(process.pid)
        self._parent = _Parent(process, ours, present, environment)
        self._settling = asyncio.get_running_loop().create_task(self._settle(self._parent))

    async def _settle(self, parent: _Parent) -> None:
        """Wait for a new parent's first word."""
        try:
            word = await _receive(parent.channel, _READY_WITHIN_SECONDS)
        except OSError as error:
            word = str(error).encode()
        parent.ready = word == READY
        parent.settled.set()
        if parent.ready:
            self._back_off = _FIRST_BACK_OFF
            return
        self._not_before = self._seconds() + self._back_off
        self._back_off = min(_LONGEST_BACK_OFF, self._back_off * 2)
        if word:
            # It will be no other until something changes.
            self._useless = parent.loaded
            _logger.warning("Flow runs are spawned: the warm parent is unfit: %s", word.decode(errors="replace"))
        else:
            _logger.warning("Flow runs are spawned for now: the warm parent ended before it was ready.")
        if self._parent is parent:
            self._retire(parent)

    def _retire(self, parent: _Parent) -> None:
        if self._settling is not None and not parent.settled.is_set():
            self._settling.cancel()
            parent.settled.set()
        parent.channel.close()
        self._retired.append(parent.process)
        self._parent = None

    def _has_ended(self, process: "subprocess.Popen[bytes]") -> bool:
        if process.poll() is None:
            return False
        self._adopted.known.discard(process.pid)
        return True


async def _receive(channel: socket.socket, seconds: float) -> bytes:
    """One message; empty when the other end is closed. Raises TimeoutError."""
    channel.setblocking(False)
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(channel, 4096), seconds)


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what Prefect changes while a worker runs, which each run is told anew."""
    return {name: value for name, value in environment.items() if not name.startswith("PREFECT__")}

"""A supervisor of processes on one machine: starts parts in order, restarts those that die, leaves none behind.

Every part runs in a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone, and is bound
to the supervisor's life by PR_SET_PDEATHSIG: kill -9 of the supervisor takes the parts along (invariant 11). The loop
is single-threaded, because that signal is tied to the thread that started the part.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import FrameType

from flows.errors import OrderlyError

MARK = "ORDERLY_UP"
"""Environment variable that marks every process of a supervisor, and what those start in turn."""

_TICK_SECONDS = 0.05
_FIRST_BACK_OFF = 0.5
_DEATHS_BEFORE_READY = 3
"""An essential part that died so often before it was ever ready is not tried again."""
_LONGEST_BACK_OFF = 30.0
_STEADY_AFTER = 60.0
"""Seconds after which a part counts as healthy again, so that its next death is restarted quickly."""

# Runs in the child between fork and exec; a wrapper rather than preexec_fn, which is unsafe next to threads. The check
# of the parent closes the gap in which the supervisor died before the signal was armed.
_LEASH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def leashed(command: Sequence[str]) -> list[str]:
    """The command, started so that the kernel kills it when the thread that starts it ends. Its program is a path."""
    return [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), *command]


class PartFailed(OrderlyError):
    """An essential part does not come up; everything was stopped again."""

    def __init__(self, name: str, code: int, log: Path) -> None:
        said = tail(log)
        super().__init__(f"{name} does not start (exit code {code}). The end of {log}:\n{said}")
        self.name = name


class Phase(StrEnum):
    """Where a part is."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"
    DONE = "done"
    GIVEN_UP = "given-up"


@dataclass(frozen=True)
class Part:
    """One process to keep running, or, with `once`, to run to its end.

    `ready` is asked often and must answer quickly; without it a part is ready when it runs. `after` names parts that
    must be ready (or done) first. `gives_up_at` are exit codes after which trying again is useless; without an
    `essential` part nothing else makes sense. `stop_seconds` is how long it has to end after SIGTERM.
    """

    name: str
    command: Sequence[str]
    log: Path
    folder: Path
    environment: Mapping[str, str]
    ready: Callable[[], bool] | None = None
    after: tuple[str, ...] = ()
    once: bool = False
    essential: bool = False
    gives_up_at: tuple[int, ...] = ()
    stop_seconds: float = 10.0


@dataclass(frozen=True)
class Change:
    """Something a person may want to read: a part reached a phase. `exit_code` is set when it died."""

    name: str
    phase: Phase
    seconds: float
    exit_code: int | None = None
    log: Path | None = None


@dataclass
class _Running:
    part: Part
    phase: Phase = Phase.WAITING
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    back_off: float = _FIRST_BACK_OFF
    again_at: float = 0.0
    was_ready: bool = False
    deaths: int = 0


@dataclass
class Supervisor:
    """Keeps parts running until it is told to stop. `tell` hears of every change."""

    parts: Sequence[Part]
    mark: str
    tell: Callable[[Change], None]
    _running: dict[str, _Running] = field(default_factory=dict, init=False)
    _signals: int = field(default=0, init=False)
    _begun: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._running = {part.name: _Running(part) for part in self.parts}

    def run(self, when_ready: Callable[[], object], until: Callable[[], bool] = lambda: False) -> None:
        """Start everything and keep it running until SIGINT, SIGTERM or `until()`; then stop it in reverse order.

        `when_ready` is called once, when every part has been ready (or done, or given up). Raises PartFailed.
        """
        self._begun = time.monotonic()
        announced = False
        with self._listening():
            try:
                while not self._signals and not until():
                    for running in self._running.values():
                        self._advance(running)
                    if not announced and self._all_settled():
                        announced = True
                        when_ready()
                    time.sleep(_TICK_SECONDS)
            finally:
                self.stop()

    def phases(self) -> Mapping[str, Phase]:
        """Where each part is."""
        return {name: running.phase for name, running in self._running.items()}

    def pids(self) -> Mapping[str, int]:
        """The process of each part that runs."""
        return {name: running.process.pid for name, running in self._running.items() if running.process is not None}

    def stop(self) -> None:
        """End every part, the last started first, and whatever they left behind. A second signal kills at once."""
        for running in reversed(list(self._running.values())):
            if running.process is not None:
                self._end(running.process, running.part.stop_seconds)
                running.process = None
        sweep(self.mark)

    def _advance(self, running: _Running) -> None:
        match running.phase:
            case Phase.WAITING:
                if all(self._running[name].phase in {Phase.READY, Phase.DONE} for name in running.part.after):
                    self._start(running)
            case Phase.BACKING_OFF:
                if time.monotonic() >= running.again_at:
                    self._start(running)
            case Phase.STARTING | Phase.READY:
                self._watch(running)
            case Phase.DONE | Phase.GIVEN_UP:
                return

    def _start(self, running: _Running) -> None:
        part = running.part
        environment = {**part.environment, MARK: self.mark}
        with part.log.open("ab") as log:
            running.process = subprocess.Popen(
                leashed(part.command),
                env=environment,
                cwd=part.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        running.started = time.monotonic()
        self._reach(running, Phase.STARTING)

    def _watch(self, running: _Running) -> None:
        assert running.process is not None
        code = running.process.poll()
        if code is not None:
            self._died(running, code)
        elif running.phase is Phase.STARTING and not running.part.once:
            if running.part.ready is None or running.part.ready():
                self._reach(running, Phase.READY)
        elif running.back_off > _FIRST_BACK_OFF and time.monotonic() - running.started > _STEADY_AFTER:
            running.back_off = _FIRST_BACK_OFF

    def _died(self, running: _Running, code: int) -> None:
        running.process = None
        if running.part.once and code == 0:
            self._reach(running, Phase.DONE)
            return
        running.deaths += 1
        hopeless = code in running.part.gives_up_at or running.deaths >= _DEATHS_BEFORE_READY
        if running.part.essential and hopeless and not running.was_ready:
            raise PartFailed(running.part.name, code, running.part.log)
        if code in running.part.gives_up_at:
            self._reach(running, Phase.GIVEN_UP, code)
        else:
            running.again_at = time.monotonic() + running.back_off
            running.back_off = min(running.back_off * 2, _LONGEST_BACK_OFF)
            self._reach(running, Phase.BACKING_OFF, code)

    def _reach(self, running: _Running, phase: Phase, code: int | None = None) -> None:
        running.phase = phase
        running.was_ready |= phase is Phase.READY
        self.tell(Change(running.part.name, phase, time.monotonic() - self._begun, code, running.part.log))

    def _all_settled(self) -> bool:
        return all(running.phase in {Phase.READY, Phase.DONE, Phase.GIVEN_UP} for running in self._running.values())

    def _end(self, process: subprocess.Popen[bytes], patience: float) -> None:
        _signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline and self._signals < 2:
            time.sleep(_TICK_SECONDS)
        # Also when the leader has ended: a group outlives its leader.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        def note(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def sweep(mark: str, patience: float = 3.0) -> list[int]:
    """End every process that carries `mark` in its environment, this one excepted; the pids found.

    The mark is inherited, so this also finds what a killed part left behind in a session of its own.
    """
    found: set[int] = set()
    deadline = time.monotonic() + patience
    while left := set(_marked(mark)):
        number = signal.SIGKILL if time.monotonic() > deadline else signal.SIGTERM
        for pid in left if number == signal.SIGKILL else left - found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        found |= left
        if time.monotonic() > deadline + patience:
            break
        time.sleep(_TICK_SECONDS)
    return sorted(found)


def _marked(mark: str) -> Iterable[int]:
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        # A process of another user, or one that just ended, cannot be read and is not ours.
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return "(there is no log)"
    return "\n".join(text.splitlines()[-lines:])


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)

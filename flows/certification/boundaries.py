"""The boundaries of a request's way: where its process is killed, or the world disturbed, by names that stay the same.

    commit:7:before    right before the 7th commit of the process      effect:create:before   right before the call
    commit:7:after     right after it                                  effect:create:after    right after it
    effect:create:throttled | reset     the call is turned away, or its connection reset before anything is done
    effect:create:timeout | lost        the call has its effect; its answer does not come, or the connection is reset

The second call of a step is `effect:create#2:...`. Boundaries of the way back begin with `undo/`.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flows.records.watched import Moment

KILLS = ("before", "after")


class Fault(StrEnum):
    """How the world is disturbed."""

    THROTTLED = "throttled"
    RESET = "reset"
    TIMEOUT = "timeout"
    LOST = "lost"

    @property
    def after_effect(self) -> bool:
        """Whether the call has had its effect when its answer is lost."""
        return self in {Fault.TIMEOUT, Fault.LOST}


@dataclass(frozen=True)
class Boundary:
    """One boundary. `what` is what happens there: an action, or the function that writes."""

    name: str
    what: str

    @property
    def kind(self) -> str:
        """`commit before`, `effect timeout`, ..."""
        first, _, rest = self.name.removeprefix("undo/").partition(":")
        return f"{first} {rest.rpartition(':')[2]}"

    @property
    def kills(self) -> bool:
        """Whether the process is killed there; else the world is disturbed."""
        return self.name.rpartition(":")[2] in KILLS


class Watch:
    """What one process passes: each boundary is written down, and at the one named the process ends."""

    def __init__(self, log: Path, at: str | None = None) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._at = at
        self._commits = 0
        self._calls: Counter[str] = Counter()

    def commit(self, when: Moment, what: str) -> None:
        """A commit comes, or was made. That a claim is renewed hangs on the clock, so it is no boundary."""
        if what.startswith("ClaimUpkeep"):
            return
        self._commits += when == "before"
        self._pass(f"commit:{self._commits}:{when}", what)

    def call(self, path: str) -> str:
        """The name of a call that is about to be made for a step."""
        self._calls[path] += 1
        return path if self._calls[path] == 1 else f"{path}#{self._calls[path]}"

    def effect(self, call: str, when: Moment, action: str) -> None:
        """A call is about to be made, or was made."""
        self._pass(f"effect:{call}:{when}", action)

    def fault(self, call: str) -> Fault | None:
        """How the world is to be disturbed at a call."""
        return next((fault for fault in Fault if f"effect:{call}:{fault}" == self._at), None)

    def reached(self) -> None:
        """Write down that the world was disturbed as it was to be."""
        assert self._at is not None
        self._write(self._at, "")

    def _pass(self, name: str, what: str) -> None:
        self._write(name, what)
        if name == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, name: str, what: str) -> None:
        os.write(self._log, json.dumps([name, what]).encode() + b"\n")


def passed(log: Path) -> list[Boundary]:
    """The boundaries that a process passed."""
    return [Boundary(*json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def all_boundaries(seen: Iterable[Boundary]) -> Iterator[Boundary]:
    """The boundaries of a recorded run, with the ways in which the world can be disturbed at each of its calls."""
    for boundary in seen:
        yield boundary
        first, _, when = boundary.name.rpartition(":")
        if boundary.kind == "effect after" and when == "after":
            yield from (Boundary(f"{first}:{fault}", boundary.what) for fault in Fault)

"""What keeps the process of a flow run to itself: a life tied to the worker's, limits, no influence on the others.

On the standard library alone: a spawned run is confined before it imports anything.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What the process of a flow run, and each process below it, may use; None: as much as there is.

    `memory_mib` counts what a process has to itself (RLIMIT_DATA). `oom_score` is added to the score by which the
    kernel picks whom to kill when memory runs out, so that it is a run, and not what many runs depend on.
    """

    memory_mib: int | None = None
    cpu_seconds: int | None = None
    oom_score: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Self:
        return cls(**given)


def confine(limits: Limits) -> None:
    """Put this process under the limits. A limit above what the machine's operator allows is left at that."""
    if limits.memory_mib is not None:
        _lower(resource.RLIMIT_DATA, limits.memory_mib * _MEBIBYTE)
    if limits.cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, limits.cpu_seconds)
    if limits.oom_score:
        # Some containers forbid it; the run is as likely to be picked as any other then.
        with suppress(OSError):
            score = Path("/proc/self/oom_score_adj")
            score.write_text(str(min(1000, int(score.read_text()) + limits.oom_score)), encoding="ascii")


def _lower(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (most, most))


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however it ends; at once when it has already."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every process below whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """Name this process for the operator's `ps`; 15 bytes of it are shown. Forks of it inherit the name."""
    if sys.platform == "linux":
        _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()))


def _prctl(option: int, value: Any) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")

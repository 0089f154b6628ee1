"""What a running `orderly up` tells other commands on this machine: a small file in the state folder.

It says where the parts listen and which settings files they were started with, so that `orderly submit` or `publish`
finds them without being told. Nothing in it is secret. It is gone when `up` ended well; when `up` was killed it is
stale, which the process named in it shows.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.holder import started_at

FILE = "up.json"


@dataclass(frozen=True)
class Running:
    """A running `orderly up`. `settings` are its settings files, `started` its start in clock ticks since boot."""

    pid: int
    started: int
    api: str
    prefect_ui: str
    prefect_api: str
    settings: tuple[str, ...]
    sandbox: bool

    def write(self, state: Path) -> None:
        """Publish this, whole or not at all."""
        new = state / f".{FILE}.{os.getpid()}"
        new.write_text(json.dumps(asdict(self), indent=2) + "\n")
        new.rename(state / FILE)


def find_running(state: Path) -> Running | None:
    """The `orderly up` that runs on this state folder; None when none does."""
    try:
        written = json.loads((state / FILE).read_text())
        running = Running(**{**written, "settings": tuple(written["settings"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return running if started_at(running.pid) == running.started else None


def forget_running(state: Path) -> None:
    """Take the file away."""
    (state / FILE).unlink(missing_ok=True)

"""The folders of runs: a private one for each run of a playbook, which its process holds while it lives.

A run is known by its mark, `CALL.FOLDERS.RUN`: which call it is for (all runs of one generation of an effect have the
same), in which folder of folders its own lies, and its own name. Every process of the run carries the mark in its
environment, on the hosts too. A folder that nobody holds was left by a run whose processes were killed; what is left of
that run is ended by what the folder holds, without any settings.

In a folder: `held` is locked by the engine and `supervisor.pid` by the supervisor while they live; `run.json` says what
it is for; `played` has a line for each host that the run came to, `became` is
there once it was another user on one; `end.json` says how the clean-up is played there;
`left.json`, there after a clean-up, names the hosts where something may be left, with the reason.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from connectors import run_supervisor
from connectors.run_supervisor import (
    BECAME,
    END,
    END_SECONDS,
    HELD,
    KILL_SECONDS,
    LEFT_ON,
    PLAYED,
    SUPERVISOR_PID,
    marked,
)

END_VARIABLE = "ORDERLY_ENDS"
"""Environment variable of a clean-up: a pattern of the marks that it ends."""

_HEX = "[0-9a-f]*"
_ABOUT = "run.json"
_LOOK_EVERY = 0.1


@dataclass(frozen=True)
class About:
    """What a run is for."""

    request: str
    step: str
    token: str

    @property
    def call(self) -> str:
        """The mark's first part."""
        return call_of(UUID(self.token))


def call_of(token: UUID) -> str:
    """The part of the mark that all runs of one generation of an effect share."""
    return token.hex[:12]


def pattern_of_call(token: UUID) -> str:
    """A basic regular expression for the marks of all runs of one call, on whatever machine they were started."""
    return rf"{call_of(token)}\.{_HEX}\.{_HEX}"


@dataclass(frozen=True)
class RunFolder:
    """One run's folder, made or found."""

    path: Path
    about: About

    @property
    def mark(self) -> str:
        """What every process of the run carries in its environment, as `RUN_VARIABLE`."""
        return f"{self.about.call}.{_of(self.path.parent)}.{self.path.name}"

    @property
    def pattern(self) -> str:
        """A basic regular expression for the run's mark."""
        return rf"{_HEX}\.{_HEX}\.{self.path.name}"

    @property
    def pid_file(self) -> Path:
        """Where the supervisor says which process it is."""
        return self.path / SUPERVISOR_PID

    def supervised(self, command: Sequence[str]) -> list[str]:
        """A command under a supervisor that lives no longer than this process."""
        return [*_PROGRAM, "run", str(os.getpid()), str(self.path), self.mark, *command]

    def tell_how_to_end(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Keep the command that plays the clean-up on the hosts of the `--limit` added to it."""
        with _private(self.path / END) as file:
            json.dump({"command": list(command), "environment": dict(environment)}, file)

    def note_hosts(self, hosts: Mapping[str, Mapping[str, Any]]) -> None:
        """Note hosts before the run comes to them, with the variables to reach those that are in no inventory."""
        with _private(self.path / PLAYED, "a") as file:
            file.write("".join(json.dumps({"host": name, "reach": reach}) + "\n" for name, reach in hosts.items()))

    def note_become(self) -> None:
        """Note that the run is another user on some host, before it is."""
        (self.path / BECAME).touch(mode=0o600)

    def end(self, hosts: Sequence[str] = (), run_id: str | None = None) -> Mapping[str, str]:
        """End what is left of the run, here and on the hosts: those named, or all that it came to.

        Gives the hosts where something may be left, with the reason; none when it is over everywhere.
        """
        seconds = KILL_SECONDS * 3 + END_SECONDS
        command = [*_PROGRAM, "end", str(self.path), run_id or self.path.name, *hosts]
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=seconds, start_new_session=True)
        except subprocess.TimeoutExpired:
            return {"": f"the clean-up did not end within {seconds:g} seconds"}
        left = self.left_on
        return {"": "the clean-up was killed"} if left is None else left

    @property
    def left_on(self) -> Mapping[str, str] | None:
        """The hosts where something may be left, with the reason; None before a clean-up."""
        try:
            return cast(dict[str, str], json.loads((self.path / LEFT_ON).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


@contextmanager
def new_folder(runs: Path, about: About) -> Iterator[RunFolder]:
    """A new folder, held until the end and then removed, unless something of the run may be left on a host."""
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = runs / secrets.token_hex(6)
    unnamed = path.with_name(f".{path.name}")  # until it is held, so that nobody takes it for one that was left
    unnamed.mkdir(mode=0o700)
    with _private(unnamed / _ABOUT) as file:
        json.dump(vars(about), file)
    with (unnamed / HELD).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        unnamed.rename(path)
        folder = RunFolder(path, about)
        try:
            yield folder
        finally:
            if not folder.left_on:
                shutil.rmtree(path, ignore_errors=True)


def folders(runs: Path) -> list[RunFolder]:
    """The folders of runs, those under way too."""
    paths = sorted(runs.glob("[!.]*")) if runs.is_dir() else []
    return [RunFolder(path, _about(path)) for path in paths if (path / HELD).is_file()]


def end_left_run(folder: RunFolder) -> Mapping[str, str] | None:
    """End what is left of a run whose engine and supervisor are gone, and remove its folder when nothing is left.

    Gives what `RunFolder.end` gives; None, and does nothing, when they are not gone, or somebody else sees to it.
    """
    with _taken(folder.path) as taken:
        if not taken:
            return None
        left = folder.end()
        if not left:
            shutil.rmtree(folder.path, ignore_errors=True)
        return left


def end_left_runs_of(runs: Path, token: UUID) -> Mapping[str, str]:
    """End what earlier runs of a call left, as far as their folders are here; gives what is left, as `RunFolder.end`.

    A supervisor that outlived its engine is waited for: it is ending its run.
    """
    deadline = time.monotonic() + KILL_SECONDS + END_SECONDS
    while True:
        earlier = [folder for folder in folders(runs) if folder.about.token == str(token)]
        answers = [end_left_run(folder) for folder in earlier]
        left = {host: why for answer in answers for host, why in (answer or {}).items()}
        if left or None not in answers:
            return left
        if time.monotonic() > deadline:
            return {"": "another process still ends it"}
        time.sleep(_LOOK_EVERY)


def processes_of_runs(runs: Path) -> list[int]:
    """Every process of this machine that belongs to a run of these folders, whose environment can be read.

    On hosts that are this machine (over ssh to the loopback address, in namespaces) those there too.
    """
    return sorted({*marked(f".{_of(runs)}."), *marked(f"{runs}{os.sep}")})


_PROGRAM = (sys.executable, "-I", "-S", run_supervisor.__file__)


@contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Lock what a living supervisor and a living engine hold; false when one of them lives."""
    with ExitStack() as files:
        try:
            for name in (SUPERVISOR_PID, HELD):
                if (path / name).exists():
                    file = files.enter_context((path / name).open("rb"))
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = (path / HELD).exists()  # whoever held it may have removed it
        except OSError:
            files.close()
            taken = False
        yield taken


def _about(path: Path) -> About:
    with suppress(OSError, ValueError, TypeError):
        return About(**json.loads((path / _ABOUT).read_text(encoding="utf-8")))
    return About("", "", str(UUID(int=0)))


def _of(runs: Path) -> str:
    """What stands for the folder of folders in a mark."""
    return hashlib.sha256(os.fsencode(runs)).hexdigest()[:8]


@contextmanager
def _private(path: Path, mode: str = "w") -> Iterator[Any]:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), mode, encoding="utf-8") as file:  # noqa: PTH123 - the descriptor has its mode from the start
        yield file

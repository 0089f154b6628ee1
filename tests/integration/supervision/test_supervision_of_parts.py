"""The supervisor, with small programs for parts."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flows.supervision import MARK, Change, Part, PartFailed, Phase, Supervisor, sweep
from waiting import wait_until

SLEEP = "import time; time.sleep(600)"


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked after yet runs no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


class Estate:
    """Makes parts, runs a supervisor over them, and hears its changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = str(folder)
        self.changes: list[Change] = []

    def part(
        self,
        name: str,
        program: str,
        *,
        ready: Callable[[], bool] | None = None,
        after: tuple[str, ...] = (),
        once: bool = False,
        essential: bool = False,
        gives_up_at: tuple[int, ...] = (),
        stop_seconds: float = 5.0,
    ) -> Part:
        return Part(
            name=name,
            command=(sys.executable, "-c", textwrap.dedent(program)),
            log=self.folder / f"{name}.log",
            folder=self.folder,
            environment={"PATH": os.environ["PATH"]},
            ready=ready,
            after=after,
            once=once,
            essential=essential,
            gives_up_at=gives_up_at,
            stop_seconds=stop_seconds,
        )

    def run(self, *parts: Part, then: Callable[[], bool] = lambda: True, seconds: float = 30.0) -> None:
        """Run until `then` holds, once everything is ready."""
        supervisor = Supervisor(parts, self.mark, self.changes.append)
        announced = threading.Event()
        late = threading.Event()
        timer = threading.Timer(seconds, late.set)
        timer.start()
        try:
            supervisor.run(announced.set, until=lambda: late.is_set() or (announced.is_set() and then()))
        finally:
            timer.cancel()
            timer.join()
        assert not late.is_set(), f"not after {seconds} s; heard {self.changes}"

    def phases(self, name: str) -> list[Phase]:
        return [change.phase for change in self.changes if change.name == name]


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


def test_parts_start_when_those_before_them_are_ready(estate: Estate) -> None:
    ready = estate.folder / "ready"
    estate.run(
        estate.part("setting-up", f"open({str(ready)!r}, 'w')", once=True),
        estate.part("server", SLEEP, ready=ready.exists),
        estate.part("client", SLEEP, after=("setting-up", "server")),
    )

    heard = [(change.name, change.phase) for change in estate.changes]
    assert heard.index(("client", Phase.STARTING)) > heard.index(("server", Phase.READY))
    assert heard.index(("client", Phase.STARTING)) > heard.index(("setting-up", Phase.DONE))


def test_a_part_that_dies_is_started_again(estate: Estate) -> None:
    died = estate.folder / "died"
    program = f"""
        import pathlib, time
        died = pathlib.Path({str(died)!r})
        if not died.exists():
            died.touch()
            raise SystemExit(7)
        time.sleep(600)
    """
    estate.run(estate.part("keeper", program), then=lambda: estate.phases("keeper").count(Phase.STARTING) == 2)

    assert next(change.exit_code for change in estate.changes if change.phase is Phase.BACKING_OFF) == 7


def test_an_essential_part_that_never_comes_up_ends_everything_with_its_own_words(estate: Estate) -> None:
    doomed = estate.part("database", "raise SystemExit('no disk left')", essential=True, once=True, gives_up_at=(1,))
    other = estate.part("other", SLEEP)

    with pytest.raises(PartFailed, match="no disk left"):
        estate.run(other, doomed, then=lambda: False)

    assert estate_processes(estate) == []


def test_a_part_that_gives_up_does_not_keep_the_rest_from_being_up(estate: Estate) -> None:
    estate.run(estate.part("catalogue", "raise SystemExit(1)", once=True, gives_up_at=(1,)), estate.part("api", SLEEP))

    assert estate.phases("catalogue")[-1] is Phase.GIVEN_UP


def test_stopping_ends_parts_in_reverse_order_and_waits_for_each(estate: Estate) -> None:
    ends = estate.folder / "ends"
    program = """
        import pathlib, signal, sys, time
        def end(*_):
            time.sleep(0.2)
            with open({ends!r}, "a") as file: file.write("{name} ")
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        pathlib.Path({ready!r}).touch()
        time.sleep(600)
    """
    parts = []
    for name in ("prefect", "api", "worker"):
        ready = estate.folder / f"{name}.ready"
        parts.append(estate.part(name, program.format(ends=str(ends), name=name, ready=str(ready)), ready=ready.exists))
    estate.run(*parts)

    assert ends.read_text() == "worker api prefect "


def test_a_part_that_does_not_want_to_end_is_killed_with_its_whole_group(estate: Estate) -> None:
    ready = estate.folder / "ready"
    program = f"""
        import pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pathlib.Path({str(ready)!r}).touch()
        time.sleep(600)
    """
    estate.run(estate.part("stubborn", program, ready=ready.exists, stop_seconds=0.3))

    assert estate_processes(estate) == []


def test_what_a_part_left_in_a_session_of_its_own_is_found_by_its_mark(estate: Estate) -> None:
    pid_file = estate.folder / "pid"
    program = f"""
        import pathlib, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))
        time.sleep(600)
    """
    estate.run(estate.part("daemonising", program, ready=pid_file.exists))

    assert not alive(int(pid_file.read_text()))


def test_sigint_in_the_terminal_reaches_the_supervisor_only(estate: Estate) -> None:
    ready = estate.folder / "ready"
    program = f"""
        import os, pathlib, time
        pathlib.Path({str(ready)!r}).write_text(str(os.getpgrp()))
        time.sleep(600)
    """
    estate.run(estate.part("part", program, ready=ready.exists))

    assert int(ready.read_text()) != os.getpgrp()


def test_parts_die_with_a_supervisor_that_is_killed(estate: Estate) -> None:
    pid_file = estate.folder / "pid"
    program = f"""
        import os, pathlib
        from flows.supervision import Part, Supervisor
        folder = pathlib.Path({str(estate.folder)!r})
        child = "import os, pathlib as p, time; p.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(600)"
        part = Part("part", ({sys.executable!r}, "-c", child), folder / "log", folder, dict(os.environ))
        Supervisor([part], {estate.mark!r}, lambda change: None).run(lambda: None)
    """
    supervisor = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    pid = int(wait_until("the part runs", lambda: pid_file.exists() and pid_file.read_text()) or 0)

    supervisor.kill()
    supervisor.wait()

    wait_until("the part is gone", lambda: not alive(pid))


def test_sweeping_ends_what_is_marked_and_nothing_else(estate: Estate) -> None:
    def start(environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", SLEEP], env=dict(environment))

    ours = start({MARK: estate.mark})
    others = start({MARK: f"{estate.mark}-other"})
    try:
        wait_until("both run", lambda: len(estate_processes(estate)) == 1)
        # The test is the parent: until it asks, an ended child is a zombie, which has no environment any more.
        assert sweep(estate.mark) == [ours.pid]
        assert ours.wait(5) == -signal.SIGTERM
        assert others.poll() is None
    finally:
        others.kill()
        others.wait()


def estate_processes(estate: Estate) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if f"{MARK}={estate.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found

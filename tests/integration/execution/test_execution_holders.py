"""Holders of claims: told apart, seen dead, and ended before another takes over."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flows.execution import Proceed, Wait
from flows.holder import end, is_gone, is_here, this_process
from flows.records.rows import Holder
from staging import House, plan_of, run_of, step
from waiting import wait_until


def holder_of(process: "subprocess.Popen[bytes]") -> Holder:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return replace(this_process(), pid=process.pid, pid_started=int(fields[19]))


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)


def test_this_process_is_here_and_not_gone() -> None:
    assert is_here(this_process())
    assert not is_gone(this_process())
    assert not end(this_process()), "a process must never end itself to take over"


def test_a_later_process_with_the_same_pid_and_an_earlier_boot_are_gone() -> None:
    assert is_gone(replace(this_process(), pid_started=1))
    assert is_gone(replace(this_process(), boot_id="before"))
    assert not is_gone(Holder("another-machine", "boot", 1, 1)), "of another machine nothing is certain"


def test_a_frozen_holder_is_killed_when_its_claim_has_expired_and_not_before(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one")))
    with sleeper() as process:
        holder = holder_of(process)
        os.kill(process.pid, signal.SIGSTOP)
        run = run_of(request)
        house.records.run(lambda tx: tx.claims.take(request.id, "earlier", holder, timedelta(seconds=60)))
        assert isinstance(house.execution.enter(request.id, run), Wait)
        assert not is_gone(holder)
        claim = house.records.read(lambda tx: tx.claims.get(request.id))
        assert claim is not None
        house.records.run(lambda tx: tx.claims.renew(claim, timedelta(seconds=-1)))
        entry = house.execution.enter(request.id, run)
        assert isinstance(entry, Proceed)
        with entry.session:
            assert process.wait(5) == -signal.SIGKILL


def test_a_holder_that_died_is_replaced_without_waiting_for_its_claim(house: House) -> None:
    house.stage.action("one")
    request = house.order(plan_of(step("one")))
    with sleeper() as process:
        holder = holder_of(process)
        house.records.run(lambda tx: tx.claims.take(request.id, "earlier", holder, timedelta(hours=1)))
        process.kill()
    wait_until("the holder is seen to be gone", lambda: is_gone(holder), deadline=5)
    assert house.run(request) == ["one:done"]

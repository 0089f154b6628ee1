import subprocess
import sys
import threading

import pytest

import leaks
from waiting import StillWaitingError, wait_until


def test_a_process_left_behind_is_named_and_ended() -> None:
    before = leaks.surroundings()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        left = leaks.left_behind(before, grace=0.3)
        assert [line for line in left if line.startswith(f"process {child.pid}: ")] == left != []
        assert child.wait(timeout=5) == -9


def test_an_orphan_in_a_session_of_its_own_is_seen() -> None:
    before = leaks.surroundings()
    start_and_leave = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", start_and_leave], check=True)
    left = leaks.left_behind(before, grace=0.3)
    assert len(left) == 1
    assert "time.sleep(60)" in left[0]


def test_a_thread_that_ends_soon_is_no_leak() -> None:
    before = leaks.surroundings()
    go = threading.Event()
    worker = threading.Thread(target=go.wait, name="slow-to-end")
    worker.start()
    threading.Timer(0.2, go.set).start()
    assert leaks.left_behind(before) == []
    worker.join()


def test_waiting_in_vain_says_for_what_and_what_was_seen() -> None:
    def look() -> bool:
        raise LookupError("it is grey")

    with pytest.raises(StillWaitingError) as failure:
        wait_until("the moon is green", look, deadline=0.1)
    assert str(failure.value) == ("not after 0.1 s: the moon is green; the last look gave LookupError('it is grey')")

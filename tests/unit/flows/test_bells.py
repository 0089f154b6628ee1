"""Bells wake who listens, and bother nobody else."""

import subprocess
import sys
from pathlib import Path

from flows.bells import Bell, bell_or_none, ring


def test_a_bell_that_is_rung_wakes_its_listener_once(tmp_path: Path) -> None:
    with bell_or_none(tmp_path, "keeper") as bell:
        assert bell is not None
        for _ in range(1000):
            ring(tmp_path, "keeper")
        assert bell.wait(5)
        assert not bell.wait(0)
        ring(tmp_path, "worker")
        assert not bell.wait(0)
    assert list((tmp_path / "bells").iterdir()) == []


def test_ringing_where_nobody_listens_does_nothing(tmp_path: Path) -> None:
    ring(tmp_path, "keeper")
    ring(tmp_path / "missing", "keeper")
    assert list(tmp_path.iterdir()) == []


def test_the_bell_of_a_killed_process_is_taken_down(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom flows.bells import Bell\n"
        "bell = Bell(Path(sys.argv[1]), 'keeper')\nos.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list((tmp_path / "bells").iterdir())) == 1
    ring(tmp_path, "keeper")
    assert list((tmp_path / "bells").iterdir()) == []


def test_a_folder_too_deep_for_a_socket_address_has_bells_too(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    bell = Bell(deep, "worker")
    try:
        ring(deep, "worker")
        assert bell.wait(5)
    finally:
        bell.close()


def test_where_no_bell_can_be_hung_up_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "bells").write_text("in the way")
    with bell_or_none(tmp_path, "worker") as bell:
        assert bell is None
    ring(tmp_path, "worker")

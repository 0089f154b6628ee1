"""`orderly demo --once`: what a newcomer sees first."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.slow,
    pytest.mark.needs("namespaces", "git"),
    pytest.mark.timeout(1200),
]


def test_the_demonstration_fulfils_everything_proves_it_and_can_be_repeated(
    run_orderly: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    for _ in range(2):
        done = run_orderly("demo", "--once", cwd=tmp_path)

        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 of 3 requests fulfilled" in done.stdout
        assert "NOT FOUND" not in done.stdout
        for proved in (
            "AWS endpoint: bucket",
            "AWS endpoint: role",
            "host web-1: account",
            "host files-1: git",
            "mail sink",
        ):
            assert proved in done.stdout
        assert "/docs" in done.stdout

    assert [path.name for path in tmp_path.iterdir()] == [".orderly"], "nothing outside the state folder changes"

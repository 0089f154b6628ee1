"""`orderly diff`: two files, or a model against its published version."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.wiring import Application
from request_models.plan import Plan, plan_from_json

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "request_models" / "catalogue" / "project-bucket.yaml"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def orderly(tmp_path: Path) -> Run:
    """Run a command in an empty folder, with the state folder named."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*arguments: object, state: Path = tmp_path / "nothing") -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-P", "-m", "flows.cli", *map(str, arguments)],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "ORDERLY_STATE": str(state),
                "PYTHONPATH": str(ROOT),
            },
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    file = tmp_path / "newer.yaml"
    file.write_text(SHIPPED.read_text(encoding="utf-8").replace("maximum: 3650", "maximum: 365"), encoding="utf-8")
    return file


def test_two_files_are_compared_and_what_may_refuse_is_marked(orderly: Run, newer: Path) -> None:
    done = orderly("diff", SHIPPED, newer)

    assert done.returncode == 0, done.stderr
    assert "  ! `retention_days` must be 365 at most, no longer 3650" in done.stdout
    assert "Requests in flight keep the plan they were accepted with" in done.stdout


def test_as_json_it_says_whether_orders_may_be_refused(orderly: Run, newer: Path) -> None:
    tighter = json.loads(orderly("diff", SHIPPED, newer, "--json").stdout)
    looser = json.loads(orderly("diff", newer, SHIPPED, "--json").stdout)

    assert (tighter["may_refuse"], looser["may_refuse"]) == (True, False)
    assert [change["name"] for change in tighter["changes"]] == ["retention_days"]


def test_a_model_is_compared_with_its_published_version(orderly: Run, api: Any) -> None:
    application: Application = api.application
    state = application.settings.state
    planned = json.loads(orderly("show", "linux-account", "--json").stdout)
    written: Plan = plan_from_json({**planned, "service": "old-servers"})
    application.records.run(lambda tx: (tx.plans.put(written), tx.publications.put(written.model, written.digest)))

    done = orderly("diff", "linux-account", state=state)

    assert done.returncode == 0, done.stderr
    assert "it belongs to the service linux-servers, no longer to old-servers" in done.stdout


def test_a_model_that_is_not_published_is_told(orderly: Run, api: Any) -> None:
    done = orderly("diff", "linux-account", state=api.application.settings.state)

    assert done.returncode == 2
    assert "not published yet" in done.stderr


def test_without_records_nothing_is_made_and_exit_code_3_says_why(orderly: Run, tmp_path: Path) -> None:
    done = orderly("diff", "linux-account")

    assert done.returncode == 3
    assert "no records" in done.stderr
    assert not (tmp_path / "nothing" / "keys").exists()


def test_a_wrong_model_is_refused_with_what_is_wrong(orderly: Run, newer: Path) -> None:
    newer.write_text(
        newer.read_text(encoding="utf-8").replace("inputs.retention_days", "inputs.days"), encoding="utf-8"
    )

    done = orderly("diff", SHIPPED, newer)

    assert done.returncode == 1
    assert f"{newer}:" in done.stderr

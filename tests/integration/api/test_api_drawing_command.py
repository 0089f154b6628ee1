"""`orderly graph`: a model as Mermaid text or an SVG file."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[3]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def orderly(tmp_path: Path) -> Run:
    """Run a command in an empty folder, with a state of its own and no server."""
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ORDERLY_STATE": str(tmp_path / "state"),
        "PYTHONPATH": str(ROOT),
    }

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "flows.cli", *map(str, arguments)]
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


def test_by_default_it_is_mermaid_on_standard_output(orderly: Run) -> None:
    done = orderly("graph", "project-bucket")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("flowchart TD\n")
    assert "aws.s3.create_bucket" in done.stdout


def test_a_picture_is_written_to_the_file_that_is_named(orderly: Run, tmp_path: Path) -> None:
    file = tmp_path / "picture.svg"

    done = orderly("graph", "project-space", "--format", "svg", "--output", file)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Laying out the folder and the repository" in ET.parse(file).getroot().itertext()


def test_as_json_the_text_is_in_the_answer(orderly: Run) -> None:
    answer = json.loads(orderly("graph", "linux-account", "--json").stdout)

    assert (answer["model"], answer["format"]) == ("linux-account", "mermaid")
    assert answer["text"].startswith("flowchart TD\n")


def test_a_wrong_model_is_refused_with_what_is_wrong(orderly: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("model: wrong\ntitle: Wrong\nkind: nonsense\n")

    done = orderly("graph", file)

    assert done.returncode in {1, 2}
    assert f"{file}:3:" in done.stderr


def test_a_name_that_is_not_there_and_a_file_that_cannot_be_written_are_wrong_usage(
    orderly: Run, tmp_path: Path
) -> None:
    unknown = orderly("graph", "project-buckt")
    unwritable = orderly("graph", "project-bucket", "--output", tmp_path / "nowhere" / "picture.svg")

    assert (unknown.returncode, unwritable.returncode) == (2, 2)
    assert "project-bucket" in unknown.stderr
    assert "cannot be written" in unwritable.stderr

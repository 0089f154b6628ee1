"""`orderly schema`, as it is called."""

import json
import subprocess
import sys
from pathlib import Path

from request_models.editor_schema import editor_schema

ROOT = Path(__file__).parents[3]


def schema(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "flows.cli", "schema", *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_the_schema_is_written_to_standard_output() -> None:
    assert json.loads(schema().stdout) == editor_schema()


def test_the_schema_is_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "orderly.schema.json"
    done = schema("--output", file)
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(file.read_text(encoding="utf-8")) == editor_schema()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = schema("--output", tmp_path / "nowhere" / "orderly.schema.json")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr

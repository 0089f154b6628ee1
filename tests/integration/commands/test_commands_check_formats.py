"""`orderly check` for other tools, and with warnings as errors."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODEL = """\
model: note
title: Note
kind: information
service: notes
owners: {accountable: notes-owner}
inputs:
  unread: {type: string, default: ""}
due: {within: PT5M}
steps:
  - id: look
    uses: http.get
    with: {url: "https://example.org/"}
"""

Check = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Call it in a folder with a model that is right but for a warning."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "note.yaml").write_text(MODEL, encoding="utf-8")

    def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "flows.cli", "check", *arguments]
        state = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "ORDERLY_STATE": str(tmp_path / "state")}
        whole = {**state, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=whole)

    return call


def test_a_warning_is_no_error_unless_it_is_to_be(check: Check) -> None:
    lenient, strict = check("models"), check("models", "--strict")
    assert lenient.returncode == 0
    assert "warning: nothing reads `inputs.unread`" in lenient.stdout
    assert "1 of 1 models are right." in lenient.stdout
    assert strict.returncode == 1
    assert "error: nothing reads `inputs.unread`" in strict.stdout
    assert "0 of 1 models are right." in strict.stdout


def test_strictness_has_a_longer_name(check: Check) -> None:
    assert check("models", "--warnings-are-errors").returncode == 1


def test_json_is_the_same_by_both_options(check: Check) -> None:
    answers = [check("models", "--json"), check("models", "--format", "json"), check("models", "--json", "--strict")]
    short, long, strict = (json.loads(answer.stdout) for answer in answers)
    assert short == long
    assert (short["ok"], short["models"], short["diagnostics"][0]["severity"]) == (True, ["note"], "warning")
    assert (strict["ok"], strict["diagnostics"][0]["severity"]) == (False, "error")
    assert [answer.returncode for answer in answers] == [0, 0, 1]


def test_annotations_are_placed_in_the_repository(check: Check, tmp_path: Path) -> None:
    done = check("models", "--format", "github")
    assert done.returncode == 0
    assert done.stdout.startswith("::warning file=models/note.yaml,line=7,col=3,")
    above = check("models", "--format", "github", GITHUB_WORKSPACE=str(tmp_path.parent))
    assert above.stdout.startswith(f"::warning file={tmp_path.name}/models/note.yaml,line=7,")


def test_sarif_is_one_document(check: Check) -> None:
    done = check("models", "--format", "sarif", "--strict")
    (result,) = json.loads(done.stdout)["runs"][0]["results"]
    assert (done.returncode, result["level"], result["ruleId"]) == (1, "error", "unused-input")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "models/note.yaml"


def test_two_formats_at_once_are_refused(check: Check) -> None:
    done = check("models", "--json", "--format", "sarif")
    assert done.returncode == 2
    assert "exclude each other" in done.stdout


@pytest.mark.parametrize("option", [("--json",), ("--format", "json"), ("--format=json",)], ids=" ".join)
def test_who_asks_for_json_gets_errors_as_json(check: Check, option: tuple[str, ...]) -> None:
    done = check("nowhere.yaml", *option)
    assert done.returncode == 2
    assert "nowhere.yaml" in json.loads(done.stdout)["error"]["message"]


NOTED = """\
model: noted
title: Noted
kind: information
service: notes
owners: {accountable: notes-owner}
inputs:
  address: {type: string}
due: {within: PT5M}
steps:
  - id: look
    uses: http.get
    with: {url: "{{ inputs.address }}"}
"""


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    path = tmp_path / "noted.yaml"
    path.write_text(NOTED, encoding="utf-8")
    return path


def test_what_is_left_to_run_time_is_said_only_when_asked_for(check: Check, noted: Path) -> None:
    quiet, asked = check(str(noted)), check(str(noted), "--notes", "--strict")
    assert (quiet.returncode, asked.returncode) == (0, 0)
    assert "run time" not in quiet.stdout
    assert "note: `url` must" in asked.stdout
    assert "1 of 1 models are right." in asked.stdout


def test_a_note_is_a_notice_of_github_and_a_note_of_sarif(check: Check, noted: Path) -> None:
    assert "::notice file=" in check(str(noted), "--notes", "--format", "github").stdout
    log = json.loads(check(str(noted), "--notes", "--format", "sarif").stdout)
    assert [result["level"] for result in log["runs"][0]["results"]] == ["note"]
    found = json.loads(check(str(noted), "--notes", "--json").stdout)["diagnostics"]
    assert [(one["severity"], one["code"]) for one in found] == [("note", "checked-at-run-time")]

"""`orderly check` again: what did not change is not compiled again, and what is told is the same."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODEL = """\
model: {name}
title: Note
kind: information
service: notes
owners: {{accountable: notes-owner}}
due: {{within: PT5M}}
steps:
  - id: look
    uses: http.get
    with: {{url: "{url}"}}
"""

Check = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "flows.cli", "check", "models", *arguments]
        state = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "ORDERLY_STATE": str(tmp_path / "state")}
        whole = {**state, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=whole)

    return call


def write(folder: Path, name: str, url: str = "https://example.org/") -> Path:
    (folder / "models").mkdir(exist_ok=True)
    file = folder / "models" / f"{name}.yaml"
    file.write_text(MODEL.format(name=name, url=url), encoding="utf-8")
    return file


def verdicts(folder: Path) -> dict[str, dict[str, object]]:
    written = json.loads((folder / "state" / "cache" / "verdicts.json").read_text())
    return {str(one["model"]): one for one in written["verdicts"].values()}


def forge(folder: Path, model: str) -> None:
    """Have the record say that a model is wrong: whoever tells that again has read the record."""
    file = folder / "state" / "cache" / "verdicts.json"
    written = json.loads(file.read_text())
    for one in written["verdicts"].values():
        if one["model"] == model:
            one["right"] = False
    file.write_text(json.dumps(written))


def test_what_did_not_change_is_not_compiled_again_and_what_did_is(tmp_path: Path, check: Check) -> None:
    write(tmp_path, "one")
    changed = write(tmp_path, "two")
    assert "2 of 2" in check().stdout
    assert verdicts(tmp_path).keys() == {"one", "two"}
    forge(tmp_path, "one")
    forge(tmp_path, "two")
    assert "0 of 2" in check().stdout
    changed.write_text(changed.read_text().replace("title: Note", "title: A note"))
    assert "1 of 2" in check().stdout
    assert "2 of 2" in check("--fresh").stdout


def test_settings_that_models_read_and_other_code_make_all_of_it_new(tmp_path: Path, check: Check) -> None:
    write(tmp_path, "one", url="{{ settings.place }}")
    place = {"ORDERLY_PUBLIC": '{"place": "https://example.org/"}'}
    assert "1 of 1" in check(**place).stdout
    without = check()
    assert without.returncode == 1
    assert "there is no public setting `place`" in without.stdout


def test_what_is_wrong_is_told_again_in_the_same_words(tmp_path: Path, check: Check) -> None:
    write(tmp_path, "one", url="{{ inputs.nowhere }}")
    first, second = check(), check()
    assert first.returncode == second.returncode == 1
    assert "there is no input `nowhere`" in first.stdout
    assert second.stdout == first.stdout


def test_two_files_of_one_name_are_told_though_both_are_known(tmp_path: Path, check: Check) -> None:
    write(tmp_path, "one")
    other = write(tmp_path, "two")
    check()
    other.write_text(MODEL.format(name="one", url="https://example.org/"))
    check()
    again = check()
    assert again.returncode == 1
    assert "duplicate-model" in again.stdout


def test_models_of_one_folder_may_order_each_other_wherever_the_folder_is(tmp_path: Path, check: Check) -> None:
    write(tmp_path, "child")
    parent = write(tmp_path, "parent")
    text = parent.read_text().replace("uses: http.get", "uses: request.submit")
    parent.write_text(text.replace('with: {url: "https://example.org/"}', "with: {model: child}"))
    assert "2 of 2" in check().stdout
    assert "2 of 2" in check().stdout


def test_a_record_that_cannot_be_read_or_written_only_costs_time(tmp_path: Path, check: Check) -> None:
    write(tmp_path, "one")
    (tmp_path / "state" / "cache").mkdir(parents=True)
    (tmp_path / "state" / "cache" / "verdicts.json").write_text("{")
    assert "1 of 1" in check().stdout
    (tmp_path / "blocked").write_text("")
    assert "1 of 1" in check(ORDERLY_STATE=str(tmp_path / "blocked" / "state")).stdout


def test_a_check_before_all_else_makes_a_state_folder_that_is_its_owners_alone(check: Check, tmp_path: Path) -> None:
    write(tmp_path, "note")
    assert check().returncode == 0
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0

"""`orderly history`, `review` and `improve` as they are called: from files, from records, into a git branch."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.histories.making import make
from bench.histories.world import planted
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.review.findings import Edit, Evidence, Finding, Operation, Prediction

MODEL = """\
# Looks at a page.
model: note
title: Note
kind: information
service: notes
owners: {accountable: notes-owner}
due: {within: PT5M}
steps:
  - id: look   # the only one
    uses: http.get
    with: {url: "https://example.org/"}
examples:
  - name: found
    given: {results: {look: {status: 200}}}
    then: {state: fulfilled, calls: {look: {url: "https://example.org/"}}}
"""

Orderly = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "note.yaml").write_text(MODEL)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=A note")
    return folder


@pytest.fixture
def orderly(tmp_path: Path, content: Path) -> Orderly:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            **os.environ,
            **_IDENTITY,
            "ORDERLY_STATE": str(tmp_path / "state"),
            "ORDERLY_CONTENT": str(content),
        }
        command = [str(Path(sys.executable).with_name("orderly")), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    return run


_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, **_IDENTITY}
    )
    return done.stdout


def register(tmp_path: Path, *findings: Finding) -> None:
    records = Records.open(
        f"sqlite:///{tmp_path / 'state' / 'records.db'}", Keyring.open(tmp_path / "state" / "keys" / "keyring.json")
    )
    records.migrate()
    records.run(lambda tx: tx.improvements.put_all([one.to_json() for one in findings]))
    records.close()


def finding(edit: Edit, owner: str | None = None) -> Finding:
    evidence = Evidence("5 of 60 failures hung.", {"hung": 5.0}, "SELECT 1", ("r1",))
    prediction = Prediction("time, less", "seconds", 1.0, 0.5, 2.0)
    return Finding(
        "timeout_missing", "note", None, "look hangs.", edit, evidence, prediction, "None.", "Revert.", 0.001, owner
    )


def test_a_history_in_files_is_reviewed_and_the_same_again(orderly: Orderly, tmp_path: Path) -> None:
    make(planted("retry_futile", {"recovery": 0.0}), 400, 3).write(tmp_path / "history")
    done = orderly("review", "--history", "history", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [one["edit"]["path"] for one in said["findings"]] == ["steps.make.retry.errors"]
    assert said["findings"][0]["tried"]["problems"] == ["the model bench is in no folder that the settings name"]
    assert said["measures"]["bench"]["figures"]["volume"]["value"] == 400
    assert orderly("review", "--history", "history", "--json").stdout == done.stdout
    shown = orderly("review", "--history", "history", "--measures").stdout
    assert "1 findings in 400 requests of 1 models" in shown
    assert "Rows: SELECT steps.* FROM steps" in shown


def test_records_that_hold_nothing_are_reviewed(orderly: Orderly, tmp_path: Path) -> None:
    assert orderly("review").returncode == 3
    register(tmp_path)
    done = orderly("review")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "The history holds no requests yet: there is nothing to review.",
    )
    exported = orderly("history", "export", "out", "--json")
    assert json.loads(exported.stdout)["rows"]["requests"] == 0
    assert orderly("improve", "list").stdout.startswith("The register is empty.")


def test_an_accepted_edit_is_a_branch_with_its_evidence(orderly: Orderly, content: Path, tmp_path: Path) -> None:
    one = finding(Edit(Operation.SET, "steps.look.timeout", "PT30S"))
    register(tmp_path, one)
    (content / "models" / "draft.txt").write_text("work in progress")
    done = orderly("improve", "accept", one.id, "--why", "it hung on Monday", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    branch = json.loads(done.stdout)["branch"]
    assert git(content, "show", f"{branch}:models/note.yaml") == MODEL.replace(
        'with: {url: "https://example.org/"}\n', 'with: {url: "https://example.org/"}\n    timeout: PT30S\n', 1
    )
    message = git(content, "log", "-1", "--format=%B", branch)
    assert "5 of 60 failures hung." in message
    assert "Reason: it hung on Monday" in message
    assert git(content, "status", "--porcelain") == "?? models/draft.txt\n"
    assert git(content, "diff", "--name-only", "main", branch) == "models/note.yaml\n"
    listed = json.loads(orderly("improve", "list", "--json").stdout)["improvements"]
    assert [(each["state"], each["reason"]) for each in listed] == [("accepted", "it hung on Monday")]
    again = orderly("improve", "accept", one.id, "--why", "again")
    assert (again.returncode, "There is a branch" in again.stderr) == (1, True)


def test_a_control_is_not_removed_without_its_owner(orderly: Orderly, tmp_path: Path) -> None:
    one = finding(Edit(Operation.SET, "due.within", "PT10M"), owner="notes-owner")
    register(tmp_path, one)
    refused = orderly("improve", "accept", one.id, "--why", "w")
    assert (refused.returncode, "--agreed-by notes-owner" in refused.stderr) == (1, True)
    assert orderly("improve", "accept", one.id, "--why", "w", "--agreed-by", "notes-owner").returncode == 0


def test_an_edit_that_breaks_an_example_or_a_dirty_file_is_not_taken(
    orderly: Orderly, content: Path, tmp_path: Path
) -> None:
    broken = finding(Edit(Operation.SET, "steps.look.with.url", "https://example.org/other"))
    fine = finding(Edit(Operation.SET, "steps.look.timeout", "PT20S"))
    register(tmp_path, broken, fine)
    refused = orderly("improve", "accept", broken.id, "--why", "w")
    assert "the example 'found' does not hold any more" in refused.stderr
    (content / "models" / "note.yaml").write_text(MODEL + "# unsaved thought\n")
    dirty = orderly("improve", "accept", fine.id, "--why", "w")
    assert "not committed" in dirty.stderr
    assert git(content, "branch", "--list", "improve/*") == ""


def test_a_rejected_finding_keeps_its_reason(orderly: Orderly, tmp_path: Path) -> None:
    one = finding(Edit(Operation.SET, "steps.look.timeout", "PT30S"))
    register(tmp_path, one)
    assert orderly("improve", "reject", one.id, "--why", "we move away from it").returncode == 0
    assert "we move away from it" in orderly("improve", "list").stdout
    assert "5 of 60 failures hung." in orderly("improve", "show", one.id).stdout
    unknown = orderly("improve", "reject", "nope", "--why", "w")
    assert (unknown.returncode, one.id in unknown.stderr) == (2, True)

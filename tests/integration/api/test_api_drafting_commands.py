"""`orderly init` and `orderly new`: what they write is right, or says what to fill in; nothing is overwritten."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from request_models.drafting import KINDS

ROOT = Path(__file__).parents[3]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def orderly(tmp_path: Path, work: Path) -> Run:
    """Run a command in the folder `work`, with a state of its own and no server."""

    def run(*arguments: object, cwd: Path = work) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-P", "-m", "flows.cli", *map(str, arguments)],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(work),
                "ORDERLY_STATE": str(tmp_path / "state"),
                "PYTHONPATH": str(ROOT),
            },
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


def test_a_new_folder_has_its_parts_and_a_first_model_that_is_right(orderly: Run, work: Path) -> None:
    made = orderly("init", "ours")
    checked = orderly("check", "ours")

    assert made.returncode == 0, made.stderr
    assert checked.returncode == 0, checked.stdout
    assert "1 of 1 models are right" in checked.stdout
    for name in ("runbooks/playbooks", "runbooks/roles", "runbooks/inventory", "extensions", "tests"):
        assert (work / "ours" / name).is_dir()
    assert (work / "ours" / "README.md").is_file()
    assert (work / "ours" / ".gitignore").is_file()


def test_an_empty_folder_and_a_fresh_git_clone_are_taken(orderly: Run, work: Path) -> None:
    (work / "ours" / ".git").mkdir(parents=True)

    assert orderly("init", "ours").returncode == 0


def test_a_folder_that_holds_anything_is_refused_and_left_alone(orderly: Run, work: Path) -> None:
    (work / "ours").mkdir()
    (work / "ours" / "README.md").write_text("mine")

    done = orderly("init", "ours")

    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in (work / "ours").iterdir()] == ["README.md"]
    assert (work / "ours" / "README.md").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(orderly: Run, work: Path) -> None:
    (work / "ours").write_text("a file")

    assert orderly("init", "ours").returncode == 2


def test_the_template_of_every_kind_is_right(orderly: Run, work: Path) -> None:
    (work / "models").mkdir()

    answers = [json.loads(orderly("new", f"my-{kind}", "--kind", kind, "--json").stdout) for kind in KINDS]

    assert [answer["ok"] for answer in answers] == [True] * len(KINDS), answers
    assert [answer["file"] for answer in answers] == [f"models/my-{kind}.yaml" for kind in KINDS]
    assert all(answer["to_fill_in"] == [] for answer in answers)


def test_a_draft_from_an_operation_says_what_is_to_be_filled_in(orderly: Run, work: Path) -> None:
    done = orderly("new", "queue", "--from-action", "aws.sqs.create_queue")

    assert done.returncode == 0, done.stderr
    assert "undo-missing" in done.stdout
    assert "TO FILL IN: aws.sqs.delete_queue" in (work / "queue.yaml").read_text()


def test_a_draft_from_a_runbook_compiles_with_its_undo(orderly: Run, work: Path) -> None:
    done = orderly("new", "account", "--from-runbook", "linux_account", "--hosts", "linux_servers", "--json")

    assert json.loads(done.stdout)["ok"] is True, done.stdout
    assert "runbook.linux_account_absent" in (work / "account.yaml").read_text()


def test_a_model_that_is_there_is_never_overwritten(orderly: Run, work: Path) -> None:
    (work / "mine.yaml").write_text("mine")

    done = orderly("new", "mine", "--kind", "access")

    assert done.returncode == 2
    assert (work / "mine.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("new", "thing"), 2, "--kind resource|access"),
        (("new", "../thing", "--kind", "access"), 1, "no name of a model"),
        (("new", "thing", "--from-action", "aws.sqs.create_que"), 1, "create_queue"),
        (("new", "thing", "--from-runbook", "linux_acount"), 1, "linux_account"),
        (("new", "thing", "--from-runbook", "a", "--from-action", "b.c"), 2, "not both"),
        (("new", "thing", "--from-action", "mail.send", "--hosts", "h"), 2, "takes no hosts"),
    ],
)
def test_what_cannot_be_drafted_is_told_and_nothing_is_written(
    orderly: Run, work: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = orderly(*arguments)

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert list(work.rglob("*.yaml")) == []

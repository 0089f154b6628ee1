"""What `docs/testing-models.md` shows is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from request_models.schema import GivenDocument, ThenDocument

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "testing-models.md").read_text(encoding="utf-8")
(MODEL,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SHOWN = dict(re.findall(r"```console\n\$ orderly ([^\n]+)\n(.*?)```", PAGE, re.DOTALL))


def orderly(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "flows.cli", *arguments]
    environment = {
        "PATH": "/usr/bin:/bin",
        "ORDERLY_STATE": str(folder / "state"),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def plain(text: str) -> list[str]:
    """The lines, whatever the time they took."""
    return [re.sub(r"  \d+ ms$", "", line).rstrip() for line in text.splitlines() if line.strip()]


def test_the_model_shown_is_right_and_its_examples_come_out_as_shown(tmp_path: Path) -> None:
    (tmp_path / "vm-start.yaml").write_text(MODEL, encoding="utf-8")
    assert orderly("check", "vm-start.yaml", folder=tmp_path).returncode == 0
    tested = orderly("test", "vm-start.yaml", folder=tmp_path)
    assert plain(tested.stdout) == plain(SHOWN["test vm-start.yaml"]), tested.stderr
    assert tested.returncode == 0
    assert orderly("test", "vm-start.yaml", "--strict", folder=tmp_path).returncode == 1


def test_what_is_not_as_expected_is_shown_so(tmp_path: Path) -> None:
    wrong = MODEL.replace("then: {state: fulfilled, steps: {mail: skipped}}", "then: {state: on_hold}")
    (tmp_path / "wrong.yaml").write_text(wrong, encoding="utf-8")
    tested = orderly("test", "wrong.yaml", folder=tmp_path)
    assert tested.returncode == 1
    shown = plain(SHOWN["test wrong.yaml"])
    assert plain(tested.stdout)[: len(shown)] == shown


def test_the_commands_for_ci_do_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vm-start.yaml").write_text(
        MODEL
        + """\
  - name: with a mail
    given: {inputs: {machine: i-0123456789abcdef0, tell: true}}
    then: {state: fulfilled, calls: {mail: {to: anna@example.org}}}
""",
        encoding="utf-8",
    )
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for command in commands.splitlines():
        done = orderly(*command.removeprefix("orderly ").split(), folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert b'tests="5"' in (tmp_path / "results.xml").read_bytes()


@pytest.mark.parametrize(
    ("title", "document", "not_shown"),
    [
        ("What is given", GivenDocument, {"event", "decisions"}),
        ("What must then come of it", ThenDocument, {"approvals"}),
    ],
    ids=["given", "then"],
)
def test_every_key_that_can_be_used_is_in_its_table(
    title: str, document: type[GivenDocument | ThenDocument], not_shown: set[str]
) -> None:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert named == document.model_fields.keys() - not_shown

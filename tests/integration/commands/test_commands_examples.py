"""`orderly test` as it is called: over what is shipped, for people, for programs, for CI, and for real."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from xml.etree.ElementTree import fromstring

import pytest

from request_models.drafting import Kind, draft_from_template

ROOT = Path(__file__).parents[3]
MODEL = """\
model: note
title: Note
kind: information
service: notes
owners: {accountable: notes-owner}
inputs: {tell: {type: boolean, default: false}}
due: {within: PT5M}
steps:
  - {id: look, uses: http.get, with: {url: "https://example.org/"}, timeout: PT1M}
  - {id: more, when: inputs.tell, uses: http.get, with: {url: "https://example.org/more"}, timeout: PT1M}
outputs:
  status: {value: "{{ steps.look.result.status }}"}
examples:
  - name: found
    given: {results: {look: {status: 200}}}
    then:
      state: fulfilled
      outputs:
        status: 404
"""

Test = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def orderly_test(tmp_path: Path) -> Test:
    """Call it in a folder with `models/note.yaml`, of which one expectation is wrong and one branch is not tested."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "note.yaml").write_text(MODEL, encoding="utf-8")

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "flows.cli", "test", *arguments]
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        environment |= {"ORDERLY_STATE": str(tmp_path / "state"), "HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    return call


def right(text: str) -> str:
    return text.replace("status: 404", "status: 200")


def test_the_examples_of_the_shipped_models_pass_and_go_every_way(orderly_test: Test) -> None:
    done = orderly_test("--strict", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert {one["model"] for one in found["models"]} >= {"linux-account", "project-bucket", "project-space"}
    assert found["passed"] == sum(len(one["examples"]) for one in found["models"]) > 10
    assert [one["warnings"] for one in found["models"]] == [[]] * len(found["models"])


def test_the_examples_of_the_templates_pass_and_go_every_way(orderly_test: Test, tmp_path: Path) -> None:
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    for kind in get_args(Kind):
        (drafts / f"{kind}.yaml").write_text(draft_from_template(f"my-{kind}", kind), encoding="utf-8")
    done = orderly_test("drafts", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") >= 2 * len(get_args(Kind))


def test_what_is_not_as_expected_is_told_at_its_line(orderly_test: Test) -> None:
    done = orderly_test("models")
    assert done.returncode == 1
    assert "models/note.yaml:19: output status\n      expected: 404\n      found:    200\n" in done.stdout
    assert "look: read" in done.stdout
    assert "Examples: 0 passed, 1 failed." in done.stdout


def test_an_untested_branch_is_a_warning_or_an_error(orderly_test: Test, tmp_path: Path) -> None:
    file = tmp_path / "models" / "note.yaml"
    file.write_text(right(MODEL), encoding="utf-8")
    lenient, strict = orderly_test("models"), orderly_test("models", "--strict")
    assert (lenient.returncode, strict.returncode) == (0, 1)
    said = "the condition of step `more` never holds in an example [untested-branch]"
    assert f"models/note.yaml:10:16: warning: {said}" in lenient.stdout
    assert f"models/note.yaml:10:16: error: {said}" in strict.stdout


def test_what_cannot_run_yet_is_neither_passed_nor_failed(orderly_test: Test, tmp_path: Path) -> None:
    more = "lease: {for: P1D, retire: {model: note}}\nexamples:"
    (tmp_path / "models" / "note.yaml").write_text(MODEL.replace("examples:", more), encoding="utf-8")
    lenient, strict = orderly_test("models"), orderly_test("models", "--strict")
    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert "cannot run yet  found: " in lenient.stdout
    assert "`lease` (line 13)" in lenient.stdout
    assert "Examples: 0 passed, 1 cannot run yet." in lenient.stdout


def test_a_wrong_model_hides_no_other(orderly_test: Test, tmp_path: Path) -> None:
    (tmp_path / "models" / "good.yaml").write_text(right(MODEL).replace("model: note", "model: good"), encoding="utf-8")
    (tmp_path / "models" / "note.yaml").write_text(MODEL.replace("inputs.tell", "inputs.tel"), encoding="utf-8")
    (tmp_path / "models" / "bad.yaml").write_text("model: [", encoding="utf-8")
    done = orderly_test("models")
    assert done.returncode == 1
    assert "note.yaml:10:22: error: there is no input `tel`" in done.stdout
    assert "bad.yaml:1:" in done.stdout
    assert "Examples: 1 passed; 1 model is wrong." in done.stdout


def test_json_and_junit_say_the_same(orderly_test: Test, tmp_path: Path) -> None:
    done = orderly_test("models", "--json", "--junit", "out.xml")
    (model,) = json.loads(done.stdout)["models"]
    (example,) = model["examples"]
    assert (done.returncode, example["outcome"], example["line"]) == (1, "failed", 14)
    (wrong,) = example["mismatches"]
    assert wrong == {
        "what": "output status", "expected": "404", "found": "200", "file": "models/note.yaml", "line": 19
    }  # fmt: skip
    assert model["coverage"] == {"steps": 2, "steps_done": 1, "branches": 2, "branches_taken": 1}
    (suite,) = fromstring((tmp_path / "out.xml").read_bytes())
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("note", "1", "1")
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "models/note.yaml:19: output status: expected 404, found 200"
    assert "look: read" in str(failure.text)


def test_names_that_xml_cannot_hold_do_not_break_it(orderly_test: Test, tmp_path: Path) -> None:
    text = right(MODEL).replace("name: found", 'name: "<found> \\u0007 & more"')
    (tmp_path / "models" / "note.yaml").write_text(text, encoding="utf-8")
    assert orderly_test("models", "--junit", "out.xml").returncode == 0
    (case,) = fromstring((tmp_path / "out.xml").read_bytes()).iter("testcase")
    assert case.get("name") == "<found> \N{REPLACEMENT CHARACTER} & more"


def test_bad_command_lines_are_usage_errors(orderly_test: Test) -> None:
    assert orderly_test("nowhere.yaml").returncode == 2
    unwritable = orderly_test("models", "--junit", "no/such/folder.xml")
    assert unwritable.returncode == 2
    assert "no/such/folder.xml cannot be written" in unwritable.stderr


def test_nothing_is_left_in_the_state_folder(orderly_test: Test, tmp_path: Path) -> None:
    orderly_test("models")
    assert not list((tmp_path / "state").rglob("*.db*"))


@pytest.mark.slow
def test_examples_run_for_real_in_a_sandbox(orderly_test: Test, tmp_path: Path) -> None:
    text = draft_from_template("logs", "resource")
    (tmp_path / "models" / "note.yaml").write_text(text, encoding="utf-8")
    done = orderly_test("models", "--sandbox", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (model,) = json.loads(done.stdout)["models"]
    outcomes = {one["name"]: (one["outcome"], one["why"]) for one in model["examples"]}
    assert outcomes["kept for thirty days, if nothing is said"] == ("passed", "")
    assert outcomes["AWS is busy for a moment"] == ("skipped", "its `failures` cannot be had for real")
    assert model["coverage"] is None

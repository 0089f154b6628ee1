"""`orderly language-server`, started as an editor starts it, and spoken to over its pipes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from language_client import LanguageClient
from waiting import wait_until

ROOT = Path(__file__).parents[3]
BUCKET = (ROOT / "request_models" / "catalogue" / "project-bucket.yaml").read_text(encoding="utf-8")
COMMAND = (sys.executable, "-m", "flows.cli", "language-server", "--stdio")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[LanguageClient]:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text("all: {children: {build_hosts: {hosts: {a.example.org: }}}}\n", encoding="utf-8")
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"connectors: {{runbook: {{inventory: [{inventory}]}}}}\n", encoding="utf-8")
    environment = {**os.environ, "ORDERLY_STATE": str(tmp_path / "state"), "ORDERLY_SETTINGS": str(settings)}
    with LanguageClient(COMMAND, environment) as started:
        yield started


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "models" / "new.yaml"


def wrong_in(diagnostics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are no hints."""
    return [one for one in diagnostics if one["severity"] < 4]


def test_a_right_model_has_nothing_wrong_and_the_server_ends_when_told(client: LanguageClient, model: Path) -> None:
    capabilities = client.initialize()
    assert capabilities["completionProvider"]["resolveProvider"]
    client.open(model, BUCKET)
    found = client.diagnostics(model, 1)
    assert wrong_in(found) == []
    assert {one["code"] for one in found} == {"checked-at-run-time"}
    assert client.end() == 0


def test_what_is_wrong_is_told_as_one_types_with_its_code_and_the_fix(client: LanguageClient, model: Path) -> None:
    client.initialize()
    client.open(model, BUCKET)
    assert wrong_in(client.diagnostics(model, 1)) == []
    wrong = BUCKET.replace("uses: aws.s3.create_bucket", "uses: aws.s3.create_bukket  # 𝄞")
    client.change(model, wrong, 2)
    (found,) = [one for one in client.diagnostics(model, 2) if one["code"] == "unknown-action"]
    line = next(number for number, text in enumerate(wrong.split("\n")) if "bukket" in text)
    assert found["range"] == {
        "start": {"line": line, "character": 10},
        "end": {"line": line, "character": 10 + len("aws.s3.create_bukket")},
    }
    assert found["severity"] == 1
    assert "is `aws.s3.create_bucket`" in found["message"]
    assert found["codeDescription"]["href"].endswith("checks.md#unknown-action")
    offered = client.request(
        "textDocument/codeAction",
        {"textDocument": {"uri": model.as_uri()}, "range": found["range"], "context": {"diagnostics": [found]}},
    )
    edits = [action["edit"]["changes"][model.as_uri()] for action in offered]
    assert [{"range": found["range"], "newText": "aws.s3.create_bucket"}] in edits
    assert client.end() == 0


def test_half_a_model_completes_actions_arguments_names_and_groups(client: LanguageClient, model: Path) -> None:
    client.initialize()

    def labels(marked: str, version: int) -> list[str]:
        client.change(model, marked.replace("|", ""), version)
        found = client.at("textDocument/completion", model, marked)
        return [item["label"] for item in found["items"]]

    client.open(model, "")
    head = "# 𝄞\ninputs: {project: {type: string}}\nsteps:\n  - id: make\n"
    assert "aws.s3" in labels(f"{head}    uses: aws.|", 2)
    assert labels(f"{head}    uses: aws.s3.cr|", 3)[0] == "aws.s3.create_bucket"
    assert labels(f"{head}    uses: linux_acc|\n  - id: other\n", 4)[0] == "runbook.linux_account"
    bucket = f"{head}    uses: aws.s3.create_bucket\n"
    assert labels(f"{bucket}    with:\n      |", 5)[0] == "Bucket"
    assert labels(f'{bucket}    with: {{Bucket: "𝄞{{{{ inputs.|', 6) == ["project"]
    assert "BucketArn" in labels(f"{bucket}  - id: b\n    when: steps.make.result.|", 7)
    assert labels(f"{head}    uses: runbook.linux_account\n    hosts: |", 8) == ["a.example.org", "build_hosts"]
    assert client.end() == 0


def test_an_action_is_explained_when_it_is_looked_at(client: LanguageClient, model: Path) -> None:
    client.initialize()
    text = "steps:\n  - id: a\n    uses: aws.s3.create_buck|et\n    with: {ACL: private}\n"
    client.open(model, text.replace("|", ""))
    found = client.at("textDocument/hover", model, text)
    assert found["contents"]["kind"] == "markdown"
    assert "aws.s3.delete_bucket" in found["contents"]["value"]
    argument = client.at("textDocument/hover", model, text.replace("|", "").replace("ACL", "A|CL"))
    assert "canned ACL" in argument["contents"]["value"]
    items = client.at("textDocument/completion", model, text)["items"]
    assert "### S3 CreateBucket" in client.request("completionItem/resolve", items[0])["documentation"]["value"]
    assert client.end() == 0


def test_a_model_has_an_outline_and_its_names_lead_to_where_they_are_written(
    client: LanguageClient, model: Path
) -> None:
    client.initialize()
    client.open(model, BUCKET)
    found = {
        one["name"]: one
        for one in client.request("textDocument/documentSymbol", {"textDocument": {"uri": model.as_uri()}})
    }
    assert [step["name"] for step in found["steps"]["children"]][:2] == ["create", "shut"]
    place = client.at("textDocument/definition", model, BUCKET.replace("steps.role.result", "steps.ro|le.result"))
    line = place["range"]["start"]["line"]
    assert BUCKET.split("\n")[line].strip() == "- id: role"
    assert client.end() == 0


def test_yaml_that_is_no_model_is_left_alone(client: LanguageClient, tmp_path: Path) -> None:
    client.initialize()
    other = tmp_path / "deployment.yaml"
    client.open(other, "kind: Deployment\nspec: {}\n")
    assert wrong_in(client.diagnostics(other, 1)) == []
    assert client.at("textDocument/completion", other, "kind: |")["items"] == []
    assert client.end() == 0


def test_text_that_is_not_yaml_gets_a_diagnostic_and_the_server_goes_on(client: LanguageClient, model: Path) -> None:
    client.initialize()
    client.open(model, "model: a\n  steps: [}\n")
    assert [one["code"] for one in client.diagnostics(model, 1)] == ["yaml-syntax"]
    client.change(model, BUCKET, 2)
    assert wrong_in(client.diagnostics(model, 2)) == []
    assert client.end() == 0


def test_the_server_ends_with_its_editor(client: LanguageClient) -> None:
    client.initialize()
    assert client.process.stdin is not None
    client.process.stdin.close()
    wait_until("the server ends", lambda: client.process.poll() is not None, 30)


def test_without_the_extra_it_says_what_to_install() -> None:
    absent = (
        "import sys; sys.modules['pygls'] = None; sys.argv[1:] = ['language-server']; from flows import cli; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", absent], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 3
    assert "pip install 'orderly[editor]'" in done.stderr
    assert done.stdout == ""

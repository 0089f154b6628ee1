"""`orderly schema --actions`: what editors know of real actions, judged by validators and by yaml-language-server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from language_client import LanguageClient
from request_models.yaml_source import read_yaml

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "request_models" / "catalogue").glob("*.yaml"))
BUCKET = (ROOT / "request_models" / "catalogue" / "project-bucket.yaml").read_text(encoding="utf-8")
SERVER = os.environ.get("ORDERLY_TEST_YAML_LANGUAGE_SERVER", "")
ACTIONS = ("aws.s3", "aws.iam", "runbook", "http")


def schema(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "flows.cli", "schema", *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("schema") / "orderly.schema.json"
    done = schema("--output", made, *(word for prefix in ACTIONS for word in ("--actions", prefix)))
    assert (done.returncode, done.stderr) == (0, "")
    return made


@pytest.fixture(scope="module")
def validator(file: Path) -> Draft7Validator:
    made = json.loads(file.read_text(encoding="utf-8"))
    Draft7Validator.check_schema(made)
    return Draft7Validator(made)


def refused(validator: Draft7Validator, text: str) -> list[str]:
    return sorted(error.json_path for error in validator.iter_errors(read_yaml("model.yaml", text.encode()).value))


@pytest.mark.parametrize("model", SHIPPED, ids=[model.stem for model in SHIPPED])
def test_every_shipped_model_is_accepted(validator: Draft7Validator, model: Path) -> None:
    assert refused(validator, model.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ('Bucket: "{{ values.bucket }}"', 'Buket: "{{ values.bucket }}"', "$.steps[0].with"),
        ("BlockPublicAcls: true", "BlockPublicAcls: 1", "$.steps[1].with.PublicAccessBlockConfiguration"),
        ("SSEAlgorithm: AES256", "SSEAlgorithm: AES512", "$.steps[2].with.ServerSideEncryptionConfiguration"),
        ("Rules: [{Apply", "Rule: [{Apply", "$.steps[2].with.ServerSideEncryptionConfiguration"),
        ("Expiration: {Days: ", "Expiration: {Dayz: ", "$.steps[3].with.LifecycleConfiguration"),
    ],
)
def test_a_wrong_argument_of_aws_is_refused(validator: Draft7Validator, right: str, wrong: str, place: str) -> None:
    assert right in BUCKET
    found = refused(validator, BUCKET.replace(right, wrong, 1))
    assert found
    assert all(path.startswith(place) for path in found)


@pytest.mark.parametrize(
    ("prefix", "words"),
    [("aws", "name the services"), ("aws.s3.create_bukket", "aws.s3.create_bucket"), ("nothing", "Systems are aws")],
)
def test_actions_that_are_too_many_or_none_are_told(prefix: str, words: str) -> None:
    done = schema("--actions", prefix)
    assert done.returncode == 2
    assert words in done.stderr


def test_one_action_can_be_named() -> None:
    made = json.loads(schema("--actions", "aws.s3.create_bucket").stdout)
    assert [name for name in made["$defs"] if name.startswith("with ")] == ["with aws.s3.create_bucket"]


@pytest.mark.needs("node")
@pytest.mark.skipif(not SERVER, reason="ORDERLY_TEST_YAML_LANGUAGE_SERVER names no script of a yaml-language-server")
def test_the_yaml_language_server_checks_completes_and_explains_arguments(file: Path, tmp_path: Path) -> None:
    model = tmp_path / "new.yaml"
    with LanguageClient(["node", SERVER, "--stdio"]) as client:
        schemas = {file.as_uri(): "*.yaml"}
        settings = {"schemas": schemas, "schemaStore": {"enable": False}, "validate": True, "hover": True}
        client.settings = {"yaml": {**settings, "completion": True}}
        client.initialize(workspace={"configuration": True})
        client.notify("workspace/didChangeConfiguration", {"settings": client.settings})
        client.open(model, BUCKET)
        assert client.diagnostics(model, 1) == []
        explained = client.at("textDocument/hover", model, f"{BUCKET.partition('Bucket: ')[0]}Bu|")
        assert "name of the bucket" in explained["contents"]["value"]
        client.change(model, BUCKET.replace("Bucket: ", "Buket: ", 1), 2)
        assert any("Buket" in one["message"] for one in client.diagnostics(model, 2))
        before, _, after = BUCKET.partition("Bucket: ")
        rest = after.partition("\n")[2]
        client.change(model, f"{before}\n{rest}", 3)
        offered = client.at("textDocument/completion", model, f"{before}|")
        assert {"Bucket", "ACL"} <= {item["label"] for item in offered["items"]}
        client.end()

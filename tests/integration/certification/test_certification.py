"""`orderly certify` on the models that are shipped, and on one whose effect class is a lie: that must be found."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.certification.boundaries import Boundary, Watch, all_boundaries, passed

CATALOGUE = Path(__file__).parents[3] / "request_models" / "catalogue"
SAMPLES = {"project-bucket": 12, "linux-account": 3, "project-space": 3}
"""How many boundaries are tried in CI, where not all can be: a runbook takes seconds. By default 12."""

LIAR = """
model: network
title: A network
kind: resource
service: networks
owners: {accountable: network-owner, responsible: [platform]}
due: {within: PT15M}
steps:
  - id: network
    uses: aws.ec2.create_vpc
    with: {CidrBlock: 10.9.0.0/16}
    retry: {attempts: 3, delay: PT1S}
    undo: {none: This example is not about undo.}
examples:
  - {name: plain, given: {inputs: {}}, then: {state: fulfilled}}
"""
LIE = """
ec2:
  create_vpc:
    effect: idempotent
    why: It is not; each call makes another network.
"""


def certify(*arguments: str, state: Path, content: Path | None = None) -> tuple[int, dict[str, Any]]:
    environment = {**os.environ, "ORDERLY_STATE": str(state)}
    if content is not None:
        environment["ORDERLY_CONTENT"] = str(content)
    command = [sys.executable, "-P", "-m", "flows.cli", "certify", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=800)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told


@pytest.mark.slow
@pytest.mark.needs("namespaces")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", sorted(path.stem for path in CATALOGUE.glob("*.yaml")))
def test_a_shipped_model_survives_being_killed(model: str, tmp_path: Path) -> None:
    code, told = certify(model, "--sample", str(SAMPLES.get(model, 12)), state=tmp_path)
    assert code == 0, json.dumps(told, indent=1)
    (certificate,) = told["models"]
    assert certificate["survived"] == certificate["tried"] > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_said_to_be_idempotent_and_is_not_is_found_with_the_boundary(tmp_path: Path) -> None:
    content = tmp_path / "content"
    for folder in ("models", "extensions"):
        (content / folder).mkdir(parents=True)
    (content / "models" / "network.yaml").write_text(LIAR)
    (content / "extensions" / "aws-effects.yaml").write_text(LIE)
    boundary = "1/effect:network:after"
    code, told = certify("network", "--only", boundary, state=tmp_path / "state", content=content)
    assert code == 1
    (run,) = told["models"][0]["runs"]
    assert run["outcome"] == "failed"
    assert run["again"] == f"orderly certify network --only {boundary}"
    assert any("aws/ec2/" in problem for problem in run["problems"]), run
    code, told = certify("network", "--only", "1/effect:network:before", state=tmp_path / "state", content=content)
    assert code == 0, told


def test_boundaries_have_names_that_say_where_and_what(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "passed")
    watch.commit("before", "StepLedger.start")
    watch.commit("after", "StepLedger.start")
    watch.commit("before", "ClaimUpkeep._keep")
    for _ in range(2):
        call = watch.call("create")
        watch.effect(call, "before", "aws.s3.create_bucket")
        watch.effect(call, "after", "aws.s3.create_bucket")
    names = [boundary.name for boundary in passed(tmp_path / "passed")]
    assert names == [
        "commit:1:before",
        "commit:1:after",
        "effect:create:before",
        "effect:create:after",
        "effect:create#2:before",
        "effect:create#2:after",
    ]


def test_a_call_has_its_faults_too() -> None:
    seen = [Boundary("undo/effect:create.undo.0:after", "aws.s3.delete_bucket"), Boundary("commit:1:after", "x")]
    found = list(all_boundaries(seen))
    assert [one.kind for one in found] == [
        "effect after",
        "effect throttled",
        "effect reset",
        "effect timeout",
        "effect lost",
        "commit after",
    ]
    assert [one.kills for one in found] == [True, False, False, False, False, True]

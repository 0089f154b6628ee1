"""The shipped model project-bucket, compiled against the real connector and run against the AWS stand-in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from connectors.aws import connector
from connectors.registry import ConnectorContext, Registry
from request_models.actions import ActionCall, ActionResult, Outcome
from request_models.compiler import compile_model, load_file
from request_models.expressions import Omitted, render
from request_models.inputs import validate_inputs
from request_models.json_values import JsonValue
from request_models.plan import MapOf, Plan
from request_models.value_types import check_value

MODEL = Path(__file__).parents[3] / "request_models" / "catalogue" / "project-bucket.yaml"
Reading = Callable[[str, dict[str, JsonValue]], Any]


@pytest.fixture
def registry(aws_endpoint: str, tmp_path: Path) -> Iterator[Registry]:
    settings: dict[str, JsonValue] = {
        "endpoint_url": aws_endpoint,
        "region": "eu-west-1",
        "access_key_id": "AKIAORDERLY",
        "secret_access_key": "hush",
    }
    with Registry([connector(settings, ConnectorContext(state=tmp_path))]) as made:
        yield made


@pytest.fixture
def plan(registry: Registry) -> Plan:
    source, diagnostics = load_file(MODEL)
    assert source is not None
    compilation = compile_model(source, registry, {})
    assert [*diagnostics, *compilation.diagnostics] == []
    assert compilation.plan is not None
    return compilation.plan


@pytest.fixture
def project() -> str:
    return f"p{uuid4().hex[:10]}"


def scope_of(plan: Plan, given: dict[str, JsonValue]) -> dict[str, Any]:
    inputs, problems = validate_inputs(plan, given)
    assert not problems
    scope: dict[str, Any] = {"inputs": inputs, "values": {}, "steps": {}}
    for named in plan.values:
        scope["values"][named.name] = render(named.value, scope)
    return scope


def call(
    registry: Registry, uses: str, arguments: MapOf, target: dict[str, Any], scope: dict[str, Any]
) -> tuple[dict[str, JsonValue], ActionResult]:
    action = registry.action(uses)
    rendered = cast(dict[str, JsonValue], render(arguments, scope))
    assert check_value(action.spec.arguments, rendered) == []
    where = {name: render(node, scope) for name, node in target.items()}
    made = ActionCall(
        action=uses, arguments=rendered, token=uuid4(), request_id="r", step_path="s", timeout_seconds=20,
        target={name: value for name, value in where.items() if not isinstance(value, Omitted)},
    )  # fmt: skip
    return rendered, action.run(made)


def fulfil(registry: Registry, plan: Plan, scope: dict[str, Any]) -> dict[str, Outcome]:
    outcomes = {}
    for step in plan.steps:
        arguments, answer = call(registry, step.uses, step.arguments, dict(step.target), scope)
        scope["steps"][step.path] = {"state": "done", "args": arguments, "result": answer.result}
        outcomes[step.path] = answer.outcome
    return outcomes


@pytest.fixture
def reading(registry: Registry) -> Reading:
    def read(uses: str, arguments: dict[str, JsonValue]) -> Any:
        made = ActionCall(action=uses, arguments=arguments, token=uuid4(), request_id="r", step_path="s")
        return registry.action(uses).run(made).result

    return read


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_it_makes_what_it_says(registry: Registry, plan: Plan, reading: Reading, project: str, region: str) -> None:
    scope = scope_of(plan, {"project": project, "region": region, "retention_days": 30, "used_from": "lambda"})
    outcomes = fulfil(registry, plan, scope)
    assert set(outcomes.values()) == {Outcome.MADE}
    bucket = f"orderly-{project}"
    there: dict[str, JsonValue] = {"Bucket": bucket}
    assert all(reading("aws.s3.get_public_access_block", there)["PublicAccessBlockConfiguration"].values())
    rules = reading("aws.s3.get_bucket_lifecycle_configuration", there)["Rules"]
    assert rules[0]["Expiration"] == {"Days": 30}
    assert reading("aws.s3.get_bucket_encryption", there)["ServerSideEncryptionConfiguration"]["Rules"]
    tags = {tag["Key"]: tag["Value"] for tag in reading("aws.s3.get_bucket_tagging", there)["TagSet"]}
    assert tags["orderly:project"] == project
    role = reading("aws.iam.get_role", {"RoleName": f"{bucket}-writer"})["Role"]
    assert "lambda.amazonaws.com" in role["AssumeRolePolicyDocument"]
    policy = reading("aws.iam.get_role_policy", {"RoleName": f"{bucket}-writer", "PolicyName": "write-project-bucket"})
    assert f"arn:aws:s3:::{bucket}/*" in policy["PolicyDocument"]
    outputs = {output.name: render(output.value, scope) for output in plan.outputs}
    assert outputs == {"bucket": bucket, "writer_role": role["Arn"]}


def test_ordered_again_it_changes_nothing_and_says_so(registry: Registry, plan: Plan, project: str) -> None:
    fulfil(registry, plan, scope_of(plan, {"project": project}))
    again = fulfil(registry, plan, scope_of(plan, {"project": project}))
    assert set(again.values()) == {Outcome.ALREADY_SO}


def test_ordered_with_another_retention_it_changes_only_that(registry: Registry, plan: Plan, project: str) -> None:
    fulfil(registry, plan, scope_of(plan, {"project": project}))
    again = fulfil(registry, plan, scope_of(plan, {"project": project, "retention_days": 7}))
    assert {path for path, outcome in again.items() if outcome is Outcome.CHANGED} == {"expire"}


def test_its_undo_takes_everything_back(registry: Registry, plan: Plan, reading: Reading, project: str) -> None:
    scope = scope_of(plan, {"project": project})
    fulfil(registry, plan, scope)
    for step in reversed(plan.steps):
        forward = scope["steps"][step.path]
        assert step.undo is not None
        for action in step.undo.actions:
            undoing = {**scope, "args": forward["args"], "result": forward["result"]}
            _, answer = call(registry, action.uses, action.arguments, dict(action.target), undoing)
            assert answer.outcome is Outcome.CHANGED
    names = [bucket["Name"] for bucket in reading("aws.s3.list_buckets", {}).get("Buckets", [])]
    assert f"orderly-{project}" not in names
    roles = [role["RoleName"] for role in reading("aws.iam.list_roles", {})["Roles"]]
    assert f"orderly-{project}-writer" not in roles


@pytest.mark.parametrize(
    "project",
    ["", "A", "-a-", "../../x", "{{ 7*7 }}", "$(touch X)", "a b", "a\nb", "apollo\n", "x" * 31, "apollo-", "a'; drop"],
)
def test_a_project_that_is_no_name_is_refused(plan: Plan, project: str) -> None:
    _, problems = validate_inputs(plan, {"project": project})
    assert [problem.pointer for problem in problems] == ["/project"]

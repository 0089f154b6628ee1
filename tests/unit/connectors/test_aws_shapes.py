"""AWS shapes as value types."""

from pathlib import Path

import pytest

from connectors.aws import connector
from connectors.aws.actions import AwsConnector
from connectors.registry import ConnectorContext
from request_models.actions import ActionSpec, EffectClass
from request_models.json_values import JsonValue
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    LazyType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
    check_value,
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> AwsConnector:
    return connector({}, ConnectorContext(state=tmp_path_factory.mktemp("state")))


def spec_of(aws: AwsConnector, name: str) -> ActionSpec:
    found = aws.find(name)
    assert found is not None
    return found.spec


def argument(aws: AwsConnector, name: str, *path: str) -> ValueType:
    found: ValueType = spec_of(aws, name).arguments
    for part in path:
        if isinstance(found, LazyType):
            found = found.resolved
        if isinstance(found, ArrayType):
            found = found.items
        assert isinstance(found, ObjectType)
        found = found.members[part].type
    return found


def test_required_members_are_required(aws: AwsConnector) -> None:
    members = spec_of(aws, "aws.s3.create_bucket").arguments.members
    assert members["Bucket"].required
    assert not members["CreateBucketConfiguration"].required


def test_enums_refuse_what_aws_does_not_know(aws: AwsConnector) -> None:
    location = argument(aws, "aws.s3.create_bucket", "CreateBucketConfiguration", "LocationConstraint")
    assert check_value(location, "eu-west-1") == []
    assert check_value(location, "us-east-1") != []


def test_patterns_and_lengths_are_kept(aws: AwsConnector) -> None:
    name = argument(aws, "aws.iam.create_role", "RoleName")
    assert name == StringType(pattern=r"[\w+=,.@-]+", min_length=1, max_length=64)


def test_ranges_and_booleans_are_kept(aws: AwsConnector) -> None:
    assert argument(aws, "aws.iam.create_role", "MaxSessionDuration") == IntegerType(minimum=3600, maximum=43200)
    assert isinstance(argument(aws, "aws.ec2.run_instances", "DryRun"), BooleanType)


def test_blobs_and_times_are_texts_with_a_format(aws: AwsConnector) -> None:
    assert argument(aws, "aws.s3.put_object", "Body") == StringType(format="byte")
    assert argument(aws, "aws.s3.put_object", "Expires") == StringType(format="date-time")


def test_what_aws_calls_sensitive_is_secret(aws: AwsConnector) -> None:
    assert argument(aws, "aws.iam.create_login_profile", "Password").secret
    result = spec_of(aws, "aws.secretsmanager.get_secret_value").result
    assert isinstance(result, ObjectType)
    assert result.members["SecretString"].type.secret
    assert not result.members["Name"].type.secret


def test_a_shape_that_holds_itself_is_described_lazily(aws: AwsConnector) -> None:
    value = argument(aws, "aws.dynamodb.put_item", "Item")
    assert isinstance(value, ObjectType)
    nested: JsonValue = {"M": {"a": {"L": [{"M": {"b": {"S": "deep"}}}]}}}
    assert check_value(value, {"k": nested}) == []
    assert check_value(value, {"k": {"M": {"a": {"L": [{"M": {"b": {"S": 3}}}]}}}}) != []


def test_of_a_tagged_union_exactly_one_member_is_given(aws: AwsConnector) -> None:
    content = argument(aws, "aws.bedrock-runtime.converse", "messages", "content")
    assert isinstance(content, ArrayType)
    assert isinstance(content.items, UnionType)
    assert check_value(content, [{"text": "hello"}]) == []
    assert check_value(content, [{}]) != []
    assert check_value(content, [{"text": "hello", "image": {}}]) != []


def test_documents_are_any_json(aws: AwsConnector) -> None:
    assert isinstance(argument(aws, "aws.bedrock-runtime.converse", "additionalModelRequestFields"), AnyType)


def test_the_idempotency_token_need_not_be_given(aws: AwsConnector) -> None:
    assert "ClientToken" in spec_of(aws, "aws.ec2.run_instances").arguments.members
    required = spec_of(aws, "aws.bedrock-agent.create_agent").arguments.members["clientToken"]
    assert not required.required


def test_pages_can_be_gathered_where_botocore_can(aws: AwsConnector) -> None:
    assert "PaginationConfig" in spec_of(aws, "aws.s3.list_objects_v2").arguments.members
    assert "PaginationConfig" not in spec_of(aws, "aws.s3.head_bucket").arguments.members


def test_a_service_is_named_with_its_hyphens(aws: AwsConnector) -> None:
    assert aws.find("aws.application-autoscaling.register_scalable_target") is not None
    assert aws.find("aws.application_autoscaling.register_scalable_target") is None
    assert aws.suggestions("aws.application_autoscaling.register_scalable_target") == [
        "aws.application-autoscaling.register_scalable_target"
    ]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("aws.s3.create_buckett", "aws.s3.create_bucket"),
        ("aws.s3.CreateBucket", "aws.s3.create_bucket"),
        ("aws.dynamo.create_table", "aws.dynamodb.create_table"),
        ("aws.iam.create_rol", "aws.iam.create_role"),
    ],
)
def test_a_mistyped_operation_is_recognised(aws: AwsConnector, wrong: str, meant: str) -> None:
    assert aws.find(wrong) is None
    assert meant in aws.suggestions(wrong)


@pytest.mark.parametrize(
    "name", ["aws", "aws.s3", "aws..", "aws.s3.create_bucket.x", "aws.../../etc.x", "s3.create_bucket"]
)
def test_what_is_no_name_of_an_operation_is_not_found(aws: AwsConnector, name: str) -> None:
    assert aws.find(name) is None


def test_an_account_may_be_named_only_where_the_settings_name_it(aws: AwsConnector) -> None:
    plain = spec_of(aws, "aws.s3.create_bucket").target
    assert plain is not None
    assert check_value(plain, {"region": "eu-west-1"}) == []
    assert check_value(plain, {"account": "data"}) != []
    assert check_value(plain, {"region": "Dublin"}) != []
    named = connector({"accounts": {"data": {}}}, ConnectorContext(state=Path("unused")))
    target = spec_of(named, "aws.s3.create_bucket").target
    assert target is not None
    assert check_value(target, {"account": "data"}) == []
    assert check_value(target, {"account": "other"}) != []


def test_reviewed_operations_have_their_effect_class_and_others_are_not_repeatable(aws: AwsConnector) -> None:
    assert spec_of(aws, "aws.s3.head_bucket").effect is EffectClass.READ_ONLY
    assert spec_of(aws, "aws.s3.create_bucket").effect is EffectClass.IDEMPOTENT
    run = spec_of(aws, "aws.ec2.run_instances")
    assert run.effect is EffectClass.TAKES_TOKEN
    assert run.token_lifetime is not None
    assert spec_of(aws, "aws.s3.list_parts").effect is EffectClass.NOT_REPEATABLE

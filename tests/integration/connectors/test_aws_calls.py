"""Calls to an AWS stand-in over real HTTP: outcomes, answers, tokens, targets, failures."""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.aws import connector
from connectors.aws.actions import AwsConnector
from connectors.aws.calls import AwsAction
from connectors.registry import ConnectorContext
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    EffectClass,
    ErrorClass,
    Outcome,
    Presence,
)
from request_models.json_values import JsonValue
from serving import Quiet, serving

Run = Callable[..., ActionResult]
Failing = Callable[..., ActionFailed]
KEYS: dict[str, JsonValue] = {"access_key_id": "AKIAORDERLY", "secret_access_key": "hush", "region": "eu-west-1"}
IN_IRELAND: JsonValue = {"LocationConstraint": "eu-west-1"}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def make(endpoint: str, tmp_path: Path, **settings: JsonValue) -> AwsConnector:
    return connector({**KEYS, "endpoint_url": endpoint, **settings}, ConnectorContext(state=tmp_path))


@pytest.fixture
def aws(aws_endpoint: str, tmp_path: Path) -> Iterator[AwsConnector]:
    made = make(aws_endpoint, tmp_path)
    yield made
    made.close()


@pytest.fixture
def name() -> str:
    return f"bucket-{uuid4().hex[:12]}"


def test_a_new_bucket_is_made_and_an_own_one_is_left_alone(aws: AwsConnector, run: Run, name: str) -> None:
    arguments = {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND}
    first = run(aws, "aws.s3.create_bucket", arguments)
    again = run(aws, "aws.s3.create_bucket", arguments)
    assert (first.outcome, again.outcome) == (Outcome.MADE, Outcome.ALREADY_SO)
    assert isinstance(first.result, dict)
    assert isinstance(again.result, dict)
    assert again.result["Location"] == f"/{name}"


def test_a_second_bucket_in_us_east_1_is_not_made_again(aws: AwsConnector, run: Run, name: str) -> None:
    """AWS answers 200 to it, and would reset its ACL."""
    target = {"region": "us-east-1"}
    assert run(aws, "aws.s3.create_bucket", {"Bucket": name}, target=target).outcome is Outcome.MADE
    assert run(aws, "aws.s3.create_bucket", {"Bucket": name}, target=target).outcome is Outcome.ALREADY_SO


def test_a_bucket_of_another_region_is_not_taken_for_the_one_asked_for(
    aws: AwsConnector, run: Run, failing: Failing, name: str
) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name}, target={"region": "us-east-1"})
    failure = failing(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    assert (failure.error_class, failure.code) == (ErrorClass.REJECTED, "ExistsAndDiffers")


@pytest.fixture
def forbidding() -> Iterator[tuple[str, list[str]]]:
    """A server that answers 403 to everything, and its list of methods asked for."""
    asked: list[str] = []

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # named by http.server
            asked.append(self.command)
            self.send_response(403)
            self.end_headers()

        def do_PUT(self) -> None:
            self.do_HEAD()

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}", asked


def test_a_bucket_of_somebody_else_is_left_alone_and_said_to_be_theirs(
    forbidding: tuple[str, list[str]], tmp_path: Path, failing: Failing, name: str
) -> None:
    """The stand-in lets every account see every bucket; AWS answers 403."""
    endpoint, asked = forbidding
    aws = make(endpoint, tmp_path, account_id="123456789012")
    failure = failing(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    assert (failure.error_class, failure.code) == (ErrorClass.REJECTED, "Foreign")
    assert asked == ["HEAD"]
    aws.close()


def test_a_proxy_of_the_environment_is_not_asked_for_a_local_endpoint(
    aws: AwsConnector, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert run(aws, "aws.s3.list_buckets", {}).outcome is Outcome.READ


def test_a_setting_says_what_it_was_before(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})

    def tag(value: str) -> ActionResult:
        tags: JsonValue = [{"Key": "team", "Value": value}, {"Key": "kind", "Value": "x"}]
        return run(aws, "aws.s3.put_bucket_tagging", {"Bucket": name, "Tagging": {"TagSet": tags}})

    made, changed, again = tag("one"), tag("two"), tag("two")
    assert (made.outcome, made.before) == (Outcome.MADE, None)
    assert changed.outcome is Outcome.CHANGED
    assert isinstance(changed.before, dict)
    assert {"Key": "team", "Value": "one"} in changed.before["TagSet"]  # type: ignore[operator]  # a list of tags
    assert again.outcome is Outcome.ALREADY_SO


def test_deleting_what_is_gone_is_already_so(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    assert run(aws, "aws.s3.delete_bucket", {"Bucket": name}).outcome is Outcome.CHANGED
    assert run(aws, "aws.s3.delete_bucket", {"Bucket": name}).outcome is Outcome.ALREADY_SO


def test_a_role_is_compared_with_what_is_asked_for(aws: AwsConnector, run: Run, failing: Failing, name: str) -> None:
    arguments: dict[str, JsonValue] = {"RoleName": name, "AssumeRolePolicyDocument": TRUST}
    first = run(aws, "aws.iam.create_role", arguments)
    again = run(aws, "aws.iam.create_role", arguments)
    assert (first.outcome, again.outcome) == (Outcome.MADE, Outcome.ALREADY_SO)
    assert role_arn(first) == role_arn(again)
    other = {**arguments, "AssumeRolePolicyDocument": TRUST.replace("ec2", "lambda")}
    failure = failing(aws, "aws.iam.create_role", other)
    assert failure.code == "ExistsAndDiffers"
    assert "AssumeRolePolicyDocument" in str(failure)


def role_arn(answer: ActionResult) -> JsonValue:
    assert isinstance(answer.result, dict)
    role = answer.result["Role"]
    assert isinstance(role, dict)
    # The type of the document is text, although botocore decodes it.
    assert isinstance(role["AssumeRolePolicyDocument"], str)
    return role["Arn"]


def test_a_membership_is_looked_for_in_a_list(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.iam.create_user", {"UserName": name})
    run(aws, "aws.iam.create_group", {"GroupName": name})
    arguments = {"UserName": name, "GroupName": name}
    assert run(aws, "aws.iam.add_user_to_group", arguments).outcome is Outcome.MADE
    assert run(aws, "aws.iam.add_user_to_group", arguments).outcome is Outcome.ALREADY_SO


def call_of(name: str, arguments: dict[str, JsonValue], **more: object) -> ActionCall:
    given: dict[str, object] = {"token": uuid4(), "request_id": "r", "step_path": "s", "timeout_seconds": 20.0, **more}
    return ActionCall(action=name, arguments=arguments, **given)  # type: ignore[arg-type]  # the parts of a call


def action_of(aws: AwsConnector, name: str) -> AwsAction:
    action = aws.find(name)
    assert action is not None
    return action


def test_a_lost_answer_does_not_hide_who_made_it(aws: AwsConnector, run: Run, name: str) -> None:
    """Before the first call nothing was there; the resend finds the bucket, and knows that the first made it."""
    call = call_of("aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    action = action_of(aws, call.action)
    call = replace(call, pre_read=action.read_before(call))
    action.run(call)
    again = action.run(replace(call, resent=True))
    assert again.outcome is Outcome.MADE
    assert isinstance(again.result, dict)
    assert again.result["Location"] == f"/{name}"
    assert run(aws, call.action, dict(call.arguments)).outcome is Outcome.ALREADY_SO


def test_a_resent_change_still_says_what_it_was_before(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})

    def tagging(value: str) -> dict[str, JsonValue]:
        return {"Bucket": name, "Tagging": {"TagSet": [{"Key": "team", "Value": value}]}}

    run(aws, "aws.s3.put_bucket_tagging", tagging("one"))
    call = call_of("aws.s3.put_bucket_tagging", tagging("two"))
    action = action_of(aws, call.action)
    call = replace(call, pre_read=action.read_before(call))
    action.run(call)
    again = action.run(replace(call, resent=True))
    assert again.outcome is Outcome.CHANGED
    assert again.before == {"TagSet": [{"Key": "team", "Value": "one"}]}


def test_a_resent_deletion_knows_that_it_was_there(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    call = call_of("aws.s3.delete_bucket", {"Bucket": name})
    action = action_of(aws, call.action)
    call = replace(call, pre_read=action.read_before(call))
    assert action.run(call).outcome is Outcome.CHANGED
    assert action.run(replace(call, resent=True)).outcome is Outcome.CHANGED
    assert run(aws, call.action, {"Bucket": name}).outcome is Outcome.ALREADY_SO


def test_a_deleted_setting_says_what_it_was(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    tags: JsonValue = [{"Key": "team", "Value": "one"}]
    run(aws, "aws.s3.put_bucket_tagging", {"Bucket": name, "Tagging": {"TagSet": tags}})
    gone = run(aws, "aws.s3.delete_bucket_tagging", {"Bucket": name})
    assert (gone.outcome, gone.before) == (Outcome.CHANGED, {"TagSet": tags})


@pytest.mark.parametrize(
    ("action_name", "arguments", "member", "id_name"),
    [
        ("aws.ec2.create_vpc", {"CidrBlock": "10.9.0.0/16"}, "Vpc", "VpcId"),
        ("aws.ec2.create_internet_gateway", {}, "InternetGateway", "InternetGatewayId"),
        ("aws.ec2.allocate_address", {"Domain": "vpc"}, None, "AllocationId"),
    ],
)
def test_what_a_call_made_is_found_by_the_tag_it_put_there_and_nothing_else_is(
    aws: AwsConnector, action_name: str, arguments: dict[str, JsonValue], member: str | None, id_name: str
) -> None:
    own: JsonValue = [{"ResourceType": RESOURCE[id_name], "Tags": [{"Key": "team", "Value": "web"}]}]
    call = call_of(action_name, {**arguments, "TagSpecifications": own})
    action = action_of(aws, action_name)
    assert action.probe(call).presence is Presence.ABSENT
    made = action.run(call)
    found = action.probe(call)
    assert found.presence is Presence.OURS
    assert found.answer is not None
    assert found.answer.outcome is Outcome.MADE
    assert id_of(found.answer, member, id_name) == id_of(made, member, id_name)
    assert action.probe(replace(call, token=uuid4())).presence is Presence.ABSENT


RESOURCE = {"VpcId": "vpc", "InternetGatewayId": "internet-gateway", "AllocationId": "elastic-ip"}


def id_of(answer: ActionResult, member: str | None, id_name: str) -> JsonValue:
    assert isinstance(answer.result, dict)
    thing = answer.result if member is None else answer.result[member]
    assert isinstance(thing, dict)
    return thing[id_name]


def test_a_parameter_that_was_not_there_before_is_ours_and_the_same_again_makes_no_version(
    aws: AwsConnector, run: Run, failing: Failing, name: str
) -> None:
    arguments: dict[str, JsonValue] = {"Name": name, "Value": "v", "Type": "String", "Overwrite": True}
    call = call_of("aws.ssm.put_parameter", arguments)
    action = action_of(aws, call.action)
    call = replace(call, pre_read=action.read_before(call))
    assert action.probe(call).presence is Presence.ABSENT
    assert action.run(call).outcome is Outcome.MADE
    found = action.probe(call)
    assert found.presence is Presence.OURS
    assert found.answer is not None
    assert (found.answer.outcome, found.answer.result) == (Outcome.MADE, {"Version": 1})
    assert run(aws, call.action, arguments).outcome is Outcome.ALREADY_SO
    changed = run(aws, call.action, {**arguments, "Value": "w"})
    assert changed.outcome is Outcome.CHANGED
    assert action.probe(call).presence is Presence.FOREIGN, "it is there, and is not what this call asked for"


def test_a_probe_without_a_record_of_what_was_there_cannot_tell(aws: AwsConnector, name: str) -> None:
    call = call_of("aws.iam.create_policy", {"PolicyName": name, "PolicyDocument": TRUST})
    assert action_of(aws, call.action).probe(call).presence is Presence.CANNOT_TELL


def test_lines_of_a_content_folder_count_without_being_named(aws_endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions" / "aws-effects.yaml").write_text(
        "s3:\n  put_object: {effect: idempotent, why: No versioning here.}\n"
    )
    context = ConnectorContext(state=tmp_path, content_folders=(tmp_path,))
    aws = connector({**KEYS, "endpoint_url": aws_endpoint}, context)
    assert action_of(aws, "aws.s3.put_object").spec.effect is EffectClass.IDEMPOTENT
    aws.close()


def test_bytes_go_in_and_come_out_as_base64(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    content = base64.b64encode(bytes(range(256))).decode()
    run(aws, "aws.s3.put_object", {"Bucket": name, "Key": "k", "Body": content})
    answer = run(aws, "aws.s3.get_object", {"Bucket": name, "Key": "k"})
    assert answer.outcome is Outcome.READ
    assert isinstance(answer.result, dict)
    assert answer.result["Body"] == content
    assert "ResponseMetadata" not in answer.result
    assert str(answer.result["LastModified"]).endswith("Z")


def test_an_answer_beyond_the_bound_is_refused(
    aws_endpoint: str, tmp_path: Path, run: Run, failing: Failing, name: str
) -> None:
    aws = make(aws_endpoint, tmp_path, max_body_bytes=100)
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    content = base64.b64encode(b"x" * 101).decode()
    run(aws, "aws.s3.put_object", {"Bucket": name, "Key": "k", "Body": content})
    failure = failing(aws, "aws.s3.get_object", {"Bucket": name, "Key": "k"})
    assert (failure.error_class, failure.code) == (ErrorClass.PERMANENT, "AnswerTooLong")
    aws.close()


def test_all_pages_are_gathered_up_to_a_bound(aws: AwsConnector, run: Run, name: str) -> None:
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND})
    for key in "abcde":
        run(aws, "aws.s3.put_object", {"Bucket": name, "Key": key, "Body": ""})
    few = {"Bucket": name, "PaginationConfig": {"PageSize": 2}}
    assert keys(run(aws, "aws.s3.list_objects_v2", few)) == list("abcde")
    bounded = run(aws, "aws.s3.list_objects_v2", {**few, "PaginationConfig": {"PageSize": 2, "MaxItems": 3}})
    assert keys(bounded) == list("abc")
    assert isinstance(bounded.result, dict)
    assert bounded.result["NextToken"]


def keys(answer: ActionResult) -> list[JsonValue]:
    assert isinstance(answer.result, dict)
    listed = answer.result["Contents"]
    assert isinstance(listed, list)
    return [item["Key"] for item in listed if isinstance(item, dict)]


def test_the_token_of_the_effect_is_sent_where_aws_takes_one(aws: AwsConnector, run: Run) -> None:
    token = uuid4()
    images = run(aws, "aws.ec2.describe_images", {"Owners": ["amazon"]}, target={"region": "us-east-1"}).result
    assert isinstance(images, dict)
    assert isinstance(images["Images"], list)
    image = images["Images"][0]
    assert isinstance(image, dict)
    arguments = {"ImageId": image["ImageId"], "MinCount": 1, "MaxCount": 1}
    answer = run(aws, "aws.ec2.run_instances", arguments, token=token, target={"region": "us-east-1"})
    assert isinstance(answer.result, dict)
    instances = answer.result["Instances"]
    assert isinstance(instances, list)
    instance = instances[0]
    assert isinstance(instance, dict)
    assert instance["ClientToken"] == str(token)


def test_a_role_of_an_account_is_assumed(aws_endpoint: str, tmp_path: Path, run: Run) -> None:
    """The stand-in gives each account a world of its own, and tells which by the key that signs."""
    role = "arn:aws:iam::210987654321:role/orderly"
    aws = make(aws_endpoint, tmp_path, accounts={"data": {"role_arn": role, "region": "us-east-1"}})
    here = run(aws, "aws.sts.get_caller_identity", {}).result
    there = run(aws, "aws.sts.get_caller_identity", {}, target={"account": "data"}).result
    assert isinstance(here, dict)
    assert isinstance(there, dict)
    assert here["Account"] == "123456789012"
    assert there["Account"] == "210987654321"
    assert "assumed-role/orderly/orderly" in str(there["Arn"])
    aws.close()


def test_the_log_says_what_was_done_where(aws: AwsConnector, run: Run, name: str) -> None:
    lines: list[str] = []
    run(aws, "aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": IN_IRELAND}, log=lines.append)
    assert lines == ["aws.s3.create_bucket (eu-west-1): made"]


@pytest.mark.parametrize(
    ("action", "arguments", "code"),
    [
        ("aws.s3.get_bucket_encryption", {"Bucket": "no-such-bucket-anywhere"}, "NoSuchBucket"),
        ("aws.iam.get_role", {"RoleName": "nobody"}, "NoSuchEntity"),
        ("aws.s3.get_object", {"Bucket": "b"}, "ParamValidationError"),
        ("aws.s3.put_object", {"Bucket": "b", "Key": "k", "Body": "!"}, "ArgumentRefused"),
    ],
)
def test_what_aws_refuses_is_rejected_under_its_own_code(
    aws: AwsConnector, failing: Failing, action: str, arguments: dict[str, JsonValue], code: str
) -> None:
    failure = failing(aws, action, arguments)
    assert (failure.error_class, failure.code) == (ErrorClass.REJECTED, code)


def test_an_account_the_settings_do_not_name_is_permanent(aws: AwsConnector, failing: Failing) -> None:
    failure = failing(aws, "aws.s3.list_buckets", {}, target={"account": "nobody"})
    assert (failure.error_class, failure.code) == (ErrorClass.PERMANENT, "TargetUnknown")


def test_missing_credentials_are_permanent(
    aws_endpoint: str, tmp_path: Path, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    aws = connector({"endpoint_url": aws_endpoint, "region": "eu-west-1"}, ConnectorContext(state=tmp_path))
    failure = failing(aws, "aws.s3.list_buckets", {})
    assert (failure.error_class, failure.code) == (ErrorClass.PERMANENT, "NoCredentialsError")
    aws.close()


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """A server that takes connections and requests, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("action", "arguments", "expected"),
    [
        ("aws.sqs.send_message", {"QueueUrl": "http://127.0.0.1:1/q", "MessageBody": "m"}, ErrorClass.UNKNOWN),
        ("aws.sqs.list_queues", {}, ErrorClass.TRANSIENT),
        ("aws.ec2.terminate_instances", {"InstanceIds": ["i-12345678"]}, ErrorClass.UNKNOWN),
    ],
)
def test_a_request_without_an_answer_is_unknown_unless_it_only_reads(
    silent_endpoint: str,
    tmp_path: Path,
    failing: Failing,
    action: str,
    arguments: dict[str, JsonValue],
    expected: ErrorClass,
) -> None:
    aws = make(silent_endpoint, tmp_path, read_timeout=0.3)
    failure = failing(aws, action, arguments)
    assert (failure.error_class, failure.code) == (expected, "ReadTimeoutError")
    aws.close()


def test_a_call_ends_within_the_steps_timeout(silent_endpoint: str, tmp_path: Path, failing: Failing) -> None:
    aws = make(silent_endpoint, tmp_path)
    ended = threading.Event()
    failures: list[ActionFailed] = []

    def call() -> None:
        failures.append(failing(aws, "aws.sqs.list_queues", {}, timeout_seconds=1.0))
        ended.set()

    thread = threading.Thread(target=call)
    thread.start()
    assert ended.wait(10), "a call with a timeout of one second still runs after ten"
    thread.join()
    assert failures[0].error_class is ErrorClass.TRANSIENT
    aws.close()


def test_an_undeclared_operation_is_called_all_the_same(aws: AwsConnector, run: Run, name: str) -> None:
    action = aws.find("aws.iam.create_account_alias")
    assert action is not None
    assert action.spec.effect is EffectClass.NOT_REPEATABLE
    answer = run(aws, "aws.iam.create_account_alias", {"AccountAlias": name})
    assert answer.outcome is Outcome.MADE

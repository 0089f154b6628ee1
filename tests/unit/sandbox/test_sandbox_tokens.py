"""What the sandbox reads out of an AWS request, and what it answers when a token comes back with other arguments."""

import json
from urllib.parse import urlencode

import pytest

from connectors.aws.sandbox_tokens import AwsCall, AwsRequest, identify, mismatch, scope_of
from flows.sandbox.journal import Answer, Token
from flows.sandbox.token_proxy import Mismatch, TokenMemory


def authorization(service: str) -> dict[str, str]:
    return {
        "authorization": f"AWS4-HMAC-SHA256 Credential=AKIAX/20260101/eu-west-1/{service}/aws4_request, Signature=0"
    }


def run_instances(**form: str) -> AwsRequest:
    headers = {**authorization("ec2"), "content-type": "application/x-www-form-urlencoded"}
    body = urlencode({"Action": "RunInstances", "Version": "2016-11-15", **form}).encode()
    return AwsRequest("POST", "/", "", headers, body)


def transact(body: object) -> AwsRequest:
    headers = {
        **authorization("dynamodb"),
        "x-amz-target": "DynamoDB_20120810.TransactWriteItems",
        "content-type": "application/x-amz-json-1.0",
    }
    return AwsRequest("POST", "/", "", headers, json.dumps(body).encode())


def known(request: AwsRequest) -> AwsCall:
    call = identify(request)
    assert call is not None
    return call


def test_the_signature_says_who_asks_where_and_which_service() -> None:
    scope = scope_of(run_instances())
    assert scope is not None
    assert (scope.access_key, scope.region, scope.signing_name) == ("AKIAX", "eu-west-1", "ec2")


def test_a_presigned_address_says_it_too() -> None:
    query = urlencode({"X-Amz-Credential": "AKIAX/20260101/eu-west-1/s3/aws4_request"})
    scope = scope_of(AwsRequest("GET", "/bucket/key", query, {}, b""))
    assert scope is not None
    assert scope.signing_name == "s3"


def test_an_unsigned_request_is_no_call() -> None:
    assert identify(AwsRequest("GET", "/", "", {}, b"")) is None


def test_an_operation_nobody_knows_is_no_call() -> None:
    headers = {**authorization("ec2"), "content-type": "application/x-www-form-urlencoded"}
    assert identify(AwsRequest("POST", "/", "", headers, b"Action=MakeTea&Version=2016-11-15")) is None


def test_the_order_of_form_fields_and_the_signature_do_not_count_as_parameters() -> None:
    one = known(run_instances(ClientToken="t", MinCount="1", MaxCount="1"))
    other = known(run_instances(MaxCount="1", MinCount="1", ClientToken="t", **{"X-Amz-Signature": "abc"}))
    assert one.parameters == other.parameters


def test_spacing_and_key_order_in_json_do_not_count_as_parameters() -> None:
    request = transact({"ClientRequestToken": "t", "TransactItems": []})
    spaced = AwsRequest(
        request.method, request.path, "", request.headers, b'{ "TransactItems" : [], "ClientRequestToken" : "t" }'
    )
    assert known(request).parameters == known(spaced).parameters


def test_another_value_counts() -> None:
    one = known(run_instances(ClientToken="t", MinCount="1"))
    other = known(run_instances(ClientToken="t", MinCount="2"))
    assert one.parameters != other.parameters


@pytest.mark.parametrize(
    ("operation", "reads"),
    [("DescribeInstances", True), ("GetConsoleOutput", True), ("RunInstances", False), ("TerminateInstances", False)],
    ids=["describe", "get", "run", "terminate"],
)
def test_what_only_looks_is_told_from_what_may_change(operation: str, *, reads: bool) -> None:
    headers = {**authorization("ec2"), "content-type": "application/x-www-form-urlencoded"}
    request = AwsRequest("POST", "/", "", headers, f"Action={operation}&Version=2016-11-15".encode())
    assert known(request).reads_only is reads


def test_a_broken_body_has_no_token_and_no_traceback() -> None:
    request = transact({})
    broken = AwsRequest(request.method, request.path, "", request.headers, b"\xff{[")
    assert known(broken).token is None


def test_a_mismatch_is_the_operations_own_error_where_it_has_one() -> None:
    request = transact({"ClientRequestToken": "t"})
    error = mismatch(known(request), request)
    assert json.loads(error.body)["__type"] == "IdempotentParameterMismatchException"


def test_a_mismatch_in_ec2_is_ec2s_xml() -> None:
    request = run_instances(ClientToken="t")
    error = mismatch(known(request), request)
    assert error.status == 400
    assert b"<Response><Errors><Error><Code>IdempotentParameterMismatch</Code>" in error.body


def test_a_token_gets_its_first_answer_and_nothing_else() -> None:
    memory = TokenMemory()
    assert memory.first_answer("account/region/ec2/RunInstances/t", "digest") is None
    answer = Answer(200, (), b"first")
    memory.keep(Token("account/region/ec2/RunInstances/t", "digest", answer))
    assert memory.first_answer("account/region/ec2/RunInstances/t", "digest") is answer
    with pytest.raises(Mismatch):
        memory.first_answer("account/region/ec2/RunInstances/t", "other")
    assert memory.first_answer("account/other-region/ec2/RunInstances/t", "digest") is None

"""Every AWS operation that takes an idempotency token, as botocore itself sends it, is recognised with its token."""

from collections.abc import Iterator
from urllib.parse import urlencode

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer

from connectors.aws.sandbox_tokens import AwsRequest, identify, mismatch

TOKEN = "2c7f8b44-0f5e-5e0b-8d5e-000000000001"

# Two names of one service: the same signing name, the same addresses. Nothing on the wire tells them apart.
SAME_ON_THE_WIRE = {"wisdom": "qconnect"}


def operations_with_a_token() -> Iterator[tuple[ServiceModel, OperationModel]]:
    loader = Loader()
    for name in loader.list_available_services("service-2"):
        service = ServiceModel(loader.load_service_model(name, "service-2"), name)
        for operation_name in service.operation_names:
            operation = service.operation_model(operation_name)
            if operation.idempotent_members:
                yield service, operation


def as_sent(service: ServiceModel, operation: OperationModel, protocol: str) -> AwsRequest:
    arguments = {
        member: "x"
        for member, shape in operation.input_shape.members.items()
        if shape.serialization.get("location") == "uri" or shape.serialization.get("hostLabel")
    }
    arguments[operation.idempotent_members[0]] = TOKEN
    sent = create_serializer(protocol, include_validation=False).serialize_to_request(arguments, operation)
    headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
    body = sent["body"]
    if isinstance(body, dict):
        headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
        body = urlencode(body)
    path, _, fixed = sent["url_path"].partition("?")
    query = "&".join(part for part in (fixed, urlencode(sent["query_string"])) if part)
    signing_name = service.metadata.get("signingName") or service.metadata["endpointPrefix"]
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=sandbox/20260101/eu-west-1/{signing_name}/aws4_request, Signature=00"
    )
    return AwsRequest(sent["method"], path, query, headers, body.encode() if isinstance(body, str) else body or b"")


def test_every_operation_that_takes_a_token_is_recognised_with_it() -> None:
    tried: set[str] = set()
    wrong = []
    for service, operation in operations_with_a_token():
        for protocol in service.metadata.get("protocols") or [service.metadata["protocol"]]:
            request = as_sent(service, operation, protocol)
            call = identify(request)
            tried.add(protocol)
            expected = (SAME_ON_THE_WIRE.get(service.service_name, service.service_name), operation.name, TOKEN)
            found = None if call is None else (call.service, call.operation, call.token)
            if call is None or found != expected or not 400 <= mismatch(call, request).status < 500:
                wrong.append((expected, protocol, found))
    assert wrong == []
    assert tried == {"query", "ec2", "json", "rest-json", "rest-xml", "smithy-rpc-v2-cbor"}

"""Reading AWS requests from the outside: which operation one is, which idempotency token it carries, what it asks.

The sandbox's endpoint needs this to honour tokens as AWS does. It lives here because it reads botocore's service
models, and only `connectors/aws` may do that. It knows every protocol a botocore client speaks: query, ec2, json,
rest-json, rest-xml and smithy-rpc-v2-cbor.
"""

import gzip
import hashlib
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import RpcV2CBORParser

READING = re.compile(r"(Describe|List|Get|Head|BatchGet|Search|Lookup|Query|Scan)(?![a-z])")
"""Names of operations that the sandbox's memory leaves out. It saves the journal from polling, and says nothing about
effect classes, which are declared in effects.yaml."""

READING_THAT_WRITES = frozenset(
    {
        ("cognito-identity", "GetId"),  # makes the identity
        ("athena", "GetQueryResults"),  # moto hands queued results out once
        ("sts", "GetSessionToken"),  # makes credentials
        ("sts", "GetFederationToken"),
    }
)

_METADATA_WITHIN = 8192
"""Characters from the start of a service model within which its metadata stands (botocore 1.44: within 1500)."""

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
_CREDENTIAL_VALUE = re.compile(r"([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_RPC_V2 = re.compile(r"/service/([^/]+)/operation/([^/]+)$")
_TEMPLATE = re.compile(r"\{([^}]+)\}")
_MISMATCH = re.compile(r"Idempoten\w*(Mismatch|Exception|Error)|TokenAlreadyExists|TokenMismatch", re.IGNORECASE)
_CONFLICT = re.compile(r"ConflictException$|^Conflict$|ResourceExistsException$")
_SIGNING = re.compile(
    r"x-amz-(algorithm|credential|date|expires|signature|signedheaders|security-token)$", re.IGNORECASE
)

MISMATCH_TEXT = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."


@dataclass(frozen=True)
class AwsRequest:
    """One HTTP request as it came in. `path` is still percent-encoded; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def query_pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query, keep_blank_values=True)

    @cached_property
    def form_pairs(self) -> list[tuple[str, str]]:
        """The query string, and the body where it is a form: what the query and ec2 protocols send."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return self.query_pairs
        return self.query_pairs + parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)


@dataclass(frozen=True)
class Scope:
    """What the signature names: who asks (access key), which region, which service (its signing name)."""

    access_key: str
    region: str
    signing_name: str


@dataclass(frozen=True)
class AwsCall:
    """What a request turned out to be. `token` is None when none was given, or the operation takes none."""

    service: str
    operation: str
    scope: Scope
    token: str | None
    parameters: str = field(repr=False)
    """Digest of everything that was asked, without the signature. The token is part of it."""

    @property
    def reads_only(self) -> bool:
        """Whether the sandbox's memory may leave this call out."""
        return READING.match(self.operation) is not None and (self.service, self.operation) not in READING_THAT_WRITES


@dataclass(frozen=True)
class AwsError:
    """An error answer in the operation's own protocol."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Service:
    name: str
    metadata: Mapping[str, Any]

    @property
    def signing_name(self) -> str:
        return str(self.metadata.get("signingName") or self.metadata["endpointPrefix"])

    @property
    def protocols(self) -> Sequence[str]:
        return self.metadata.get("protocols") or [self.metadata["protocol"]]


def scope_of(request: AwsRequest) -> Scope | None:
    """What the signature (header or presigned) names, or None for an unsigned request."""
    found = _CREDENTIAL.search(request.headers.get("authorization", ""))
    if found is None:
        presigned = dict(request.query_pairs).get("X-Amz-Credential", "")
        found = _CREDENTIAL_VALUE.fullmatch(presigned)
    return Scope(*found.groups()) if found else None


def identify(request: AwsRequest) -> AwsCall | None:
    """Which call a request is. None when it is unsigned or belongs to no operation that botocore knows."""
    scope = scope_of(request)
    if scope is None:
        return None
    services = _services().get(scope.signing_name.lower(), ())
    found = _operation_by_name(request, services) or _operation_by_address(request, services)
    if found is None:
        return None
    service, operation = found
    return AwsCall(
        service=service.name,
        operation=operation.name,
        scope=scope,
        token=_token(request, operation),
        parameters=_parameters(request, operation),
    )


def mismatch(call: AwsCall, request: AwsRequest) -> AwsError:
    """What AWS answers when a token comes back with other arguments: the operation's own error where it has one."""
    operation = _model(call.service).operation_model(call.operation)
    code, status = _mismatch_code(operation)
    return _error(_spoken(request, operation), code, status, MISMATCH_TEXT)


def failure(request: AwsRequest, message: str) -> AwsError:
    """An InternalFailure (500) that a client of any protocol can read."""
    return _refusal(request, "InternalFailure", 500, message)


def throttled(request: AwsRequest) -> AwsError:
    """What AWS answers to a request that it throws away since there are too many."""
    return _refusal(request, "ThrottlingException", 400, "Rate exceeded.")


def _refusal(request: AwsRequest, code: str, status: int, message: str) -> AwsError:
    call = identify(request)
    spoken = "json"
    if call is not None:
        spoken = _spoken(request, _model(call.service).operation_model(call.operation))
    return _error(spoken, code, status, message)


# --- which operation ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _services() -> Mapping[str, Sequence[_Service]]:
    """Signing name -> services. Reads only the head of each model: all of them in 0.1 s, where parsing takes 10."""
    loader = Loader()
    found: dict[str, list[_Service]] = {}
    for name in loader.list_available_services("service-2"):
        version = loader.determine_latest_version(name, "service-2")
        metadata = _metadata(Path(loader.BUILTIN_DATA_PATH) / name / version)
        if metadata is not None:
            service = _Service(name, metadata)
            found.setdefault(service.signing_name.lower(), []).append(service)
    return found


def _metadata(folder: Path) -> Mapping[str, Any] | None:
    packed = folder / "service-2.json.gz"
    if packed.exists():
        with gzip.open(packed, "rt", encoding="utf-8") as stream:
            head = stream.read(_METADATA_WITHIN)
    else:
        plain = folder / "service-2.json"
        if not plain.exists():  # a model from elsewhere (~/.aws/models)
            return None
        with plain.open(encoding="utf-8") as stream:
            head = stream.read(_METADATA_WITHIN)
    at = head.index('"metadata"')
    metadata, _ = json.JSONDecoder().raw_decode(head, head.index("{", at))
    return dict(metadata)


@lru_cache(maxsize=32)
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def _operation_by_name(request: AwsRequest, services: Sequence[_Service]) -> tuple[_Service, OperationModel] | None:
    """The protocols in which the request says the operation's name: json, cbor, query and ec2."""
    target, _, name = request.headers.get("x-amz-target", "").rpartition(".")
    if not target and (found := _RPC_V2.search(request.path)):
        target, name = found.groups()
    if target:
        return _named([service for service in services if service.metadata.get("targetPrefix") == target], name)
    form = dict(request.form_pairs)
    if "Action" not in form:
        return None
    speaking = [service for service in services if {"query", "ec2"} & set(service.protocols)]
    versioned = [service for service in speaking if service.metadata["apiVersion"] == form.get("Version")]
    return _named(versioned or speaking, form["Action"])


def _named(services: Sequence[_Service], name: str) -> tuple[_Service, OperationModel] | None:
    for service in services:
        model = _model(service.name)
        if name in model.operation_names:
            return service, model.operation_model(name)
    return None


def _operation_by_address(request: AwsRequest, services: Sequence[_Service]) -> tuple[_Service, OperationModel] | None:
    """The REST protocols: method, path and fixed query parameters. The most literal address wins."""
    query = dict(request.query_pairs)
    best: tuple[tuple[int, int], _Service, OperationModel] | None = None
    for service in services:
        if not {"rest-json", "rest-xml"} & set(service.protocols):
            continue
        for route in _routes(service.name):
            weight = route.match(request.method, request.path, query)
            if weight is not None and (best is None or weight > best[0]):
                best = (weight, service, _model(service.name).operation_model(route.operation))
    return None if best is None else (best[1], best[2])


@dataclass(frozen=True)
class _Route:
    operation: str
    method: str
    path: re.Pattern[str]
    literal: int
    fixed: Mapping[str, str]

    def match(self, method: str, path: str, query: Mapping[str, str]) -> tuple[int, int] | None:
        """How specific the match is (fixed query parameters, literal characters), or None."""
        if method != self.method or not self.path.fullmatch(path):
            return None
        for name, value in self.fixed.items():
            if name not in query or (value and query[name] != value):
                return None
        return len(self.fixed), self.literal


@lru_cache(maxsize=32)
def _routes(service: str) -> Sequence[_Route]:
    model = _model(service)
    return [_route(model.operation_model(name)) for name in model.operation_names]


def _route(operation: OperationModel) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    pattern, at = "", 0
    for label in _TEMPLATE.finditer(path):
        pattern += re.escape(path[at : label.start()]) + (".+" if label[1].endswith("+") else "[^/]+")
        at = label.end()
    pattern += re.escape(path[at:])
    return _Route(
        operation=operation.name,
        method=operation.http.get("method", "POST"),
        path=re.compile(pattern.rstrip("/") + "/?"),
        literal=len(_TEMPLATE.sub("", path)),
        fixed=dict(parse_qsl(query, keep_blank_values=True)),
    )


# --- the token ---------------------------------------------------------------------------------------------------


def _token(request: AwsRequest, operation: OperationModel) -> str | None:
    for member in operation.idempotent_members:
        shape = operation.input_shape.members[member]
        value = _member(request, operation, member, shape)
        if value:
            return value
    return None


def _member(request: AwsRequest, operation: OperationModel, member: str, shape: Shape) -> str | None:
    """The value of one top-level text member of the input, wherever its protocol puts it."""
    name = shape.serialization.get("name", member)
    spoken = _spoken(request, operation)
    if spoken == "ec2":
        first = shape.serialization.get("queryName") or name[:1].upper() + name[1:]
        return dict(request.form_pairs).get(first)
    if spoken == "query":
        return dict(request.form_pairs).get(name)
    match shape.serialization.get("location"):
        case "header":
            return request.headers.get(name.lower())
        case "querystring":
            return dict(request.query_pairs).get(name)
        case _:
            return _in_body(request, spoken, name)


def _in_body(request: AwsRequest, spoken: str, name: str) -> str | None:
    if spoken == "rest-xml":
        return next((text for tag, text in _xml_children(request.body) if tag == name), None)
    document = _document(request.body, spoken)
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else None


def _xml_children(body: bytes) -> Iterator[tuple[str, str]]:
    try:
        root = ET.fromstring(body)  # noqa: S314 - a client on this machine talks to its own sandbox
    except ET.ParseError:
        return
    for child in root:
        yield child.tag.rpartition("}")[2], (child.text or "").strip()


def _document(body: bytes, spoken: str) -> object:
    """The body as JSON-like data, or None when it is not."""
    if not body:
        return None
    try:
        if spoken == "smithy-rpc-v2-cbor":
            peekable = io.BufferedReader(io.BytesIO(body))
            return RpcV2CBORParser().parse_data_item(peekable)
        return json.loads(body)
    except (ValueError, RecursionError, BotoCoreError):
        return None


def _parameters(request: AwsRequest, operation: OperationModel) -> str:
    """Digest of what is asked. Order and spacing do not count, nor do signatures."""
    spoken = _spoken(request, operation)
    if spoken in {"query", "ec2"}:
        asked: object = sorted(pair for pair in request.form_pairs if not _SIGNING.match(pair[0]))
    else:
        document = _document(request.body, spoken)
        asked = {
            "method": request.method,
            "path": unquote(request.path),
            "query": sorted(pair for pair in request.query_pairs if not _SIGNING.match(pair[0])),
            "headers": sorted(_member_headers(request, operation)),
            "body": request.body.hex() if document is None else document,
        }
    canonical = json.dumps(asked, sort_keys=True, default=repr)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _member_headers(request: AwsRequest, operation: OperationModel) -> Iterator[tuple[str, str]]:
    if operation.input_shape is None:
        return
    for member, shape in operation.input_shape.members.items():
        name = shape.serialization.get("name", member).lower()
        location = shape.serialization.get("location")
        if location == "header" and name in request.headers:
            yield name, request.headers[name]
        elif location == "headers":
            yield from ((key, value) for key, value in request.headers.items() if key.startswith(name))


# --- errors ------------------------------------------------------------------------------------------------------


def _spoken(request: AwsRequest, operation: OperationModel) -> str:
    """The protocol of this very request: a service may be reached by several."""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return "smithy-rpc-v2-cbor"
    if "x-amz-target" in request.headers:
        return "json"
    metadata = operation.service_model.metadata
    protocols = metadata.get("protocols") or [metadata["protocol"]]
    offered = [name for name in protocols if name not in {"smithy-rpc-v2-cbor", "json"}]
    return str(offered[0] if offered else metadata["protocol"])


def _mismatch_code(operation: OperationModel) -> tuple[str, int]:
    """The error code and HTTP status: the operation's mismatch error, else its conflict, else EC2's name for it."""
    for wanted in (_MISMATCH, _CONFLICT):
        for shape in operation.error_shapes:
            if wanted.search(shape.name):
                error = shape.metadata.get("error", {})
                return str(error.get("code", shape.name)), int(error.get("httpStatusCode", 400))
    return "IdempotentParameterMismatch", 400


def _error(spoken: str, code: str, status: int, message: str) -> AwsError:
    kind = "Receiver" if status >= 500 else "Sender"
    text = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    match spoken:
        case "ec2":
            body = f"<Response><Errors><Error>{text}</Error></Errors><RequestID>sandbox</RequestID></Response>"
            return AwsError(status, "text/xml", {}, body.encode())
        case "query" | "rest-xml":
            error = f"<Error><Type>{kind}</Type>{text}</Error>"
            body = f"<ErrorResponse>{error}<RequestId>sandbox</RequestId></ErrorResponse>"
            return AwsError(status, "text/xml", {}, body.encode())
        case "smithy-rpc-v2-cbor":
            headers = {"smithy-protocol": "rpc-v2-cbor"}
            return AwsError(status, "application/cbor", headers, _cbor({"__type": code, "message": message}))
        case _:
            body = json.dumps({"__type": code, "message": message})
            content_type = "application/json" if spoken == "rest-json" else "application/x-amz-json-1.1"
            return AwsError(status, content_type, {"x-amzn-errortype": code}, body.encode())


def _cbor(texts: Mapping[str, str]) -> bytes:
    """A map of texts in CBOR (RFC 8949: major types 5 and 3), which is all that an error needs."""
    encoded = bytes([0xA0 + len(texts)])
    for text in (text for pair in texts.items() for text in pair):
        raw = text.encode()
        encoded += bytes([0x79]) + len(raw).to_bytes(2, "big") + raw
    return encoded

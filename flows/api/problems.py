"""The one table of the API's errors: every answer that is no success is RFC 9457 `application/problem+json`.

A problem never repeats what the caller sent (it may be a secret) and never holds a traceback.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from flows import errors
from flows.records.errors import RecordsUnavailable
from request_models.json_values import escape_pointer

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:orderly:problem:"

log = logging.getLogger(__name__)


class ProblemPart(BaseModel):
    """One thing that is wrong with what was sent."""

    pointer: str | None = Field(None, description="JSON pointer (RFC 6901) into the body; absent for parameters.")
    parameter: str | None = Field(None, description="Name of the query parameter, path parameter or header.")
    code: str = Field(description="Stable name of the rule that was broken.")
    message: str = Field(description="What is wrong and what would be right, for a person.")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="Stable URI of the kind of problem.")
    title: str = Field(description="The kind of problem, in a few words.")
    status: int = Field(description="The HTTP status, repeated for clients that see only the body.")
    detail: str = Field(description="What happened here, and what to do, for a person.")
    instance: str = Field(description="The path that was called.")
    errors: list[ProblemPart] | None = Field(None, description="Each thing that is wrong with the input.")
    incident: str | None = Field(None, description="Names the entry in the server's log; only with status 500.")


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its stable name, status and title; `detail` is the example shown in the documentation."""

    name: str
    status: int
    title: str
    detail: str

    @property
    def uri(self) -> str:
        """The `type` member of RFC 9457."""
        return TYPE_PREFIX + self.name


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("malformed-json", 400, "The body is not valid JSON", "Line 1, column 9: a value is missing."),
        Kind("bad-http", 400, "The request cannot be read", "The request is not what HTTP allows."),
        Kind(
            "unauthenticated",
            401,
            "No valid key or token",
            "Send an access token or an API key as `Authorization: Bearer ...`, or a key as `X-API-Key: KEY`.",
        ),
        Kind("not-allowed", 403, "Not allowed", "This needs the scope 'requests:create', which you lack."),
        Kind(
            "may-not-decide",
            403,
            "Not yours to decide",
            "anna ordered this: nobody approves a request of his own.",
        ),
        Kind("no-such-route", 404, "No such address", "There is nothing here. See /openapi.json for what there is."),
        Kind("unknown-model", 404, "No such request model", "There is no request model 'bucket' in the catalogue."),
        Kind("unknown-request", 404, "No such request", "There is no request with this id that you may see."),
        Kind("unknown-task", 404, "No such task", "There is no task with this id that you may see."),
        Kind("unknown-approval", 404, "No such approval", "There is no approval with this id that you may see."),
        Kind("method-not-allowed", 405, "Method not allowed", "This address does not take PUT."),
        Kind("wrong-state", 409, "Not possible in this state", "The request is fulfilled; it cannot be retried."),
        Kind(
            "not-possible",
            409,
            "Not possible for this step",
            "The model does not go on without create; complete it by hand, correct the inputs, or retry it.",
        ),
        Kind("approval-closed", 409, "Decided already", "The approval is approved, by dora; nothing is to be decided."),
        Kind(
            "other-digest",
            409,
            "Not what would be done now",
            "You decided on something else than what would be done now. Look again, then decide.",
        ),
        Kind(
            "changed-meanwhile",
            412,
            "Changed since you looked",
            "It was changed since you looked: version 4 is now 5. Look again, then decide.",
        ),
        Kind("too-large", 413, "The body is too large", "A body may have 1048576 bytes at most."),
        Kind("not-json", 415, "The body must be JSON", "Send `Content-Type: application/json`, uncompressed."),
        Kind("invalid-request", 422, "The request is not well formed", "See `errors`; nothing was recorded."),
        Kind("invalid-inputs", 422, "The inputs are not as the model asks", "See `errors`; nothing was recorded."),
        Kind("invalid-result", 422, "The result is not of its type", "See `errors`; nothing was recorded."),
        Kind(
            "idempotency-mismatch",
            422,
            "Idempotency-Key used before with another body",
            "Send the first body again to get its answer, or use a new key.",
        ),
        Kind(
            "ordered-before",
            409,
            "Ordered before from this ticket",
            "The ticket in `source` has ordered this before, with other inputs. Send an Idempotency-Key.",
        ),
        Kind(
            "not-eligible",
            403,
            "Not for this requester or user",
            "The model says who may order it, and for whom; nothing was recorded.",
        ),
        Kind("refused", 422, "The order is refused", "The order cannot be accepted as it is; nothing was recorded."),
        Kind("too-many-calls", 429, "Too many calls", "You call more often than is allowed. Wait for `Retry-After`."),
        Kind("internal", 500, "Internal error", "Something went wrong here. Nothing is known about your request."),
        Kind(
            "unavailable",
            503,
            "Not available now",
            "The records cannot be reached; nothing was recorded. Try again with the same Idempotency-Key.",
        ),
    )
}


class ApiProblem(HTTPException):
    """Ends a call with a problem. It is an HTTPException because FastAPI hides any other error of reading a body."""

    def __init__(
        self,
        kind: str,
        detail: str | None = None,
        *,
        errors: Sequence[ProblemPart] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = KINDS[kind]
        self.parts = tuple(errors)
        super().__init__(self.kind.status, detail or self.kind.detail, dict(headers or {}))


def unauthenticated(detail: str | None = None, *, error: str | None = None) -> ApiProblem:
    """401, with the challenge that RFC 9110 asks for; `error` is RFC 6750's word for what is wrong with a token."""
    challenge = 'Bearer realm="orderly"' + (f', error="{error}"' if error else "")
    return ApiProblem("unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def wrong_parameter(name: str, message: str) -> ApiProblem:
    """422 for one query parameter or header."""
    part = ProblemPart(parameter=name, code="invalid", message=message)
    return ApiProblem("invalid-request", f"The parameter {name!r} is not usable: {message}", errors=[part])


def install_problems(app: FastAPI) -> None:
    """Make every error of the application answer as a problem."""
    app.add_exception_handler(ApiProblem, _api_problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(errors.OrderlyError, _orderly_error)
    app.add_exception_handler(RecordsUnavailable, _records_unavailable)
    app.add_exception_handler(Exception, _unexpected)


async def send_problem(problem: ApiProblem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem from below the application (ASGI middleware)."""
    await _response(problem, scope["path"])(scope, receive, send)


def _response(problem: ApiProblem, path: str, incident: str | None = None) -> JSONResponse:
    body = _document(problem, path, incident)
    return JSONResponse(
        body.model_dump(exclude_none=True), problem.kind.status, dict(problem.headers or {}), media_type=PROBLEM_JSON
    )


def _document(problem: ApiProblem, path: str, incident: str | None) -> Problem:
    return Problem(
        type=problem.kind.uri,
        title=problem.kind.title,
        status=problem.kind.status,
        detail=problem.detail,
        instance=path,
        errors=list(problem.parts) or None,
        incident=incident,
    )


async def _api_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiProblem)
    return _response(error, request.url.path)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """What the router itself refuses."""
    assert isinstance(error, HTTPException)
    kind, detail = {
        404: ("no-such-route", None),
        405: ("method-not-allowed", f"This address does not take {request.method}."),
    }.get(error.status_code, ("bad-http", str(error.detail)))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return _response(ApiProblem(kind, detail, headers=headers), request.url.path)


def _methods(request: Request) -> set[str]:
    """All that the address takes; the router itself names those of the first operation it finds."""
    methods: set[str] = set()
    for route in request.app.state.operations:
        if isinstance(route, Route) and route.matches(dict(request.scope))[0] is not Match.NONE:
            methods |= route.methods or set()
    return methods


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    parts = [_part(fault) for fault in error.errors()]
    count = "One thing is" if len(parts) == 1 else f"{len(parts)} things are"
    problem = ApiProblem("invalid-request", f"{count} wrong; nothing was recorded. See `errors`.", errors=parts)
    return _response(problem, request.url.path)


_MESSAGES = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such member here.",
    "string_type": "This must be text.",
    "dict_type": "This must be an object.",
    "model_type": "This must be an object.",
    "model_attributes_type": "This must be an object.",
    "list_type": "This must be a list.",
    "int_parsing": "This must be a whole number.",
}
"""In place of the words of the library, which speak of its own types."""


def _part(fault: Mapping[str, Any]) -> ProblemPart:
    place, *rest = fault["loc"]
    message = _MESSAGES.get(fault["type"], fault["msg"])
    if place == "body":
        pointer = "".join(f"/{escape_pointer(str(step))}" for step in rest)
        return ProblemPart(pointer=pointer, code=fault["type"], message=message)
    return ProblemPart(parameter=".".join(str(step) for step in rest), code=fault["type"], message=message)


async def _orderly_error(request: Request, error: Exception) -> JSONResponse:
    return _response(_problem_of(error), request.url.path)


_KIND_OF: Mapping[type[errors.OrderlyError], str] = {
    errors.UnknownModel: "unknown-model",
    errors.NotEligible: "not-eligible",
    errors.OrderedBefore: "ordered-before",
    errors.IdempotencyMismatch: "idempotency-mismatch",
    errors.RequestNotFound: "unknown-request",
    errors.TaskNotFound: "unknown-task",
    errors.ApprovalNotFound: "unknown-approval",
    errors.ApprovalClosed: "approval-closed",
    errors.OtherDigest: "other-digest",
    errors.MayNotDecide: "may-not-decide",
    errors.NotAllowed: "not-allowed",
    errors.WrongState: "wrong-state",
    errors.TaskClosed: "wrong-state",
    errors.NotPossible: "not-possible",
    errors.ChangedMeanwhile: "changed-meanwhile",
    errors.RequestRefused: "refused",
}
"""Our own errors, as the front-end sees them; what is not named here, nor a kind of it, is a fault of ours."""


def problem_of(error: errors.OrderlyError, path: str) -> Problem:
    """The document that a call of `path` which ends with this error answers with. Raises what is a fault of ours."""
    return _document(_problem_of(error), path, None)


def _problem_of(error: Exception) -> ApiProblem:
    if isinstance(error, errors.InvalidInputs):
        parts = _parts("/inputs", error.problems)
        return ApiProblem("invalid-inputs", f"{error} Nothing was recorded.", errors=parts)
    if isinstance(error, errors.InvalidResult):
        parts = _parts("/result", error.problems)
        return ApiProblem("invalid-result", f"{error} Nothing was recorded.", errors=parts)
    kind = next((_KIND_OF[one] for one in type(error).__mro__ if one in _KIND_OF), None)
    if kind is None:
        raise error
    return ApiProblem(kind, str(error))


def _parts(below: str, faults: Iterable[errors.InputFault]) -> list[ProblemPart]:
    return [ProblemPart(pointer=f"{below}{one.pointer}", code=one.code, message=one.message) for one in faults]


async def _records_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s %s: the records are unavailable: %s", request.method, request.url.path, error)
    return _response(ApiProblem("unavailable", headers={"Retry-After": "2"}), request.url.path)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """The traceback goes to the log only; the caller gets the name under which it is found there."""
    incident = uuid.uuid4().hex[:12]
    log.error("incident %s: %s %s failed", incident, request.method, request.url.path, exc_info=error)
    detail = f"Something went wrong here. Give the operator the incident {incident}."
    return _response(ApiProblem("internal", detail), request.url.path, incident)

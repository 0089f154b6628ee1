"""What a body may be: at most 1 MiB, uncompressed, strict JSON. Everything else ends before a handler sees it."""

import json
from collections.abc import MutableMapping
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.api.problems import ApiProblem, send_problem
from request_models.json_values import MAX_DEPTH, JsonValue, NotJsonError, refuse_what_is_not_json

BODY_LIMIT = 1024 * 1024
"""Bytes."""


class BodyLimit:
    """ASGI middleware: refuses a body by its declared length, and counts what is streamed."""

    def __init__(self, app: ASGIApp, limit: int = BODY_LIMIT) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared_length(scope) > self._limit:
            await send_problem(_too_large(self._limit), scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise _too_large(self._limit)
            return message

        await self._app(scope, counted, send)


def _declared_length(scope: MutableMapping[str, Any]) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(limit: int) -> ApiProblem:
    # The connection cannot be used again: the rest of the body would be read as the next request.
    return ApiProblem("too-large", f"A body may have {limit} bytes at most.", headers={"Connection": "close"})


class StrictRequest(Request):
    """A request whose JSON is parsed by `parse_json`, once."""

    async def json(self) -> Any:
        """The body. Raises ApiProblem (400, 413)."""
        if not hasattr(self, "_strict"):
            self._strict = parse_json(await self.body())
        return self._strict


def refuse_what_is_not_said_to_be_json(request: Request) -> None:
    """Raise ApiProblem (415) for compressed bodies and other media types; a missing Content-Type counts as JSON."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise ApiProblem("not-json", f"The body is said to be {media_type[:80]!r}. Send it as `application/json`.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiProblem("not-json", "The body is compressed. Send it without `Content-Encoding`.")


def parse_json(body: bytes) -> JsonValue:
    """Read strict JSON (RFC 8259, I-JSON's limits).

    Refuses, with ApiProblem 400: invalid UTF-8, duplicate keys, NaN and infinities, lone surrogates, numbers that no
    double or machine can hold, nesting over 64 levels.
    """
    try:
        value: JsonValue = json.loads(
            body.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant, parse_int=_parse_int
        )
        refuse_what_is_not_json(value)
    except UnicodeDecodeError as error:
        raise ApiProblem("malformed-json", f"Byte {error.start} is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ApiProblem("malformed-json", f"Line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise ApiProblem("malformed-json", f"It is nested deeper than {MAX_DEPTH} levels.") from None
    except NotJsonError as error:
        raise ApiProblem("malformed-json", f"At {error.pointer or '/'}: {error.why}.") from None
    return value


_LONGEST_INTEGER = 300
"""Digits. A double ends there too; Python itself refuses to parse 4300."""


def _parse_int(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise NotJsonError("", f"a whole number has more than {_LONGEST_INTEGER} digits")
    return int(digits)


def _without_duplicates(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NotJsonError("", "an object names the same member twice")
    return members


def _refuse_constant(name: str) -> JsonValue:
    raise NotJsonError("", f"{name} is not JSON")

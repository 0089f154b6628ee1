"""The route class of everything under /v1: first the key, then the body, then the handler."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor, register_url_convertor

from flows.api.authentication import authenticate
from flows.api.bodies import StrictRequest, refuse_what_is_not_said_to_be_json

_MEDIA_TYPE = b"content-type"
_JSON = (_MEDIA_TYPE, b"application/json")


class _IdConvertor(StringConvertor):
    """An id in a path, without what may be done to it: in `/v1/requests/ID:retry` the id is `ID`."""

    regex = "[^/:]+"


register_url_convertor("id", _IdConvertor())


class GuardedRoute(APIRoute):
    """Authenticates before anything of the body is looked at, and reads bodies strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the framework, guarded."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            application, limits = request.app.state.application, request.app.state.rate_limits
            request.state.caller = await run_in_threadpool(authenticate, application.callers, limits, request)
            scope = request.scope
            if self.body_field is not None:
                refuse_what_is_not_said_to_be_json(request)
                # The framework reads a body as JSON only if it is said to be; ours is JSON or nothing.
                scope = {**scope, "headers": [*_without_media_type(scope["headers"]), _JSON]}
            return await handle(StrictRequest(scope, request.receive))

        return guarded


def _without_media_type(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name != _MEDIA_TYPE]

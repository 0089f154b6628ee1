"""The route class of everything under /v1: first the key, then the body, then the handler."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from flows.api.authentication import authenticate
from flows.api.bodies import StrictRequest, refuse_what_is_not_said_to_be_json


class GuardedRoute(APIRoute):
    """Authenticates before anything of the body is looked at, and reads bodies strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the framework, guarded."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            application = request.app.state.application
            request.state.caller = await run_in_threadpool(authenticate, application.records, request)
            if self.body_field is not None:
                refuse_what_is_not_said_to_be_json(request)
            return await handle(StrictRequest(request.scope, request.receive))

        return guarded

"""The application's HTTP face, put together."""

from importlib.metadata import version

from fastapi import FastAPI

from flows.api.bodies import BodyLimit
from flows.api.documentation import openapi_of
from flows.api.problems import install_problems
from flows.api.reference import add_reference
from flows.api.routes import (
    approval_links,
    approvals,
    catalogue,
    events,
    following,
    health,
    holds,
    locks,
    requests,
    tasks,
)
from flows.api.waiting import WaitingRoom
from flows.identity.rate_limits import RateLimits
from flows.wiring import Application


def create_app(application: Application) -> FastAPI:
    """The API of an opened application. The caller closes the application when the server has ended."""
    # Opened here, by one thread: the handlers run in many, and find no half-opened parts.
    _ = (
        application.callers,
        application.corrections,
        application.tasks,
        application.approval_links,
        application.events,
    )
    # No redirects for slashes: half of the clients lose body and method on the way; a wrong address is a plain 404.
    app = FastAPI(title="Orderly", version=version("orderly"), redirect_slashes=False, docs_url=None, redoc_url=None)
    app.state.application = application
    app.state.operations = []
    app.state.waiting_room = WaitingRoom()
    app.state.rate_limits = RateLimits(application.settings.identity.rate)
    install_problems(app)
    app.add_middleware(BodyLimit)
    for noun in (catalogue, requests, following, approvals, holds, locks, tasks, events, health):
        app.include_router(noun.router)
        app.state.operations += noun.router.routes
    app.include_router(approval_links.router)
    app.openapi = openapi_of(app)  # type: ignore[method-assign] # the way FastAPI's documentation gives
    add_reference(app)
    return app

"""What handlers need of the request at hand: the application, and views for its caller."""

from fastapi import Request

from flows.api.views import Views
from flows.wiring import Application


def application_of(request: Request) -> Application:
    """The application that this API serves."""
    application = request.app.state.application
    assert isinstance(application, Application)
    return application


def views_for(request: Request) -> Views:
    """Shapes with this application's links, in the caller's language."""
    settings = application_of(request).settings
    return Views(settings.api.url, settings.prefect.ui, request.headers.get("accept-language"))

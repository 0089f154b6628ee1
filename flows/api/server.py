"""How the API is served: by uvicorn, quietly."""

import uvicorn

from flows.api.app import create_app
from flows.api.connections import MOST_CONNECTIONS, ImpatientProtocol
from flows.wiring import Application

_DRAIN_SECONDS = 5
"""How long calls under way may take when the server is told to stop."""


def server(application: Application, host: str, port: int) -> uvicorn.Server:
    """A server of this application's API, not yet running. It ends well on SIGTERM and SIGINT."""
    config = uvicorn.Config(
        create_app(application),
        host=host,
        port=port,
        log_config=None,
        # Query strings and ids of other people's tickets do not belong into a log.
        access_log=False,
        server_header=False,
        http=ImpatientProtocol,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    return uvicorn.Server(config)

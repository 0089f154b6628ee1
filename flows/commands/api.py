"""`orderly api`: the HTTP API."""

import logging
from typing import Annotated

import typer
import uvicorn

from flows.api.app import create_app
from flows.commands.output import LOG_FORMAT
from flows.settings import load_settings
from flows.wiring import Application

app = typer.Typer(add_completion=False)

_DRAIN_SECONDS = 5


@app.command()
def api(
    port: Annotated[int | None, typer.Option(help="Where to listen; by default the settings' api.port.")] = None,
) -> None:
    """Run the HTTP API alone, until SIGTERM. Its records must have been migrated."""
    settings = load_settings()
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    application = Application.open(settings)
    try:
        uvicorn.run(
            create_app(application),
            host=settings.api.host,
            port=port or settings.api.port,
            log_config=None,
            # Query strings and ids of other people's tickets do not belong into a log.
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
    finally:
        application.close()

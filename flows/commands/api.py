"""`orderly api`: the HTTP API."""

import logging
from typing import Annotated

import typer

from flows.api.server import server
from flows.commands.output import LOG_FORMAT
from flows.settings import load_settings
from flows.wiring import Application

app = typer.Typer(add_completion=False)


@app.command()
def api(
    port: Annotated[int | None, typer.Option(help="Where to listen; by default the settings' api.port.")] = None,
) -> None:
    """Run the HTTP API alone, until SIGTERM. Its records must have been migrated."""
    settings = load_settings()
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with Application.open(settings) as application:
        server(application, settings.api.host, port or settings.api.port).run()

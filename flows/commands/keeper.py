"""`orderly keeper`: dispatch and reconciliation."""

import logging

import typer

from flows.commands.output import LOG_FORMAT
from flows.keeper import run_keeper
from flows.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def keeper() -> None:
    """Run the keeper alone, until SIGTERM. Killing it loses nothing; two of them do no harm."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    run_keeper(load_settings())

"""`orderly worker`: the worker of this machine."""

import typer

from flows.settings import load_settings
from flows.worker.service import run_worker

app = typer.Typer(add_completion=False)


@app.command()
def worker() -> None:
    """Run the worker of this machine alone, until SIGTERM. Runs under way are ended; the keeper starts them again."""
    run_worker(load_settings())

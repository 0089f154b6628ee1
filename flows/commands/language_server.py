"""`orderly language-server`: for editors that speak the Language Server Protocol."""

import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

import request_models
from flows.commands.exits import UNAVAILABLE, CommandFailed
from flows.commands.local import local_settings
from flows.wiring import Application

app = typer.Typer(add_completion=False)


@app.command()
def language_server(
    reference: Annotated[
        str | None,
        typer.Option(help="Where the page of the checks is served; diagnostics link to it. By default this clone's."),
    ] = None,
    _stdio: Annotated[bool, typer.Option("--stdio", help="Standard input and output: the only way there is.")] = True,
) -> None:
    """Speak the Language Server Protocol on standard input and output; an editor starts this, no person."""
    if find_spec("pygls") is None:
        raise CommandFailed(
            "The language server needs the extra `editor`: pip install 'orderly[editor]' into the environment of "
            f"{sys.executable}.",
            UNAVAILABLE,
        )
    from flows.language_server import ModelServer  # noqa: PLC0415 - needs the extra, which may not be there

    # Only the protocol may go out on standard output: whatever else is printed there goes to the log of the editor.
    writing = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with Application.open(local_settings()) as application:
        ModelServer(application, version("orderly"), reference or _own_reference()).serve(sys.stdin.buffer, writing)


def _own_reference() -> str | None:
    """The page in this clone; an installed Orderly has none."""
    page = Path(request_models.__file__).resolve().parents[1] / "docs" / "reference" / "checks.md"
    return page.as_uri() if page.is_file() else None

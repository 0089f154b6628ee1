"""What commands write: for people on a terminal, plain lines elsewhere, JSON where it is asked for."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console

from request_models.json_values import JsonValue

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]


def console() -> Console:
    """Standard output. Lines are not wrapped where nobody looks at a terminal, so that programs can read them."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, soft_wrap=True, width=10_000)


def write_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def write_json_line(value: object) -> None:
    """One JSON document on a line of its own, at once: for commands that go on."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))
    sys.stdout.flush()


def complain(message: str, exit_code: int, details: Mapping[str, JsonValue] | None = None, *, as_json: bool) -> int:
    """Tell what went wrong, on standard error or as JSON; gives the exit code back."""
    if as_json:
        write_json({"error": {"message": message, "exit_code": exit_code, **(details or {})}})
    else:
        typer.echo(message, err=True)
    return exit_code

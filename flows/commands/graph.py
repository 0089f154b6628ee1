"""`orderly graph`: a model as a picture."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.exits import USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import plan_of_model
from flows.commands.output import AsJson, write_json
from flows.wiring import Application
from request_models.drawing.flow import graph_of
from request_models.drawing.mermaid import to_mermaid
from request_models.drawing.svg import to_svg

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """How the picture is written."""

    MERMAID = "mermaid"
    SVG = "svg"


_WRITERS = {Format.MERMAID: to_mermaid, Format.SVG: to_svg}


@app.command()
def graph(
    model: Annotated[str, typer.Argument(help="The model's name, or its file.")],
    written: Annotated[Format, typer.Option("--format", help="Mermaid text, or an SVG file.")] = Format.MERMAID,
    output: Annotated[Path | None, typer.Option(help="The file to write; by default standard output.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a model: who asks and approves, steps, branches and loops in order, what each reads, how it is undone."""
    with Application.open(local_settings()) as application:
        plan = plan_of_model(application, model)
    picture = _WRITERS[written](graph_of(plan))
    if output is not None:
        _write(output, picture)
    if as_json:
        write_json({"model": plan.model, "format": written, "output": output, "text": None if output else picture})
    elif output is None:
        typer.echo(picture, nl=False)


def _write(output: Path, picture: str) -> None:
    try:
        output.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}.", USAGE) from None

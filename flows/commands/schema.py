"""`orderly schema`: the JSON Schema of model files, for editors."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.exits import USAGE, CommandFailed
from flows.commands.output import write_json
from request_models.editor_schema import editor_schema

app = typer.Typer(add_completion=False)


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; by default standard output.")
    ] = None,
) -> None:
    """Write the JSON Schema of model files: what an editor completes, explains and checks them from."""
    if output is None:
        write_json(editor_schema())
        return
    text = json.dumps(editor_schema(), ensure_ascii=False, indent=2)
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}.", USAGE) from error

"""`orderly check`: whether the models are right."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.exits import OK, REFUSED
from flows.commands.local import local_settings
from flows.commands.models import compile_models, load_models
from flows.commands.output import AsJson, console, write_json
from flows.wiring import Application
from request_models.diagnostics import render_text

app = typer.Typer(add_completion=False)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Model files or folders; by default all that the settings name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check models as publishing would, and say what is wrong with file, line, and what to write instead."""
    with Application.open(local_settings()) as application:
        compiled = compile_models(application, load_models(application, paths or ()))
    names = sorted(compiled.compilations)
    if as_json:
        write_json(
            {"ok": not compiled.wrong, "models": names, "diagnostics": [one.to_json() for one in compiled.diagnostics]}
        )
    else:
        screen = console()
        if compiled.diagnostics:
            screen.print(render_text(compiled.diagnostics), markup=False)
        right = len(compiled.plans)
        screen.print(f"{right} of {len(names)} models are right." if names else "No models found.", markup=False)
    raise typer.Exit(REFUSED if compiled.wrong else OK)

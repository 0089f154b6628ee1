"""`orderly show`: a model as the compiler sees it."""

import json
from enum import StrEnum
from io import StringIO
from typing import Annotated

import typer
from ruamel.yaml import YAML

from flows.commands.exits import REFUSED, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import compile_one, find_model
from flows.commands.output import AsJson, write_json
from flows.wiring import Application
from request_models.compiler import Compilation
from request_models.diagnostics import render_text
from request_models.json_values import JsonValue

app = typer.Typer(add_completion=False)


class StageName(StrEnum):
    """The compiler's stages."""

    LOADED = "loaded"
    RESOLVED = "resolved"
    TYPED = "typed"
    PLANNED = "planned"


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="The model's name, or its file.")],
    stage: Annotated[StageName, typer.Option(help="The compiler's stage to look at.")] = StageName.PLANNED,
    as_json: AsJson = False,
) -> None:
    """Show a model as one of the compiler's stages sees it."""
    with Application.open(local_settings()) as application:
        compilation = compile_one(application, find_model(application, model))
    shown = _stage(compilation, stage)
    if as_json:
        write_json(shown)
    else:
        typer.echo(_as_yaml(shown), nl=False)


def _stage(compilation: Compilation, stage: StageName) -> dict[str, JsonValue]:
    found = compilation.stages.get(stage.value)
    if found is None:
        raise CommandFailed(
            f"The model is wrong, so there is no stage {stage.value}:\n{render_text(compilation.diagnostics)}",
            REFUSED,
            {"diagnostics": [one.to_json() for one in compilation.diagnostics]},
        )
    return found.to_json()


def _as_yaml(value: dict[str, JsonValue]) -> str:
    writer = YAML()
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = 120
    text = StringIO()
    # Names of enums are plain text in JSON; the writer knows only plain text.
    writer.dump(json.loads(json.dumps(value)), text)
    return text.getvalue()

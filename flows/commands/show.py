"""`orderly show`: a model as the compiler sees it."""

import json
from difflib import get_close_matches
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML

from flows.commands.exits import REFUSED, USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import load_models
from flows.commands.output import AsJson, write_json
from flows.wiring import Application
from request_models.compiler import Compilation, ModelSource, compile_model
from request_models.diagnostics import render_text
from request_models.json_values import JsonValue
from request_models.loading import Loaded

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
        source = _find(application, model)
        compilation = compile_model(source, application.registry, application.settings.public)
    shown = _stage(compilation, stage)
    if as_json:
        write_json(shown)
    else:
        typer.echo(_as_yaml(shown), nl=False)


def _find(application: Application, model: str) -> ModelSource:
    """By name; what looks like a path is a file."""
    loaded = load_models(application, [Path(model)] if model.endswith((".yaml", ".yml")) else ())
    source = loaded.models[0] if model.endswith((".yaml", ".yml")) and loaded.models else loaded.find(model)
    if source is None:
        raise CommandFailed(_missing(model, loaded), USAGE)
    return source


def _missing(model: str, loaded: Loaded) -> str:
    if loaded.diagnostics:
        return f"{model!r} is not among the models that can be read:\n{render_text(loaded.diagnostics)}"
    names = [source.model for source in loaded.models]
    near = get_close_matches(model, names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names) or 'none'}."
    return f"There is no model {model!r}. {hint}"


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

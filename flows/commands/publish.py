"""`orderly publish`: models -> records and Prefect deployments."""

import time
from typing import Annotated

import typer

from flows.commands.exits import REFUSED, UNAVAILABLE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import CompiledModels, compile_models
from flows.commands.output import AsJson, console, write_json
from flows.publishing import Published, publish, retire
from flows.wiring import Application
from request_models.diagnostics import has_errors, render_text
from request_models.loading import load_catalogue

app = typer.Typer(add_completion=False)

_LOOK_EVERY_SECONDS = 0.5


@app.command(name="publish")
def publish_models(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for Prefect, if it does not answer.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Publish every model that is right, and close to orders what is no longer there.

    A model that is wrong stays as it was published before. Orders are taken at once; while Prefect does not answer, the
    keeper makes the deployments later.
    """
    with Application.open(local_settings()) as application:
        loaded = load_catalogue(application.model_folders)
        compiled = compile_models(application, loaded)
        published = _publish(application, compiled, wait)
        # A file that could not be read may hold any model: then none is taken for gone.
        retired = [] if has_errors(loaded.diagnostics) else _retire_missing(application, set(compiled.compilations))
    if as_json:
        write_json(_as_json(compiled, published, retired))
    else:
        _print(compiled, published, retired)
    if compiled.wrong:
        raise typer.Exit(REFUSED)
    if not all(one.deployed for one in published):
        raise CommandFailed(
            "Orders are taken, but Prefect does not answer: the keeper makes the deployments when it does.", UNAVAILABLE
        )


def _publish(application: Application, compiled: CompiledModels, wait: float) -> list[Published]:
    deadline = time.monotonic() + wait
    while True:
        published = publish(application.records, application.registry, application.settings.prefect, compiled.plans)
        if all(one.deployed for one in published) or time.monotonic() >= deadline:
            return published
        time.sleep(_LOOK_EVERY_SECONDS)


def _retire_missing(application: Application, there: set[str]) -> list[str]:
    current = application.records.read(lambda tx: [row.model for row in tx.publications.all()])
    gone = [model for model in current if model not in there]
    for model in gone:
        retire(application.records, application.settings.prefect, model)
    return gone


def _as_json(compiled: CompiledModels, published: list[Published], retired: list[str]) -> dict[str, object]:
    return {
        "published": [
            {
                "model": one.publication.model,
                "version": one.publication.version,
                "digest": one.publication.digest,
                "deployed": one.deployed,
            }
            for one in published
        ],
        "retired": retired,
        "diagnostics": [one.to_json() for one in compiled.diagnostics],
    }


def _print(compiled: CompiledModels, published: list[Published], retired: list[str]) -> None:
    screen = console()
    if compiled.diagnostics:
        screen.print(render_text(compiled.diagnostics), markup=False)
    for one in published:
        what = one.publication
        screen.print(f"{what.model}  version {what.version}  {what.digest[:12]}", markup=False)
    for model in retired:
        screen.print(f"{model}  closed to orders: it is in no folder any more", markup=False)
    if not published:
        screen.print("No models published.")

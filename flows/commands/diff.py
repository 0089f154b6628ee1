"""`orderly diff`: what changed between two versions of a model."""

from typing import Annotated

import typer

from flows.commands.exits import UNAVAILABLE, USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import plan_of_model
from flows.commands.output import AsJson, console, write_json
from flows.wiring import Application
from request_models.differences.difference import difference, render_difference
from request_models.plan import Plan

app = typer.Typer(add_completion=False)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A model's file or name.", metavar="A")],
    after: Annotated[
        str | None,
        typer.Argument(help="Its newer version; without it A is newer than what is published.", metavar="B"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what changed from one version of a model to another, and what it means for requests and orders.

    What may refuse an order that was valid before is marked with `!`.
    """
    with Application.open(local_settings()) as application:
        newest = plan_of_model(application, after or before)
        oldest = plan_of_model(application, before) if after else _published(application, newest.model)
    found = difference(oldest, newest)
    if as_json:
        write_json(found.to_json())
    else:
        console().print(render_difference(found), markup=False, end="")


def _published(application: Application, model: str) -> Plan:
    """The plan that is published now. Raises CommandFailed when there is none, RecordsUnavailable without records."""
    if not application.settings.keyring_file.exists():  # to look is no reason to make records
        raise CommandFailed(
            f"There are no records here ({application.settings.state}), so nothing is published: name two files, "
            "`orderly diff A B`.",
            UNAVAILABLE,
        )
    publication = application.records.read(lambda tx: tx.publications.current(model))
    if publication is None:
        raise CommandFailed(f"{model} is not published yet: name a file to compare it with, `orderly diff A B`.", USAGE)
    return application.records.read(lambda tx: tx.plans.get(publication.digest))

"""`orderly complete`: say that something was done by hand."""

from typing import Annotated

import typer

from flows.commands.acting import Item, Label, Minutes, Stay, Why, read_result, remarks, show_request
from flows.commands.client import ApiClient
from flows.commands.exits import USAGE, CommandFailed
from flows.commands.output import AsJson, console, write_json
from request_models.json_values import JsonValue

app = typer.Typer(add_completion=False)


@app.command()
def complete(  # noqa: PLR0913, PLR0917 - one for each option of the command
    what: Annotated[str, typer.Argument(metavar="ID", help="The task's id; with --step, the request's.")],
    why: Why,
    step: Annotated[str | None, typer.Option(help="The step of a request on hold.")] = None,
    item: Item = "",
    result: Annotated[
        str, typer.Option(metavar="JSON", help="What came of it, as JSON; @FILE, or - for standard input.")
    ] = "{}",
    minutes: Minutes = None,
    label: Label = None,
    stay: Stay = False,
    as_json: AsJson = False,
) -> None:
    """Say that a task is done; or, with --step, that you did what a step of a request on hold was to do."""
    body: dict[str, JsonValue] = {"result": read_result(result), **remarks(why, minutes, label)}
    if step is None and (item or stay):
        raise CommandFailed("--item and --stay go with --step.", USAGE)
    with ApiClient.of_this_machine() as client:
        if step is not None:
            body |= {"step": step, "item": item, "go_on": not stay}
            show_request(client.act_on_hold(what, "complete", body), as_json=as_json)
            return
        task = client.act_on_task(what, "complete", body)
    if as_json:
        write_json(task)
    else:
        console().print(f"Done. Its request goes on: orderly watch {task['request']['id']}", markup=False)

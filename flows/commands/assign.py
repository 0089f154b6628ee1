"""`orderly assign`: give a hold, or a task, to somebody."""

from typing import Annotated

import typer

from flows.commands.acting import Label, Minutes, Why, remarks
from flows.commands.client import ApiClient
from flows.commands.exits import USAGE, CommandFailed
from flows.commands.output import AsJson, console, write_json

app = typer.Typer(add_completion=False)


@app.command()
def assign(
    what: Annotated[str, typer.Argument(metavar="ID", help="The request's id; with --task, the task's.")],
    why: Why,
    team: Annotated[str | None, typer.Option(help="The team.")] = None,
    person: Annotated[str | None, typer.Option("--to", metavar="PERSON", help="Id of the person.")] = None,
    task: Annotated[bool, typer.Option("--task", help="ID is a task's.")] = False,
    minutes: Minutes = None,
    label: Label = None,
    as_json: AsJson = False,
) -> None:
    """Give a request on hold, or a task, to a team, to a person, or to both."""
    if team is None and person is None:
        raise CommandFailed("Say whose it is to be: --team TEAM, --to PERSON, or both.", USAGE)
    body = {**remarks(why, minutes, label), "team": team, "assignee": person}
    with ApiClient.of_this_machine() as client:
        answer = client.act_on_task(what, "assign", body) if task else client.act_on_hold(what, "assign", body)
    if as_json:
        write_json(answer)
        return
    assigned = answer["assigned"] if task else answer["hold"]["assigned"]
    whose = ", ".join(part for part in (assigned["team"], assigned["person"]) if part)
    console().print(f"It is now with {whose}.", markup=False)

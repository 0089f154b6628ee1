"""`orderly tasks`: what requests ask of people."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.client import ApiClient
from flows.commands.exits import USAGE, CommandFailed
from flows.commands.output import AsJson, console, write_json

app = typer.Typer(add_completion=False)


@app.command()
def tasks(
    task_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this task with its history.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those assigned to me.")] = False,
    everybodys: Annotated[bool, typer.Option("--all", help="Those of all teams.")] = False,
    state: Annotated[str, typer.Option(help="open, done, cancelled or any.")] = "open",
    as_json: AsJson = False,
) -> None:
    """List the tasks of your teams and your own, those due first at the head."""
    if mine and everybodys:
        raise CommandFailed("--mine and --all exclude each other.", USAGE)
    with ApiClient.of_this_machine() as client:
        if task_id is not None:
            _show(client.task(task_id), as_json=as_json)
            return
        whose = "mine" if mine else "all" if everybodys else "teams"
        found = client.tasks({"whose": whose, "state": state})
    if as_json:
        write_json({"tasks": found["items"], "more": found["more"]})
        return
    screen = console()
    screen.print(_table(found["items"]) if found["items"] else "No tasks.")
    if found["more"]:
        screen.print("There are more than are shown.")


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("Id", "Team", "Person", "Due", "Task", "For"):
        table.add_column(title, no_wrap=title == "Id")
    for task in found:
        style = "bold red" if task["overdue"] else ""
        table.add_row(
            task["id"],
            Text(task["assigned"]["team"]),
            Text(task["assigned"]["person"] or ""),
            Text(_moment(task["due"]), style=style),
            Text(task["title"] or "(secret)"),
            Text(f"{task['request']['title']} ({task['request']['id'][:8]})"),
        )
    return table


def _show(task: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(task)
        return
    screen = console()
    assigned, due = task["assigned"], _moment(task["due"]) or "-"
    lines = [
        f"{task['title'] or '(secret)'}  [{task['state']}]",
        f"  {task['instructions'] or '(secret)'}",
        f"  team {assigned['team']}, person {assigned['person'] or '-'}, due {due}",
        f"  for request {task['request']['id']} ({task['request']['title']}), step {task['step']}",
        *(f"  {_moment(note['at'])}  {note['actor']}: {note['event']} {note['text']}" for note in task["history"]),
    ]
    if task["state"] == "open":
        lines.append(f"  When it is done: orderly complete {task['id']} --result '...' --why '...'")
    for line in lines:
        screen.print(Text(line))


def _moment(text: str | None) -> str:
    return "" if text is None else f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"

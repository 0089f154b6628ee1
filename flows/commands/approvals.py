"""`orderly approvals`: what is asked of people to decide."""

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.client import ApiClient
from flows.commands.deciding import moment, show_approval
from flows.commands.output import AsJson, console, write_json

app = typer.Typer(add_completion=False)


@app.command()
def approvals(
    approval_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this one and what it is for.")] = None,
    everybodys: Annotated[bool, typer.Option("--all", help="Those asked of anybody.")] = False,
    state: Annotated[str, typer.Option(help="open, approved, rejected, withdrawn or any.")] = "open",
    as_json: AsJson = False,
) -> None:
    """List what you are asked to decide, due first."""
    with ApiClient.of_this_machine() as client:
        if approval_id is not None:
            show_approval(client.approval(approval_id), as_json=as_json)
            return
        found = client.approvals({"whose": "all" if everybodys else "mine", "state": state})
    if as_json:
        write_json({"approvals": found["items"], "more": found["more"]})
        return
    screen = console()
    screen.print(_table(found["items"]) if found["items"] else "Nothing is asked of you.")
    if found["more"]:
        screen.print("There are more than are shown.")


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("Id", "Approval", "State", "Due", "For", "Requester"):
        table.add_column(title, no_wrap=title == "Id")
    for one in found:
        table.add_row(
            one["id"],
            Text(one["approval"]),
            Text(one["state"]),
            Text(moment(one["due"])),
            Text(f"{one['request']['title']} ({one['request']['id'][:8]})"),
            Text(one["request"]["requester"]),
        )
    return table

"""`orderly locks`: who holds the locks of requests, who waits, and how those of a request on hold are freed."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.acting import Label, Minutes, remarks
from flows.commands.client import ApiClient
from flows.commands.exits import USAGE, CommandFailed
from flows.commands.output import AsJson, console, write_json

app = typer.Typer(add_completion=False)


@app.command()
def locks(
    release: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Free those that this request on hold keeps; a retry takes them again."),
    ] = None,
    why: Annotated[str | None, typer.Option(help="Why they are freed; it goes into the audit.")] = None,
    minutes: Minutes = None,
    label: Label = None,
    as_json: AsJson = False,
) -> None:
    """List the locks that are held or waited for, with who holds each and who waits, the next first."""
    if (release is None) != (why is None):
        raise CommandFailed("--release ID and --why WHY go together.", USAGE)
    with ApiClient.of_this_machine() as client:
        if release is not None and why is not None:
            request = client.act_on_hold(release, "release-locks", remarks(why, minutes, label))
            if as_json:
                write_json(request)
            else:
                console().print(f"Request {request['id']} is on hold, and holds no locks any more.", markup=False)
            return
        found = client.locks()
    if as_json:
        write_json({"locks": found["items"], "more": found["more"]})
        return
    screen = console()
    screen.print(_table(found["items"]) if found["items"] else "No locks.")
    if found["more"]:
        screen.print("There are more than are shown.")


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("Lock", "Request", "Model", "State", "", "Since"):
        table.add_column(title, no_wrap=title == "Request")
    for lock in found:
        for one in (*lock["held_by"], *lock["waiting"]):
            held = one["held_since"] is not None
            since = _moment(one["held_since"] if held else one["asked"])
            cells = (lock["name"], one["request"], one["model"], one["state"], "holds" if held else "waits", since)
            table.add_row(*map(Text, cells), style="" if held else "dim")
    return table


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"

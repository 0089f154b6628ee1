"""`orderly requests`: list requests."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.client import ApiClient
from flows.commands.output import AsJson, console, write_json
from flows.commands.progress import state_text

app = typer.Typer(add_completion=False)

_LARGEST_PAGE = 200


@app.command()
def requests(
    state: Annotated[str | None, typer.Option(help="Only requests in this state.")] = None,
    model: Annotated[str | None, typer.Option(help="Only requests for this model.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of an id, a ticket's id or a person's name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the requests that the key may see, newest first."""
    wanted = {name: value for name, value in (("state", state), ("model", model), ("text", text)) if value}
    with ApiClient.of_this_machine() as client:
        found, more = _collect(client, wanted, limit)
    if as_json:
        write_json({"requests": found, "more": more})
        return
    screen = console()
    screen.print(_table(found) if found else "No requests.")
    if more:
        screen.print(f"There are more than {limit}; use --limit.")


def _collect(client: ApiClient, wanted: dict[str, str], limit: int) -> tuple[list[dict[str, Any]], bool]:
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = client.requests(
            {**wanted, "limit": min(limit - len(found), _LARGEST_PAGE), **({"page_token": token} if token else {})}
        )
        found += page["items"]
        token = page["next_page_token"]
        if token is None or len(found) >= limit:
            return found, token is not None


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("Id", "Model", "State", "For", "Submitted", ""):
        table.add_column(title, no_wrap=title == "Id")
    for request in found:
        submitted = datetime.fromisoformat(request["submitted"]).astimezone()
        table.add_row(
            request["id"],
            Text(request["model"]),
            state_text(request["state"]),
            Text(request["requested_for"]["name"] or request["requested_for"]["id"]),
            f"{submitted:%Y-%m-%d %H:%M:%S}",
            Text(request["state_reason"] if request["state"] in {"on_hold", "rejected"} else ""),
        )
    return table

"""`orderly watch`: follow a request."""

from typing import Annotated

import typer

from flows.commands.client import ApiClient
from flows.commands.exits import OK, REFUSED
from flows.commands.output import AsJson, console, write_json_line
from flows.commands.progress import follow, versions
from flows.commands.results import print_results

app = typer.Typer(add_completion=False)


@app.command()
def watch(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    as_json: AsJson = False,
) -> None:
    """Follow a request until it is fulfilled, or until a person must do something.

    With --json, one line of JSON for each change. Exit code 0 only if it is fulfilled.
    """
    with ApiClient.of_this_machine() as client:
        raise typer.Exit(watch_request(client, request_id, as_json=as_json))


def watch_request(client: ApiClient, request_id: str, *, as_json: bool) -> int:
    """Show a request until it rests; the exit code that says how it went."""
    if as_json:
        last = {}
        for last in versions(lambda: client.request(request_id)):
            write_json_line(last)
    else:
        screen = console()
        (last,) = follow([lambda: client.request(request_id)], screen)
        print_results(last, screen)
    return OK if last["state"] == "fulfilled" else REFUSED

"""`orderly cancel`: cancel a request."""

from typing import Annotated

import typer

from flows.commands.client import ApiClient
from flows.commands.output import AsJson
from flows.commands.reversing import show_reversal

app = typer.Typer(add_completion=False)


@app.command()
def cancel(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    why: Annotated[str, typer.Option(help="Why; it goes into the audit.")],
    leave: Annotated[bool, typer.Option("--leave", help="End it even if not all can be taken back.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a request: what runs is stopped, and what was done is taken back.

    What cannot be taken back is named at the end. With --watch, exit code 0 only if it was cancelled.
    """
    with ApiClient.of_this_machine() as client:
        show_reversal(client, client.cancel(request_id, why, leave=leave), watch=watch, as_json=as_json)

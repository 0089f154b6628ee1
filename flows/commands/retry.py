"""`orderly retry`: let a request that is on hold go on."""

from typing import Annotated

import typer

from flows.commands.client import ApiClient
from flows.commands.output import AsJson, console, write_json
from flows.commands.watch import watch_request

app = typer.Typer(add_completion=False)


@app.command()
def retry(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    why: Annotated[str, typer.Option(help="Why it will work now; it goes into the audit.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a request that is on hold go on from its failed step; what is done stays done."""
    with ApiClient.of_this_machine() as client:
        request = client.retry(request_id, why)
        if watch:
            raise typer.Exit(watch_request(client, request_id, as_json=as_json))
    if as_json:
        write_json(request)
    else:
        console().print(f"Request {request['id']} goes on. Follow it: orderly watch {request['id']}", markup=False)

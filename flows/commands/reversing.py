"""What a person is shown of a request that is being taken back."""

from typing import Any

import typer

from flows.commands.client import ApiClient
from flows.commands.exits import OK, REFUSED
from flows.commands.output import console, write_json
from flows.commands.watch import watch_request

_TAKEN_BACK = frozenset({"cancelled", "failed"})


def show_reversal(client: ApiClient, request: dict[str, Any], *, watch: bool, as_json: bool) -> None:
    """Say where a request stands that somebody cancelled or undid; with `watch`, follow it to its end."""
    if watch:
        watch_request(client, request["id"], as_json=as_json)
        raise typer.Exit(OK if client.request(request["id"])["state"] in _TAKEN_BACK else REFUSED)
    if as_json:
        write_json(request)
    elif request["state"] == "undoing":
        told = f"What request {request['id']} did is taken back. Follow it: orderly watch {request['id']}"
        console().print(told, markup=False)
    else:
        console().print(f"Request {request['id']} is {request['state']}: {request['state_reason']}", markup=False)

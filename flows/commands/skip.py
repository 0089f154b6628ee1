"""`orderly skip`: go on without a step."""

from typing import Annotated

import typer

from flows.commands.acting import Item, Label, Minutes, Stay, Why, remarks, show_request
from flows.commands.client import ApiClient
from flows.commands.output import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def skip(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    step: Annotated[str, typer.Option(help="The step.")],
    why: Why,
    item: Item = "",
    minutes: Minutes = None,
    label: Label = None,
    stay: Stay = False,
    as_json: AsJson = False,
) -> None:
    """Go on without a step of a request on hold, where its model says `on_failure: continue`."""
    body = {**remarks(why, minutes, label), "step": step, "item": item, "go_on": not stay}
    with ApiClient.of_this_machine() as client:
        show_request(client.act_on_hold(request_id, "skip", body), as_json=as_json)

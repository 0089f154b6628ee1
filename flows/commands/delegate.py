"""`orderly delegate`: have somebody else decide."""

from typing import Annotated

import typer

from flows.commands.client import ApiClient
from flows.commands.deciding import tell
from flows.commands.output import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def delegate(
    approval_id: Annotated[str, typer.Argument(metavar="ID", help="The approval's id.")],
    to: Annotated[str, typer.Option(help="Id of the person.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit.")],
    as_json: AsJson = False,
) -> None:
    """Have somebody else decide in your place."""
    with ApiClient.of_this_machine() as client:
        tell(client.decide(approval_id, "delegate", {"to": to, "reason": reason}), as_json=as_json)

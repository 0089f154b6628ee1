"""`orderly approve`: say yes."""

from typing import Annotated

import typer

from flows.commands.deciding import decide
from flows.commands.output import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def approve(
    approval_id: Annotated[str, typer.Argument(metavar="ID", help="The approval's id.")],
    digest: Annotated[
        str | None, typer.Option(help="Of what you saw; anything else is refused. By default of what is shown now.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit.")] = "",
    as_json: AsJson = False,
) -> None:
    """Approve what you were asked to decide; it is shown first."""
    decide(approval_id, "approve", digest, reason, as_json=as_json)

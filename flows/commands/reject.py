"""`orderly reject`: say no, and why."""

from typing import Annotated

import typer

from flows.commands.deciding import decide
from flows.commands.output import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def reject(
    approval_id: Annotated[str, typer.Argument(metavar="ID", help="The approval's id.")],
    reason: Annotated[str, typer.Option(help="Why; the requester is told.")],
    digest: Annotated[
        str | None, typer.Option(help="Of what you saw; anything else is refused. By default of what is shown now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Refuse what you were asked to decide: the request is rejected, and what it has done is taken back."""
    decide(approval_id, "reject", digest, reason, as_json=as_json)

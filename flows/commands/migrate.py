"""`orderly migrate`: bring the records to this version."""

from dataclasses import asdict

import typer

from flows.commands.local import local_settings
from flows.commands.output import AsJson, console, write_json
from flows.preparation import prepare

app = typer.Typer(add_completion=False)


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the records to this version, and make the keyring and this machine's API key where they are absent.

    `orderly up` does this itself. Elsewhere one process does it, before the others of a new version start.
    """
    done = prepare(local_settings())
    if as_json:
        write_json(asdict(done))
        return
    screen = console()
    screen.print(f"The records are migrated: {done.records}", markup=False)
    screen.print(f"{'Made' if done.key_made else 'Found'} this machine's API key: {done.local_api_key}", markup=False)

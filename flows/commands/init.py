"""`orderly init`: a folder for a team's own models, runbooks and connectors."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.exits import USAGE, CommandFailed
from flows.commands.new import write_new
from flows.commands.output import AsJson, console, write_json
from request_models.drafting import draft_from_template

app = typer.Typer(add_completion=False)

_FIRST = "first-logs"
_FOLDERS = ("models", "runbooks/playbooks", "runbooks/roles", "runbooks/inventory", "extensions", "tests")
_EMPTY = ("runbooks/playbooks", "runbooks/roles", "runbooks/inventory", "extensions", "tests")
_IGNORED = """\
# State of `orderly up` and `orderly demo`, and what Python and Ansible leave behind.
.orderly/
__pycache__/
*.retry
"""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder: one that is not there yet, or is empty.", metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Make a content folder: models, runbooks, extensions, tests, a first model. Nothing is overwritten."""
    _refuse_what_is_there(folder)
    written = _contents()
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"{folder} cannot be made: {error.strerror}.", USAGE) from None
    for name, text in written.items():
        write_new(folder / name, text)
    if as_json:
        write_json({"folder": folder, "files": sorted(written)})
        return
    screen = console()
    screen.print(f"Made {folder}. Next:", markup=False)
    screen.print(f"  orderly check {folder}", markup=False)
    screen.print(f"  orderly test {folder}", markup=False)
    screen.print(f"  export ORDERLY_CONTENT={folder.absolute()}", markup=False)
    screen.print("  orderly up --sandbox", markup=False)


def _refuse_what_is_there(folder: Path) -> None:
    try:
        found = sorted(path.name for path in folder.iterdir() if path.name != ".git") if folder.exists() else []
    except OSError as error:
        raise CommandFailed(f"{folder} is no folder that can be used: {error.strerror}.", USAGE) from None
    if found:
        raise CommandFailed(
            f"{folder} is not empty: it holds {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}. Nothing was "
            "changed. Name a folder that is not there yet.",
            USAGE,
        )


def _contents() -> dict[str, str]:
    """The files of a new folder, by their path in it."""
    readme = files("request_models").joinpath("templates", "README.md").read_text(encoding="utf-8")
    return {
        "README.md": readme,
        ".gitignore": _IGNORED,
        f"models/{_FIRST}.yaml": draft_from_template(_FIRST, "resource"),
        **{f"{name}/.gitkeep": "" for name in _EMPTY},
    }

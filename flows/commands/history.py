"""`orderly history export` and `import`: run history in the documented format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.exits import USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.output import AsJson, console, write_json
from flows.wiring import Application

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Write run history, or make it of another tool's log."
)

_Format = Annotated[str, typer.Option("--format", help="parquet, or jsonl for JSON lines.")]


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="Where the files are written.", metavar="DIR")],
    form: _Format = "parquet",
    as_json: AsJson = False,
) -> None:
    """Write the records as a history: secrets are left out, people stand under pseudonyms."""
    from flows.review.exporting import export as write  # noqa: PLC0415 - DuckDB takes a while to import
    from flows.review.exporting import pseudonym_key  # noqa: PLC0415 - as above

    lines = _lines(form)
    settings = local_settings()
    with Application.open(settings) as application:
        key = pseudonym_key(settings.keyring_file.with_name("pseudonyms"))
        counts = write(application.records, folder, key, lines=lines)
    _say(counts, folder, as_json=as_json)


@app.command("import")
def import_(
    log: Annotated[Path, typer.Argument(help="The log, a CSV file.", metavar="FILE")],
    mapping: Annotated[str, typer.Option("--map", help="A mapping file, or the name of a shipped one.", metavar="MAP")],
    folder: Annotated[Path, typer.Option("--to", help="Where the history is written.", metavar="DIR")] = Path(
        "history"
    ),
    form: _Format = "parquet",
    as_json: AsJson = False,
) -> None:
    """Make a history of another tool's log, by a mapping of its columns."""
    from flows.review.importing import import_log, read_mapping  # noqa: PLC0415 - as above

    counts = import_log(read_mapping(mapping), log, folder, lines=_lines(form))
    _say(counts, folder, as_json=as_json)


def _lines(form: str) -> bool:
    if form not in {"parquet", "jsonl"}:
        raise CommandFailed(f"--format is parquet or jsonl, not {form!r}.", USAGE)
    return form == "jsonl"


def _say(counts: Mapping[str, int], folder: Path, *, as_json: bool) -> None:
    if as_json:
        write_json({"folder": str(folder), "rows": dict(counts)})
        return
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    console().print(f"{folder}: {told or 'no rows: there is no history yet'}.", markup=False)

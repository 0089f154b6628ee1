"""`orderly doctor`: check this installation."""

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.exits import OK, REFUSED
from flows.commands.local import local_settings
from flows.commands.output import AsJson, console, write_json
from flows.diagnosis import Finding, Verdict, diagnose

app = typer.Typer(add_completion=False)

_MARKS = {
    Verdict.GOOD: Text("✔", style="green"),
    Verdict.IDLE: Text("·", style="yellow"),
    Verdict.BAD: Text("✘", style="bold red"),
}


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check settings, keys, records, connectors and what runs, and say what to do. Nothing is changed.

    Exit code 1 if something is wrong; what merely does not run is no fault.
    """
    findings = list(diagnose(local_settings()))
    bad = any(finding.verdict is Verdict.BAD for finding in findings)
    if as_json:
        write_json({"ok": not bad, "findings": [asdict(finding) for finding in findings]})
    else:
        console().print(_table(findings))
    raise typer.Exit(REFUSED if bad else OK)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        said = Text(finding.found)
        if finding.do:
            said.append(f"\n→ {finding.do}", style="bold")
        table.add_row(_MARKS[finding.verdict], finding.check, said)
    return table

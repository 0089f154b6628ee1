"""`orderly up`: all of it on this machine."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.exits import CommandFailed
from flows.commands.output import AsJson, console, write_json_line
from flows.settings import load_settings
from flows.supervision import Change, Phase, tail
from flows.up import Setup, run_up, set_up

app = typer.Typer(add_completion=False)


@app.command()
def up(
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="With an estate to act on: AWS endpoint, hosts, mail.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="The API's port; 0: any free one.")] = None,
    prefect_port: Annotated[int | None, typer.Option(help="Prefect's port; 0: any free one.")] = None,
    state: Annotated[Path | None, typer.Option(help="The state folder; nothing outside it changes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run all of it on this machine until Ctrl-C: Prefect, API, keeper and worker, from one folder.

    Stopping, killing and starting it again loses nothing.
    """
    if not sys.platform.startswith("linux"):
        raise CommandFailed("The engine runs on Linux. Here you can use check, show and submit.")
    settings = load_settings(**({"state": state} if state else {}))
    setup = set_up(settings, api_port=port, prefect_port=prefect_port, sandbox=sandbox)
    report = Report(setup, as_json)
    report.begin()
    run_up(setup, report.tell, report.ready)
    report.end()


@dataclass
class Report:
    """Tells what happens, as lines for people or as JSON lines for programs."""

    setup: Setup
    as_json: bool
    seconds: float = 0.0

    def begin(self) -> None:
        if self.as_json:
            write_json_line({"event": "starting", "state": self.setup.state})
        else:
            self._line(f"Starting Orderly in {self.setup.state} ...")

    def tell(self, change: Change) -> None:
        self.seconds = change.seconds
        if self.as_json:
            write_json_line(
                {
                    "event": "part",
                    "part": change.name,
                    "phase": change.phase,
                    "seconds": round(change.seconds, 2),
                    "exit_code": change.exit_code,
                }
            )
            return
        match change.phase:
            case Phase.READY | Phase.DONE:
                self._line(f"  {change.name:<10} ready after {change.seconds:.1f} s")
            case Phase.BACKING_OFF:
                self._line(f"  {change.name:<10} ended (exit code {change.exit_code}); starting it again; {change.log}")
            case Phase.GIVEN_UP if change.log is not None:
                self._line(f"  {change.name:<10} failed; the end of {change.log}:\n{tail(change.log)}")
            case _:
                return

    def ready(self) -> None:
        setup = self.setup
        if self.as_json:
            write_json_line(
                {
                    "event": "up",
                    "seconds": round(self.seconds, 2),
                    "api": setup.api_url,
                    "documentation": f"{setup.api_url}/docs",
                    "prefect": setup.prefect_url,
                    "state": setup.state,
                }
            )
            return
        self._line(f"Up after {self.seconds:.1f} s. Ctrl-C stops it.")
        self._line(f"  API         {setup.api_url}   (documentation: {setup.api_url}/docs)")
        self._line(f"  Prefect UI  {setup.prefect_url}")
        self._line(f"  Logs        {setup.state / 'logs'}")

    def end(self) -> None:
        if self.as_json:
            write_json_line({"event": "stopped"})
        else:
            self._line("Stopped.")

    def _line(self, text: str) -> None:
        console().print(text, markup=False)

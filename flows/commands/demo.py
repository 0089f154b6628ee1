"""`orderly demo`: everything on this machine, and three requests fulfilled before your eyes."""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from flows.commands.client import ApiClient
from flows.commands.exits import OK, REFUSED, UNAVAILABLE, CommandFailed
from flows.commands.output import console
from flows.commands.progress import follow
from flows.commands.results import print_results
from flows.commands.up import Report
from flows.demo import DemoOrder, demo_orders, prove
from flows.sandbox.errors import SandboxError
from flows.sandbox.inspection import status
from flows.settings import SETTINGS_FILES, load_settings
from flows.up import Setup, free_or_any, run_up, set_up
from flows.wiring import Application

app = typer.Typer(add_completion=False)

_FOLDER = Path(".orderly")


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End when all is shown; exit code 0 only if all is fulfilled.")
    ] = False,
    state: Annotated[Path, typer.Option(help="The state folder; nothing outside it changes.")] = _FOLDER,
) -> None:
    """Start everything with a sandbox, order what the catalogue ships, prove what was made; up until Ctrl-C."""
    settings = load_settings(state=state)
    setup = set_up(settings, api_port=free_or_any(settings.api.port), prefect_port=free_or_any(4200), sandbox=True)
    show = _Show(setup)
    report = Report(setup, as_json=False)
    report.begin()

    def begin() -> None:
        report.ready()
        show.begin()

    run_up(setup, report.tell, begin, until=lambda: once and show.over)
    report.end()
    raise typer.Exit(show.exit_code)


@dataclass
class _Show:
    """Orders and shows, in a thread of its own: the main thread supervises the parts."""

    setup: Setup
    exit_code: int = UNAVAILABLE
    _thread: threading.Thread | None = None
    _screen: Console = field(default_factory=console)

    @property
    def over(self) -> bool:
        """Whether all has been shown."""
        return self._thread is not None and not self._thread.is_alive()

    def begin(self) -> None:
        """Start showing."""
        # A daemon: Ctrl-C in the middle of it ends the program.
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.exit_code = self._show()
        except (CommandFailed, SandboxError) as error:
            self.exit_code = REFUSED
            self._say(str(error))

    def _show(self) -> int:
        began = time.monotonic()
        orders, left_out = self._possible(demo_orders())
        with self._client() as client:
            self._say("\nOrdering over the HTTP API:")
            accepted = []
            for order in orders:
                answer = client.submit(order.body)
                accepted.append(answer["id"])
                self._say(f"  POST /v1/requests  {order.model}  ->  202, request {answer['id']}")
            self._say("")
            requests = follow([_look(client, request_id) for request_id in accepted], self._screen)
        seconds = time.monotonic() - began
        fulfilled = [request["state"] == "fulfilled" for request in requests]
        for request in requests:
            print_results(request, self._screen)
        self._say(f"\n{sum(fulfilled)} of {len(requests)} requests fulfilled, {seconds:.1f} s after the first order.")
        pairs = zip(orders, requests, strict=True)
        proved = self._prove([(order, request) for order, request in pairs if request["state"] == "fulfilled"])
        self._addresses(requests)
        for order in left_out:
            self._say(f"Left out: {order.model}. {self._no_hosts()}")
        if left_out:
            return UNAVAILABLE
        return OK if all(fulfilled) and proved else REFUSED

    def _prove(self, made: list[tuple[DemoOrder, dict[str, Any]]]) -> bool:
        self._say("\nRead back from where it was made:")
        everything = True
        # The proof is of the sandbox, whose layer exists only now.
        os.environ[SETTINGS_FILES] = os.pathsep.join(str(path) for path in self.setup.layers)
        with Application.open(load_settings(state=self.setup.state)) as application:
            for order, request in made:
                for proof in prove(order, request, application.registry, self.setup.state):
                    everything = everything and bool(proof.seen)
                    mark = Text("✔ ", style="green") if proof.seen else Text("✘ ", style="bold red")
                    found = proof.seen or "NOT FOUND"
                    self._screen.print(Text("  ").append(mark).append(f"{proof.where}: {proof.what}: {found}"))
        return everything

    def _addresses(self, requests: list[dict[str, Any]]) -> None:
        self._say("\nLook around:")
        self._say(f"  API documentation  {self.setup.api_url}/docs")
        self._say(f"  Prefect UI         {self.setup.prefect_url}")
        for request in requests:
            self._say(f"  {request['model']:<17}  {request['links']['prefect']}")
        self._say(f"  On your own        export ORDERLY_STATE={self.setup.state}")
        self._say("                     orderly submit project-bucket -i project=mine --watch\n")

    def _possible(self, orders: list[DemoOrder]) -> tuple[list[DemoOrder], list[DemoOrder]]:
        """What this machine can do, and what it cannot: hosts need rights that not everybody has."""
        without = self._no_hosts() is not None
        left_out = [order for order in orders if order.needs_hosts and without]
        return [order for order in orders if order not in left_out], left_out

    def _no_hosts(self) -> str | None:
        running = status(self.setup.state)
        return "The sandbox does not run." if running is None else running.no_hosts

    def _client(self) -> ApiClient:
        key = self.setup.settings.local_api_key_file.read_text().strip()
        return ApiClient(self.setup.api_url, key)

    def _say(self, text: str) -> None:
        self._screen.print(text, markup=False)


def _look(client: ApiClient, request_id: str) -> Any:
    return lambda: client.request(request_id)

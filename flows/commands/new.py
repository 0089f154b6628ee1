"""`orderly new`: the first draft of a model."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

from flows.commands.exits import USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import CompiledModels, compile_models, load_models
from flows.commands.output import AsJson, console, write_json
from flows.wiring import Application
from request_models.actions import EffectClass
from request_models.diagnostics import render_text
from request_models.drafting import KINDS, Kind, draft_from_action, draft_from_template

app = typer.Typer(add_completion=False)

KindName = StrEnum("KindName", {kind.upper().replace("-", "_"): kind for kind in KINDS})  # type: ignore[misc]  # typer wants an enum; the kinds are listed once, in `drafting`


@app.command()
def new(
    model: Annotated[str, typer.Argument(help="The model's name: letters, digits, hyphens.")],
    kind: Annotated[KindName | None, typer.Option(help="From the template of this kind of request.")] = None,
    from_runbook: Annotated[str, typer.Option(help="From a runbook's interface: its name.", metavar="NAME")] = "",
    from_action: Annotated[
        str, typer.Option(help="From any action's interface, aws.SERVICE.OPERATION for one.", metavar="ACTION")
    ] = "",
    hosts: Annotated[str, typer.Option(help="The group of hosts that the drafted step runs on.")] = "",
    output: Annotated[
        Path | None, typer.Option(help="The file to write; by default MODEL.yaml, in models/ if that is here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draft a model from a template or an action's interface, and say what is to be filled in."""
    if from_runbook and from_action:
        raise CommandFailed("Give --from-runbook or --from-action, not both.", USAGE)
    action = f"runbook.{from_runbook.removeprefix('runbook.')}" if from_runbook else from_action
    if not action and kind is None:
        raise CommandFailed(
            f"Say what to draft from: --kind {'|'.join(KINDS)}, --from-runbook or --from-action.", USAGE
        )
    with Application.open(local_settings()) as application:
        named = cast(Kind, kind.value) if kind is not None else None
        text = _from_action(application, model, action, named, hosts) if action else ""
        text = text or draft_from_template(model, named or "resource")
        file = output or (Path("models") if Path("models").is_dir() else Path()) / f"{model}.yaml"
        write_new(file, text)
        compiled = compile_models(application, load_models(application, [file]))
    _tell(file, compiled, as_json)


def write_new(file: Path, text: str) -> None:
    """Write a file that is not there yet. Raises CommandFailed when it is, or cannot be written."""
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise CommandFailed(
            f"{file} is there already; it is left as it is. Name another with --output.", USAGE
        ) from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}.", USAGE) from None


def _from_action(application: Application, model: str, action: str, kind: Kind | None, hosts: str) -> str:
    registry = application.registry
    spec = registry.action(action).spec
    if hosts and not spec.takes_hosts:
        raise CommandFailed(f"{action} takes no hosts: leave --hosts out.", USAGE)
    guessed: Kind = "information" if spec.effect is EffectClass.READ_ONLY else "resource"
    return draft_from_action(model, spec, registry, kind=kind or guessed, hosts=hosts)


def _tell(file: Path, compiled: CompiledModels, as_json: bool) -> None:
    if as_json:
        to_fill_in = [one.to_json() for one in compiled.diagnostics]
        write_json({"file": file, "ok": not compiled.wrong, "to_fill_in": to_fill_in})
        return
    screen = console()
    screen.print(f"Drafted {file}.", markup=False)
    if compiled.diagnostics:
        screen.print("To be filled in:\n", markup=False)
        screen.print(render_text(compiled.diagnostics), markup=False)
    screen.print(
        "Look through title, service and owners" + (", then:" if compiled.wrong else "; it compiles:"), markup=False
    )
    screen.print(f"  orderly check {file}", markup=False)

"""`orderly check`: whether the models are right."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, assert_never

import typer

from flows.commands.exits import OK, REFUSED, USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import CheckedModels, check_models
from flows.commands.output import AsJson, console, write_json
from flows.wiring import Application
from request_models.diagnostic_codes import ALL_CODES
from request_models.diagnostic_formats import render_github, sarif_log
from request_models.diagnostics import Diagnostic, as_errors, has_errors, in_order, render_text

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """How the diagnostics are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


@dataclass(frozen=True)
class _Verdict:
    """What was found: the models by name, how many of them are right, and the diagnostics."""

    models: Sequence[str]
    right: int
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        return not has_errors(self.diagnostics)

    def __str__(self) -> str:
        return f"{self.right} of {len(self.models)} models are right." if self.models else "No models found."


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Model files or folders; by default all that the settings name.")
    ] = None,
    as_json: AsJson = False,
    output_format: Annotated[
        Format | None,
        typer.Option("--format", help="For people, programs, annotations of GitHub Actions, or code scanning."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", "--warnings-are-errors", help="Refuse warnings too.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compile all, also what did not change.")] = False,
    notes: Annotated[bool, typer.Option("--notes", help="Say too what can only be checked at run time.")] = False,
) -> None:
    """Check models as publishing would, and say what is wrong with file, line, and what to write instead."""
    if as_json and output_format not in {None, Format.JSON}:
        raise CommandFailed(f"--json and --format {output_format} exclude each other: write one of them.", USAGE)
    with Application.open(local_settings()) as application:
        checked = check_models(application, paths or (), remember=not fresh)
        verdict = _judge(checked, strict=strict, notes=notes)
    _write(verdict, Format.JSON if as_json else output_format or Format.TEXT)
    raise typer.Exit(OK if verdict.ok else REFUSED)


def _judge(checked: CheckedModels, *, strict: bool, notes: bool) -> _Verdict:
    right = [verdict for verdict in checked.verdicts.values() if verdict.right]
    if strict:
        right = [verdict for verdict in right if not verdict.diagnostics]
    found = as_errors(checked.diagnostics) if strict else checked.diagnostics
    if notes:
        found = in_order((*found, *checked.notes))
    return _Verdict(sorted(checked.verdicts), len(right), found)


def _write(verdict: _Verdict, output_format: Format) -> None:
    found = verdict.diagnostics
    match output_format:
        case Format.TEXT:
            _say(render_text(found) if found else "", verdict)
        case Format.GITHUB:
            _say(render_github(found, _root()).rstrip("\n"), verdict)
        case Format.JSON:
            diagnostics = [one.to_json() for one in found]
            write_json({"ok": verdict.ok, "models": verdict.models, "diagnostics": diagnostics})
        case Format.SARIF:
            meanings = {code.code: code.meaning for code in ALL_CODES}
            write_json(sarif_log(found, _root(), version("orderly"), meanings))
        case _:
            assert_never(output_format)


def _say(text: str, verdict: _Verdict) -> None:
    screen = console()
    if text:
        screen.print(text, markup=False)
    screen.print(str(verdict), markup=False)


def _root() -> Path:
    """What files are named relative to: GitHub shows annotations at paths of the repository."""
    return Path(os.environ.get("GITHUB_WORKSPACE") or ".")

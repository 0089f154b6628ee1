"""`orderly test`: the models' own examples."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.commands.exits import OK, REFUSED, USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import compile_models, load_models
from flows.commands.output import AsJson, console, write_json
from flows.examples.junit import junit_xml
from flows.examples.sandbox import sandbox_estate
from flows.examples.testing import ExampleResult, ModelResult, Outcome, Skips, run_examples
from flows.examples.worlds import played, real
from flows.wiring import Application
from request_models.diagnostics import Diagnostic, as_errors, in_order, render_text

app = typer.Typer(add_completion=False)

_LONGEST_LOG = 40


@app.command("test")
def run_tests(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Model files or folders; by default all that the settings name.")
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Run them for real, against an estate that is thrown away.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Untested branches, and examples that cannot run yet, are errors.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML too.", metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the examples of models, say what is not as expected with file and line, and which branches none of them goes.

    Without --sandbox nothing is touched: what steps answer is what the examples say, and waiting takes no time.
    """
    results, unread = _run(paths or (), sandbox=sandbox)
    if junit is not None:
        _write(junit, junit_xml(results))
    ok = _is_ok(results, unread, strict=strict)
    if as_json:
        write_json(_as_json(results, unread, ok=ok))
    else:
        _show(console(), results, unread, strict=strict)
    raise typer.Exit(OK if ok else REFUSED)


def _run(paths: Sequence[Path], *, sandbox: bool) -> tuple[list[ModelResult], tuple[Diagnostic, ...]]:
    """The results by model, and what is wrong with files that hold no model."""
    with _applied(sandbox=sandbox) as (application, skips):
        loaded = load_models(application, paths)
        compiled = compile_models(application, loaded)
        world = played if skips is None else real
        with world(application.registry, application.settings) as ready:
            results = [
                run_examples(ready, source, compiled.compilations[source.model], skips) for source in loaded.models
            ]
        return results, loaded.diagnostics


@contextmanager
def _applied(*, sandbox: bool) -> Iterator[tuple[Application, Skips | None]]:
    """The application of this machine, or with an estate of its own; then also what is skipped there."""
    if not sandbox:
        with Application.open(local_settings()) as application:
            yield application, None
        return
    with sandbox_estate() as estate, Application.open(estate.settings) as application:
        yield application, estate.skips


def _is_ok(results: Sequence[ModelResult], unread: Sequence[Diagnostic], *, strict: bool) -> bool:
    if unread or any(result.wrong or result.count(Outcome.FAILED) for result in results):
        return False
    return not strict or not any(result.warnings or result.count(Outcome.CANNOT_RUN) for result in results)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}.", USAGE) from None


# for people


def _show(screen: Console, results: Sequence[ModelResult], unread: Sequence[Diagnostic], *, strict: bool) -> None:
    for result in results:
        if result.examples or result.wrong:
            _show_model(screen, result)
    warnings = in_order(one for result in results for one in result.warnings)
    found = (*unread, *(as_errors(warnings) if strict else warnings))
    if found:
        screen.print(render_text(found), markup=False)
    if any(result.coverage is not None for result in results):
        screen.print(_coverage(results))
    screen.print(_said(results), markup=False)


def _show_model(screen: Console, result: ModelResult) -> None:
    screen.print(f"{result.model}  {result.file}", markup=False, style="bold")
    if result.wrong:
        screen.print(render_text(result.wrong), markup=False)
    for one in result.examples:
        _show_example(screen, one)
    screen.print()


def _show_example(screen: Console, one: ExampleResult) -> None:
    style = {Outcome.PASSED: "green", Outcome.FAILED: "bold red"}.get(one.outcome, "yellow")
    took = f"  {one.seconds * 1000:.0f} ms" if one.seconds else ""
    screen.print(f"  {one.outcome}", style=style, end="", markup=False)
    screen.print(f"  {one.name}{took}{f': {one.why}' if one.why else ''}", markup=False)
    for each in one.mismatches:
        screen.print(f"    {each.file}:{each.line}: {each.what}", markup=False)
        screen.print(f"      expected: {each.expected}", markup=False)
        screen.print(f"      found:    {each.found}", markup=False)
    if one.mismatches:
        if len(one.log) > _LONGEST_LOG:
            screen.print(f"    ({len(one.log) - _LONGEST_LOG} lines before these; --json has all)", markup=False)
        for line in one.log[-_LONGEST_LOG:]:
            screen.print(f"    | {line}", markup=False)


def _coverage(results: Sequence[ModelResult]) -> Table:
    table = Table("model", "examples", "steps done", "branches taken", box=None, pad_edge=False)
    for result in results:
        known = result.coverage
        if known is not None:
            steps = f"{known.steps} of {known.all_steps}"
            branches = f"{known.branches} of {known.all_branches}" if known.all_branches else "none there"
            style = "" if known.full else "yellow"
            table.add_row(result.model, str(len(result.examples)), steps, branches, style=style)
    return table


def _said(results: Sequence[ModelResult]) -> str:
    counts = {outcome: sum(result.count(outcome) for result in results) for outcome in Outcome}
    wrong = sum(bool(result.wrong) for result in results)
    parts = [f"{count} {outcome}" for outcome, count in counts.items() if count or outcome is Outcome.PASSED]
    models = f"; {wrong} {'models are' if wrong > 1 else 'model is'} wrong" if wrong else ""
    return f"Examples: {', '.join(parts)}{models}."


# for programs


def _as_json(results: Sequence[ModelResult], unread: Sequence[Diagnostic], *, ok: bool) -> dict[str, object]:
    counts = {outcome: sum(result.count(outcome) for result in results) for outcome in Outcome}
    return {
        "ok": ok,
        **{outcome.replace(" ", "_"): count for outcome, count in counts.items()},
        "models": [_model_json(result) for result in results],
        "diagnostics": [one.to_json() for one in unread],
    }


def _model_json(result: ModelResult) -> dict[str, object]:
    known = result.coverage
    coverage = None
    if known is not None:
        coverage = {
            "steps": known.all_steps,
            "steps_done": known.steps,
            "branches": known.all_branches,
            "branches_taken": known.branches,
        }
    return {
        "model": result.model,
        "file": result.file,
        "examples": [_example_json(one) for one in result.examples],
        "coverage": coverage,
        "warnings": [one.to_json() for one in result.warnings],
        "diagnostics": [one.to_json() for one in result.wrong],
    }


def _example_json(one: ExampleResult) -> dict[str, object]:
    return {
        "name": one.name,
        "line": one.line,
        "outcome": one.outcome,
        "seconds": round(one.seconds, 4),
        "why": one.why,
        "mismatches": [
            {"what": each.what, "expected": each.expected, "found": each.found, "file": each.file, "line": each.line}
            for each in one.mismatches
        ],
        "log": one.log,
    }

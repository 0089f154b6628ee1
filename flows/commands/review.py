"""`orderly review`: what run history says would make the models better."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.exits import UNAVAILABLE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import compile_one, load_models
from flows.commands.output import AsJson, console, write_json
from flows.examples.worlds import played
from flows.review.exporting import export, pseudonym_key
from flows.review.findings import Finding
from flows.review.gates import gates_with
from flows.review.measures import Measures, measure
from flows.review.reviewing import Review, review
from flows.review.trying import Tried, try_edit
from flows.review.warehouse import Warehouse
from flows.wiring import Application

app = typer.Typer(add_completion=False)


@app.command("review")
def review_command(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models to look at; by default all in the history.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="A history in files, instead of the records.", metavar="DIR")
    ] = None,
    measures: Annotated[bool, typer.Option("--measures", help="Show what was measured, too.")] = False,
    examples: Annotated[bool, typer.Option(help="Run the models' examples with each edit.")] = True,
    number: Annotated[
        int, typer.Option(min=1, help="Of a history in files: how often it was reviewed, this time included.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Look through run history; each finding has its evidence, an edit that was tried, and what it will change.

    Findings from the records are registered: `orderly improve` accepts or rejects them.
    """
    with Application.open(local_settings()) as application:
        gates = gates_with(application.settings.review.gates)
        with _history(application, history) as warehouse:
            if history is None:
                digest = warehouse.digest()
                number = application.records.run(lambda tx: tx.improvements.review_number(digest))
            found = review(warehouse, gates, models or (), number=number)
            measured = {model: measure(warehouse, model, application.settings.review) for model in found.requests}
        tried = tried_edits(application, found.findings, examples=examples)
        if history is None and found.findings:
            application.records.run(lambda tx: tx.improvements.put_all([one.to_json() for one in found.findings]))
    if as_json:
        write_json(_as_json(found, tried, measured))
        return
    _show(found, tried, measured if measures else {})


def tried_edits(application: Application, findings: tuple[Finding, ...], *, examples: bool) -> Mapping[str, Tried]:
    """What came of each finding's edit on the models as they are here, by finding."""
    if not findings:
        return {}
    sources = {source.model: source for source in load_models(application, ()).models}
    tried = {}
    with played(application.registry, application.settings) as world:
        from flows.examples.testing import run_examples  # noqa: PLC0415 - only where examples are run

        for one in findings:
            source = sources.get(one.model)
            if source is None:
                tried[one.id] = Tried(None, problems=(f"the model {one.model} is in no folder that the settings name",))
                continue
            tried[one.id] = try_edit(
                one.edit,
                source,
                one.plan_digest,
                lambda given: compile_one(application, given),
                (lambda given, made: run_examples(world, given, made)) if examples else None,
            )
    return tried


@contextmanager
def _history(application: Application, folder: Path | None) -> Iterator[Warehouse]:
    if folder is not None:
        with Warehouse.open(folder) as warehouse:
            yield warehouse
        return
    settings = application.settings
    if not settings.keyring_file.exists():  # to look is no reason to make records
        raise CommandFailed(
            f"There are no records here ({settings.state}). Name a history in files: `orderly review --history DIR`.",
            UNAVAILABLE,
        )
    with tempfile.TemporaryDirectory(prefix="orderly-review-") as draft:
        export(application.records, Path(draft), pseudonym_key(settings.keyring_file.with_name("pseudonyms")))
        with Warehouse.open(Path(draft)) as warehouse:
            yield warehouse


# for people


def _show(found: Review, tried: Mapping[str, Tried], measured: Mapping[str, Measures]) -> None:
    screen = console()

    def say(text: str, style: str = "") -> None:
        screen.print(text, markup=False, style=style)

    for doubt in found.doubts:
        say(f"{doubt.rows} {doubt.what}.", "yellow")
    for measures in measured.values():
        say("\n".join(measures.lines()))
        say("")
    for one in found.findings:
        say(f"{one.id}  {one.model}: {one.summary}", "bold")
        for line in finding_lines(one, tried[one.id]):
            say(f"  {line}")
        say("")
    for model, why in found.silent.items():
        say(f"{model}: cannot tell; {why}.", "yellow")
    if not found.requests:
        say("The history holds no requests yet: there is nothing to review.")
        return
    count = sum(found.requests.values())
    say(
        f"{len(found.findings)} findings in {count} requests of {len(found.requests)} models; {found.tests} tests, "
        f"false discoveries kept to {found.rate:.1%} (review {found.number})."
    )


def finding_lines(one: Finding, tried: Tried | None = None) -> list[str]:
    """A finding for people, without its summary."""
    lines = [f"Evidence: {one.evidence.said}", f"Rows: {one.evidence.rows}"]
    if one.evidence.example:
        lines.append(f"For example: {', '.join(one.evidence.example)}")
    lines += [f"Predicted: {_predicted(one)}", f"Risk: {one.risk}", f"To undo: {one.undo}"]
    if one.owner is not None:
        lines.append(f"Needs the agreement of: {one.owner}")
    if tried is not None:
        lines += [f"Not ready: {problem}" for problem in tried.problems]
        lines += tried.diff.rstrip("\n").split("\n") if tried.diff else []
        if tried.ready:
            lines.append(f"Compiled, checked, examples run. To take it: orderly improve accept {one.id}")
    return lines


def _predicted(one: Finding) -> str:
    said = one.prediction
    if said.expected is None or said.low is None or said.high is None:
        return f"{said.measure}: a {said.basis.value}, no number"
    return f"{said.measure}: {said.expected:.3g} {said.unit} ({said.low:.3g} to {said.high:.3g}), {said.basis.value}"


# for programs


def _as_json(found: Review, tried: Mapping[str, Tried], measured: Mapping[str, Measures]) -> dict[str, Any]:
    return {
        "review": {"number": found.number, "tests": found.tests, "false_discovery_rate": found.rate},
        "requests": dict(found.requests),
        "doubts": [{"what": one.what, "rows": one.rows} for one in found.doubts],
        "cannot_tell": dict(found.silent),
        "measures": {model: one.to_json() for model, one in measured.items()},
        "findings": [
            {
                **one.to_json(),
                "tried": {"ready": tried[one.id].ready, "problems": tried[one.id].problems, "diff": tried[one.id].diff},
            }
            for one in found.findings
        ],
    }

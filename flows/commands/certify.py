"""`orderly certify`: models, killed at every boundary."""

import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console

from flows.certification.boundaries import Boundary
from flows.certification.certifying import Certifier, Outcome, Verdict, Way, certifier, chosen
from flows.commands.exits import OK, REFUSED, USAGE, CommandFailed
from flows.commands.models import compile_one, find_model, load_models
from flows.commands.output import AsJson, console, write_json
from flows.examples.sandbox import Estate, sandbox_estate
from flows.wiring import Application
from request_models.diagnostics import render_text
from request_models.loading import ModelSource
from request_models.plan import Plan
from request_models.schema import ExampleDocument

app = typer.Typer(add_completion=False)


@dataclass
class Certificate:
    """What came of a model. `skipped` are examples that cannot be run for real, with why."""

    model: str
    file: str
    boundaries: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def count(self, outcome: Outcome) -> int:
        """How many runs ended so."""
        return sum(one.outcome is outcome for one in self.verdicts)

    @property
    def good(self) -> bool:
        """Whether something was tried, and nothing failed."""
        return bool(self.verdicts) and not self.count(Outcome.FAILED)


@app.command("certify")
def run_certify(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models by name or file; by default all that the settings name.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only this boundary, as a failure names it.", metavar="BOUNDARY")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many boundaries of each model, of one example.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which ones --sample draws.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Run models in the sandbox, killing the worker at every boundary, and see that nothing is lost or done twice.

    Each example is run undisturbed; then once for each record write and each effect, with a process that is killed
    (SIGKILL) right before or after it, or with the world disturbed: calls turned away, connections reset, answers that
    do not come. Then another process goes on. Each time there must be the same end, nothing done twice, nothing left
    over, and a whole audit chain. What can neither be repeated nor looked for may be held for a person, and only that.
    """
    with sandbox_estate() as estate, Application.open(estate.settings) as application:
        plans = list(_plans(application, models or ()))
        with certifier(estate) as ready:
            screen = None if as_json else console()
            done = [_certify(ready, estate, source, plan, (only, sample, seed), screen) for source, plan in plans]
    tried = sum(len(one.verdicts) for one in done)
    if only is not None and not tried:
        raise CommandFailed(f"There is no boundary {only!r}. Without --only, --json lists them all.", USAGE)
    if as_json:
        write_json({"ok": all(one.good for one in done), "models": [_as_json(one) for one in done]})
    elif screen is not None and len(done) > 1:
        failed = sum(one.count(Outcome.FAILED) for one in done)
        screen.print(f"In all: survived {tried - failed}/{tried}.", markup=False)
    raise typer.Exit(OK if all(one.good for one in done) else REFUSED)


def _plans(application: Application, names: Sequence[str]) -> Iterator[tuple[ModelSource, Plan]]:
    """The models named, compiled; of all models those that can run. Raises CommandFailed."""
    sources = [find_model(application, name) for name in names] or load_models(application, ()).models
    for source in sources:
        made = compile_one(application, source)
        if made.plan is not None:
            yield source, made.plan
        elif names:
            raise CommandFailed(f"The model cannot be run:\n{render_text(made.diagnostics)}", REFUSED)


def _certify(
    ready: Certifier,
    estate: Estate,
    source: ModelSource,
    plan: Plan,
    wanted: tuple[str | None, int | None, int],
    screen: Console | None,
) -> Certificate:
    only, sample, seed = wanted
    certificate = Certificate(source.model, source.file)
    runnable: list[tuple[int, ExampleDocument]] = []
    for number, example in enumerate(source.document.examples, 1):
        why = estate.skips(plan, example)
        if why is None and example.then.state == "refused":
            why = "its order is refused, so nothing is run"
        if why is not None:
            certificate.skipped.append((example.name, why))
        elif only is None or only.startswith(f"{number}/"):
            runnable.append((number, example))
    if sample is not None and runnable:
        runnable = [random.Random(seed).choice(runnable)]  # noqa: S311 - to be had again by the seed
    ways = [way for number, example in runnable for way in ready.ways(plan, number, example)]
    found = [(way.name(boundary), trial, boundary) for way, trial in ways for boundary in way.boundaries]
    certificate.boundaries = len(found)
    names = chosen([name for name, _, _ in found], sample, seed) if only is None else {only}
    tried = [(name, trial, boundary) for name, trial, boundary in found if name in names]
    if screen is not None:
        _introduce(screen, certificate, [way for way, _ in ways], len(tried))
    for count, (name, trial, boundary) in enumerate(tried, 1):
        verdict = trial.run_for(name, boundary)
        certificate.verdicts.append(verdict)
        if screen is not None:
            _tell(screen, certificate, verdict, count, len(tried))
    if screen is not None:
        _sum_up(screen, certificate)
    return certificate


def _introduce(screen: Console, certificate: Certificate, ways: Sequence[Way], tried: int) -> None:
    screen.print(f"{certificate.model}  {certificate.file}", markup=False, style="bold")
    for way in ways:
        back = ", and back" if way.back else ""
        screen.print(f"  {way.number} {way.example}{back}: {len(way.boundaries)} boundaries", markup=False)
    for example, why in certificate.skipped:
        screen.print(f"  skipped {example}: {why}", markup=False, style="yellow")
    if tried < certificate.boundaries:
        screen.print(f"  {tried} of {certificate.boundaries} boundaries are tried", markup=False)


def _tell(screen: Console, certificate: Certificate, verdict: Verdict, count: int, of: int) -> None:
    """Progress where somebody looks; what failed, always."""
    if verdict.outcome is Outcome.FAILED:
        screen.print(f"  failed  {verdict.name} ({verdict.boundary.what})", markup=False, style="bold red")
        for problem in verdict.problems:
            screen.print(f"    {problem}", markup=False)
        screen.print(f"    again: orderly certify {certificate.model} --only {verdict.name}", markup=False)
    if sys.stderr.isatty():
        sys.stderr.write(
            f"\r\x1b[K  {count}/{of} {verdict.name} {verdict.seconds:.1f} s" + ("\n" if count == of else "")
        )
        sys.stderr.flush()


def _sum_up(screen: Console, certificate: Certificate) -> None:
    for kind, good, of in _by_kind(certificate):
        screen.print(f"  {kind:<18} {good}/{of}", markup=False)
    of, failed, held = (
        len(certificate.verdicts),
        certificate.count(Outcome.FAILED),
        certificate.count(Outcome.HELD),
    )
    told = f"  survived {of - failed}/{of}"
    if held:
        told += f", {held} of them held, as they must: what was called can neither be repeated nor looked for"
    if not of:
        told = "  nothing could be tried"
    screen.print(f"{told}\n", markup=False, style="green" if certificate.good else "bold red")


def _by_kind(certificate: Certificate) -> list[tuple[str, int, int]]:
    all_of = Counter(one.boundary.kind for one in certificate.verdicts)
    bad = Counter(one.boundary.kind for one in certificate.verdicts if one.outcome is Outcome.FAILED)
    return [(kind, count - bad[kind], count) for kind, count in sorted(all_of.items())]


def _as_json(certificate: Certificate) -> dict[str, object]:
    return {
        "model": certificate.model,
        "file": certificate.file,
        "ok": certificate.good,
        "boundaries": certificate.boundaries,
        "tried": len(certificate.verdicts),
        "survived": len(certificate.verdicts) - certificate.count(Outcome.FAILED),
        "held": certificate.count(Outcome.HELD),
        "kinds": {kind: {"survived": good, "tried": of} for kind, good, of in _by_kind(certificate)},
        "skipped": [{"example": example, "why": why} for example, why in certificate.skipped],
        "runs": [_run_json(certificate.model, one) for one in certificate.verdicts],
    }


def _run_json(model: str, verdict: Verdict) -> dict[str, object]:
    boundary: Boundary = verdict.boundary
    return {
        "boundary": verdict.name,
        "kind": boundary.kind,
        "what": boundary.what,
        "outcome": verdict.outcome,
        "seconds": round(verdict.seconds, 3),
        "problems": verdict.problems,
        "again": f"orderly certify {model} --only {verdict.name}",
    }

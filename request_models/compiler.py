"""The compiler: loaded -> resolved -> typed -> planned, each stage to be looked at, all mistakes told at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from request_models import checks
from request_models.actions import ActionCatalogue
from request_models.checks.calendars import calendars_named
from request_models.checks.runnable import NOT_YET_RUNNABLE
from request_models.diagnostics import Diagnostic, Severity, has_errors, in_order
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.loading import Loaded, ModelSource, load_catalogue, load_file, load_model
from request_models.model_types import type_model
from request_models.plan import Plan
from request_models.planning import plan_of
from request_models.resolving import resolve
from request_models.surroundings import Surroundings

__all__ = [
    "STAGES", "Compilation", "Loaded", "ModelSource", "Stage", "Surroundings", "compile_in", "compile_model",
    "load_catalogue", "load_file", "load_model",
]  # fmt: skip

MOST_ERRORS = 200
"""Most errors of one check that are told of one model: further ones are told once these are mended."""

STAGES = ("loaded", "resolved", "typed", "planned")
"""The stages in order."""


class Stage(Protocol):
    """What can be looked at of a stage."""

    def to_json(self) -> dict[str, JsonValue]: ...


@dataclass(frozen=True)
class Compilation:
    """What came of a model: its stages by name, every diagnostic in order, and apart from them the notes.

    `plan` is there unless there are errors. A model that is right but uses what this version cannot run yet has a
    `planned` stage to look at, and no plan.
    """

    model: str
    stages: Mapping[str, Stage]
    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...] = ()
    notes: tuple[Diagnostic, ...] = ()


def compile_model(
    source: ModelSource, actions: ActionCatalogue, public_settings: Mapping[str, JsonValue] | None = None
) -> Compilation:
    """Compile one loaded model by itself, against the actions there are and the settings models may read."""
    return compile_in(source, Surroundings(actions, public_settings or {}))


def compile_in(source: ModelSource, surroundings: Surroundings) -> Compilation:
    """Compile one loaded model against its surroundings.

    Every stage is checked whatever the stages before it found, so that all mistakes are told at once; there is a plan
    only when none of them is an error. Nothing is raised for what a model says.
    """
    findings = [finding for check in checks.LOADED for finding in _first(check(source))]
    resolved = resolve(source, surroundings)
    findings += _first(resolved.findings)
    findings += [finding for check in checks.RESOLVED for finding in _first(check(resolved))]
    typed = type_model(resolved)
    findings += [finding for check in checks.TYPED for finding in _first(check(typed))]
    told = in_order(finding.located(source.source) for finding in findings)
    diagnostics = tuple(one for one in told if one.severity is not Severity.NOTE)
    notes = tuple(one for one in told if one.severity is Severity.NOTE)
    stages: dict[str, Stage] = {"loaded": source, "resolved": resolved, "typed": typed}
    plan = None
    if not has_errors(found for found in diagnostics if found.code != NOT_YET_RUNNABLE):
        stages["planned"] = plan = plan_of(typed, calendars_named(resolved))
    runnable = not has_errors(diagnostics)
    return Compilation(source.model, stages, plan if runnable else None, diagnostics, notes)


def _first(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings up to the MOST_ERRORS-th error; what is only warned of never hides an error behind it."""
    errors = 0
    for finding in findings:
        yield finding
        errors += finding.severity is Severity.ERROR
        if errors == MOST_ERRORS:
            return

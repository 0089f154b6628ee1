"""The compiler: loaded -> resolved -> typed -> planned, each stage to be looked at, all mistakes told at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from request_models import checks
from request_models.actions import ActionCatalogue
from request_models.diagnostics import Diagnostic, has_errors, in_order
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.loading import Loaded, ModelSource, load_catalogue, load_file, load_model
from request_models.plan import Plan
from request_models.planning import plan_of
from request_models.resolving import resolve
from request_models.typed import type_model

__all__ = [
    "STAGES", "Compilation", "Loaded", "ModelSource", "Stage", "compile_model", "load_catalogue", "load_file",
    "load_model",
]  # fmt: skip

STAGES = ("loaded", "resolved", "typed", "planned")
"""The stages in order."""


class Stage(Protocol):
    """What can be looked at of a stage."""

    def to_json(self) -> dict[str, JsonValue]: ...


@dataclass(frozen=True)
class Compilation:
    """What came of a model: its stages by name, the plan unless there are errors, and every diagnostic in order."""

    model: str
    stages: Mapping[str, Stage]
    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...] = ()


def compile_model(
    source: ModelSource, actions: ActionCatalogue, public_settings: Mapping[str, JsonValue] | None = None
) -> Compilation:
    """Compile one loaded model against the actions there are and the settings models may read.

    Every stage is checked whatever the stages before it found, so that all mistakes are told at once; there is a plan
    only when none of them is an error. Nothing is raised for what a model says.
    """
    findings: list[Finding] = [finding for check in checks.LOADED for finding in check(source)]
    resolved = resolve(source, actions, public_settings or {})
    findings += resolved.findings
    findings += [finding for check in checks.RESOLVED for finding in check(resolved)]
    typed = type_model(resolved)
    findings += [finding for check in checks.TYPED for finding in check(typed)]
    diagnostics = in_order(finding.located(source.source) for finding in findings)
    stages: dict[str, Stage] = {"loaded": source, "resolved": resolved, "typed": typed}
    plan = None if has_errors(diagnostics) else plan_of(typed)
    if plan is not None:
        stages["planned"] = plan
    return Compilation(source.model, stages, plan, diagnostics)

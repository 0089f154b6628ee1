"""The examples of some models, each run and judged: what `orderly test` tells."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flows.examples.course import Course
from flows.examples.coverage import Coverage, coverage_of
from flows.examples.driving import Subject, World
from flows.examples.verdict import Mismatch, mismatches
from flows.examples.worlds import one_by_one
from request_models.branches import branches_of, no_examples
from request_models.checks.examples import result_types
from request_models.checks.runnable import NOT_YET_RUNNABLE
from request_models.compiler import Compilation
from request_models.diagnostics import Diagnostic, has_errors
from request_models.loading import ModelSource
from request_models.plan import Plan
from request_models.resolved import Resolved
from request_models.schema import ExampleDocument
from request_models.typed import Typed


class Outcome(StrEnum):
    """How an example ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANNOT_RUN = "cannot run yet"


@dataclass(frozen=True)
class ExampleResult:
    """What came of one example. `why` is said of one that was not run; `seconds` are real ones."""

    name: str
    line: int
    outcome: Outcome
    seconds: float = 0.0
    mismatches: tuple[Mismatch, ...] = ()
    log: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class ModelResult:
    """What came of a model's examples. `wrong` are the errors of one that does not compile: nothing of it was run.

    `coverage` is there when they were run as stand-ins allow, and `warnings` tells what it misses.
    """

    model: str
    file: str
    examples: tuple[ExampleResult, ...] = ()
    coverage: Coverage | None = None
    warnings: tuple[Diagnostic, ...] = ()
    wrong: tuple[Diagnostic, ...] = ()

    def count(self, outcome: Outcome) -> int:
        """How many examples ended so."""
        return sum(one.outcome is outcome for one in self.examples)


Skips = Callable[[Plan, ExampleDocument], str | None]
"""Why an example is not run here; None when it is."""


def run_examples(world: World, source: ModelSource, made: Compilation, skips: Skips | None = None) -> ModelResult:
    """Run and judge the examples of a model. With `skips` they are run for real, and coverage is not measured."""
    resolved, typed, plan = (made.stages.get(stage) for stage in ("resolved", "typed", "planned"))
    if not (isinstance(resolved, Resolved) and isinstance(typed, Typed) and isinstance(plan, Plan)):
        wrong = tuple(one for one in made.diagnostics if has_errors([one]))
        return ModelResult(made.model, source.file, wrong=wrong)
    if made.plan is None:
        return ModelResult(made.model, source.file, tuple(_cannot_run(source, made.diagnostics)))
    plan = plan if skips is not None else one_by_one(plan)
    subject = Subject(plan, result_types(typed))
    world.publish(plan)
    ran = [_run(world, subject, source, index, skips) for index in range(len(source.document.examples))]
    examples = tuple(result for result, _ in ran)
    if skips is not None:
        return ModelResult(made.model, source.file, examples)
    coverage = coverage_of(branches_of(resolved), [course for _, course in ran if course is not None])
    findings = [one.untested() for one in coverage.missing] if examples else [no_examples()]
    warnings = tuple(finding.located(source.source) for finding in findings)
    return ModelResult(made.model, source.file, examples, coverage, warnings)


def _run(
    world: World, subject: Subject, source: ModelSource, index: int, skips: Skips | None
) -> tuple[ExampleResult, Course | None]:
    example = source.document.examples[index]
    line = _line(source, index)
    why = None if skips is None else skips(subject.plan, example)
    if why is not None:
        return ExampleResult(example.name, line, Outcome.SKIPPED, why=why), None
    began = time.monotonic()
    course = world.run(subject, example)
    found = mismatches(example, index, course, source.source)
    outcome = Outcome.FAILED if found else Outcome.PASSED
    return ExampleResult(example.name, line, outcome, time.monotonic() - began, found, course.log), course


def _cannot_run(source: ModelSource, diagnostics: Sequence[Diagnostic]) -> Iterator[ExampleResult]:
    """The examples of a model that this version reads and plans, but cannot run."""
    lacking = [one for one in diagnostics if one.code == NOT_YET_RUNNABLE]
    said = (f"{one.message.partition(' is part of the language')[0]} (line {one.line})" for one in lacking)
    why = ", ".join(dict.fromkeys(said))
    for index, example in enumerate(source.document.examples):
        yield ExampleResult(example.name, _line(source, index), Outcome.CANNOT_RUN, why=why)


def _line(source: ModelSource, index: int) -> int:
    return source.source.diagnostic(("examples", index), "", "").line

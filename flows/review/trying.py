"""An edit tried on the model as it is now: applied to its text, compiled, checked, and its examples run."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from flows.examples.testing import ModelResult, Outcome
from flows.review.findings import Edit
from request_models.compiler import Compilation
from request_models.diagnostics import Diagnostic, has_errors
from request_models.loading import ModelSource, load_model
from request_models.plan import Plan
from request_models.rewriting import OPERATIONS, CannotRewrite

Compile = Callable[[ModelSource], Compilation]
RunExamples = Callable[[ModelSource, Compilation], ModelResult]


@dataclass(frozen=True)
class Tried:
    """What came of it. `problems` are why it cannot be taken as it is; `text` is the model with the edit."""

    text: str | None
    diff: str = ""
    problems: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether the edit can be accepted as it is."""
        return self.text is not None and not self.problems


def try_edit(edit: Edit, source: ModelSource, digest: str | None, compile_: Compile, run: RunExamples | None) -> Tried:
    """Try an edit. `digest` is that of the plan the history is about; `run` runs examples, None leaves them out."""
    if not edit.operation.mechanical:
        return Tried(None, problems=("this is for a person to carry out: there is no edit of the text for it",))
    problems: list[str] = []
    before = compile_(source)
    planned = before.stages.get("planned")
    if digest is not None and isinstance(planned, Plan) and planned.digest != digest:
        problems.append("the model was changed since the requests that this was seen in: look again after a while")
    text = source.source.text
    try:
        edited = OPERATIONS[edit.operation.value](text, edit.path, edit.value)
    except CannotRewrite as error:
        return Tried(None, problems=(*problems, str(error)))
    diff = "".join(
        difflib.unified_diff(text.splitlines(keepends=True), edited.splitlines(keepends=True), source.file, source.file)
    )
    after, found = load_model(source.file, edited)
    if after is None:
        return Tried(edited, diff, (*problems, *_said(found)))
    made = compile_(after)
    known = {(one.code, one.message) for one in before.diagnostics}
    new = [one for one in made.diagnostics if has_errors([one]) and (one.code, one.message) not in known]
    problems += _said(new)
    if not problems and run is not None and made.plan is not None:
        passed_before = {one.name for one in run(source, before).examples if one.outcome is Outcome.PASSED}
        failed = [
            one for one in run(after, made).examples if one.outcome is Outcome.FAILED and one.name in passed_before
        ]
        problems += [f"the example {one.name!r} does not hold any more: change it with the model" for one in failed]
    return Tried(edited, diff, tuple(problems))


def _said(found: tuple[Diagnostic, ...] | list[Diagnostic]) -> list[str]:
    return [f"line {one.line}: {one.message}" for one in found[:5]]

"""The summary of a request that an operator finds as an artifact of its flow run: Markdown, and no secret in it.

Texts that people or other systems wrote are escaped, so that they cannot add links, images or markup of their own.
"""

import html
import re
from collections.abc import Sequence

from flows.execution import FAILED_AND_UNDONE, End, Suspend
from flows.records.rows import RequestRow
from flows.records.states import RequestState, StepState
from flows.settings import Settings
from flows.undo_ledger import is_undo
from flows.walk import StepReport
from request_models.plan import Plan, Step

_OUTCOMES = {
    "made": "made",
    "changed": "changed what was there",
    "already_so": "was so already",
    "read": "only read",
}
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~:/@.-])")


def summarise(
    plan: Plan, request: RequestRow, reports: Sequence[StepReport], end: End | Suspend, settings: Settings
) -> str:
    """The Markdown of one entry into a request: its steps and effects, what went wrong, and what to do next."""
    link = f"{settings.api.url}/v1/requests/{request.id}"
    parts = [
        f"# {_text(title_of(plan))}",
        f"Request [{request.id}]({link}), ordered by {_text(request.requester.name or request.requester.id)}.",
        f"**{_text(end.name if isinstance(end, End) else 'Waiting')}**: {_text(end.message)}",
        _steps(() if request.state is RequestState.UNDOING else plan.steps, reports),
        _next(end, reports, settings),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def title_of(plan: Plan) -> str:
    """The title in English, or in whatever language there is, or the model's name."""
    return plan.title.get("en") or next(iter(plan.title.values()), plan.model)


def _steps(steps: Sequence[Step], reports: Sequence[StepReport]) -> str:
    """A line a step, of a loop a line an item; then a line for each call of an undo, in their order."""
    lines = ["| step | action | state | effect |", "|---|---|---|---|"]
    for step in steps:
        reported: dict[str, StepReport | None] = {one.name: one for one in reports if one.path == step.path}
        for name, report in sorted((reported or {step.path: None}).items()):
            state, effect = _state_and_effect(report)
            lines.append(f"| {_text(name)} | {_text(step.uses)} | {state} | {effect} |")
    for report in reports:
        if is_undo(report.path):
            state, _ = _state_and_effect(report)
            lines.append(f"| {_text(report.name)} | | {state} | |")
    return "\n".join(lines)


def _state_and_effect(report: StepReport | None) -> tuple[str, str]:
    if report is None:
        return "not reached", ""
    if report.pause is not None:
        return "waiting", ""
    if report.state is StepState.SKIPPED:
        return "skipped", ""
    state = "done before" if report.cached else report.state.value
    return state, _OUTCOMES.get(report.outcome or "", "")


def _next(end: End | Suspend, reports: Sequence[StepReport], settings: Settings) -> str:
    failed = next((report for report in reports if report.state is StepState.FAILED), None)
    if isinstance(end, Suspend) or end.kind != "failed":
        return ""
    if end.name == FAILED_AND_UNDONE:
        return "## What to do next\n\nThe request has ended. To have it after all, order anew."
    if failed is None:
        return "## What to do next\n\nMend what the message above names, then press **Retry** on this flow run."
    return (
        "## What to do next\n\n"
        f"1. Mend what made the step {_text(failed.name)} fail.\n"
        "2. Press **Retry** on this flow run. Steps that are done are not done again; this one runs again, the rest "
        "follow.\n\n"
        f"What was asked for is kept: the retry runs the plan that was accepted, whatever the model says today. The "
        f"request's own page, with its audit, is at {settings.api.url}."
    )


def _text(text: str) -> str:
    return html.escape(_MARKUP.sub(r"\\\1", " ".join(text.split())), quote=False)

"""A request on hold as a person needs to see it: which steps it is about, and what can be done to each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flows.places import Surround, gone_on_without, is_behind, label_of, surrounds
from flows.records.records import Transaction
from flows.records.rows import AttemptRow, BlockRow, RequestRow, StepRow
from flows.records.states import AttemptOutcome, RequestState, StepState
from request_models.plan import Plan

_OPEN = frozenset({StepState.FAILED, StepState.STARTED})


class Choice(StrEnum):
    """What a person can do about a request on hold, or about one of its steps."""

    RETRY = "retry"
    UNDO = "undo"
    FIX = "fix"
    ASSIGN = "assign"
    COMPLETE = "complete"
    SKIP = "skip"


@dataclass(frozen=True)
class HeldStep:
    """A step, or an item of it, that has no outcome the request could go on with."""

    path: str
    item_key: str
    label: str
    state: StepState
    message: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Hold:
    """Why a request is on hold and what can be done."""

    cause: str
    steps: tuple[HeldStep, ...]
    choices: tuple[Choice, ...]
    team: str | None
    assignee: str | None


def hold_of(tx: Transaction, request: RequestRow, plan: Plan) -> Hold | None:
    """The hold of a request, None unless it is on hold."""
    if request.state is not RequestState.ON_HOLD:
        return None
    if tx.undos.get(request.id) is not None:
        # What it was for is not wanted any more: a retry goes on with the undo.
        choices = (Choice.RETRY, Choice.ASSIGN)
        return Hold(request.state_reason, (), choices, request.hold_team, request.hold_assignee)
    fix = (Choice.FIX,) if plan.inputs.get("properties") else ()
    choices = (Choice.RETRY, Choice.UNDO, *fix, Choice.ASSIGN)
    if tx.corrections.pending(request.id) is not None:
        # A retry first goes on with taking back what depends on the correction.
        return Hold(request.state_reason, (), choices, request.hold_team, request.hold_assignee)
    steps, attempts, blocks = tx.steps.all(request.id), tx.steps.attempts(request.id), tx.blocks.all(request.id)
    return Hold(
        request.state_reason,
        held_steps(plan, steps, attempts, blocks),
        choices,
        request.hold_team,
        request.hold_assignee,
    )


def held_steps(
    plan: Plan, steps: Sequence[StepRow], attempts: Iterable[AttemptRow], blocks: Sequence[BlockRow]
) -> tuple[HeldStep, ...]:
    """The steps that were begun and have no outcome, those that failed first; and those that could not be evaluated."""
    around = surrounds(plan)
    known = {(row.path, row.item_key) for row in steps}
    found = [(row.path, row.item_key, row.state, row.message) for row in steps if row.state in _OPEN]
    unevaluated = {
        (row.path, row.item_key): row.message
        for row in attempts
        if (row.path, row.item_key) not in known and row.outcome is AttemptOutcome.FAILED
    }
    found += [(path, item, StepState.FAILED, message) for (path, item), message in unevaluated.items()]
    held = [
        HeldStep(path, item, label_of(around[path], item), state, message, _choices(around[path]))
        for path, item, state, message in found
        if path in around and not is_behind(around[path], item, blocks)
    ]
    return tuple(sorted(held, key=lambda one: one.state is not StepState.FAILED))


def _choices(around: Sequence[Surround]) -> tuple[Choice, ...]:
    return (Choice.COMPLETE, Choice.SKIP) if gone_on_without(around) is not None else (Choice.COMPLETE,)

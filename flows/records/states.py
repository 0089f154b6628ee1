"""States of requests, steps and effects, and the changes that are legal (design section 2, invariants 3 and 5)."""

from collections.abc import Mapping
from enum import StrEnum


class RequestState(StrEnum):
    """Where a request stands; the meanings are those of the table in design section 2."""

    VALIDATING = "validating"
    AWAITING_APPROVAL = "awaiting_approval"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    ON_HOLD = "on_hold"
    UNDOING = "undoing"
    FULFILLED = "fulfilled"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def ended(self) -> bool:
        """Nothing more happens by itself: fulfilled, failed, cancelled or rejected."""
        return self in ENDED


LEGAL_MOVES: Mapping[RequestState, frozenset[RequestState]] = {
    RequestState.VALIDATING: frozenset(
        {
            RequestState.AWAITING_APPROVAL,
            RequestState.SCHEDULED,
            RequestState.REJECTED,
            RequestState.CANCELLED,
        }
    ),
    RequestState.AWAITING_APPROVAL: frozenset(
        {
            RequestState.SCHEDULED,
            RequestState.REJECTED,
            RequestState.CANCELLED,
            # an approval tied to a step (`before:`) is asked while the request runs
            RequestState.IN_PROGRESS,
            RequestState.UNDOING,
            RequestState.ON_HOLD,
        }
    ),
    RequestState.SCHEDULED: frozenset({RequestState.IN_PROGRESS, RequestState.CANCELLED}),
    RequestState.IN_PROGRESS: frozenset(
        {
            RequestState.WAITING,
            RequestState.AWAITING_APPROVAL,
            RequestState.ON_HOLD,
            RequestState.UNDOING,
            RequestState.FULFILLED,
        }
    ),
    RequestState.WAITING: frozenset({RequestState.IN_PROGRESS, RequestState.UNDOING, RequestState.ON_HOLD}),
    RequestState.ON_HOLD: frozenset({RequestState.IN_PROGRESS, RequestState.UNDOING}),
    RequestState.UNDOING: frozenset(
        {RequestState.FAILED, RequestState.CANCELLED, RequestState.REJECTED, RequestState.ON_HOLD}
    ),
    RequestState.FULFILLED: frozenset({RequestState.UNDOING}),
    RequestState.FAILED: frozenset(),
    RequestState.CANCELLED: frozenset(),
    RequestState.REJECTED: frozenset(),
}

ENDED: frozenset[RequestState] = frozenset(
    {RequestState.FULFILLED, RequestState.FAILED, RequestState.CANCELLED, RequestState.REJECTED}
)


class StepState(StrEnum):
    """Where a step stands; a step without a row has not been reached."""

    STARTED = "started"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNDONE = "undone"
    """What it did was taken back; if it runs again, it is evaluated anew."""


class AttemptOutcome(StrEnum):
    """What one attempt did (design section 9, `steps.outcome`)."""

    MADE = "made"
    CHANGED = "changed"
    ALREADY_SO = "already_so"
    READ = "read"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    UNDONE = "undone"


class EffectState(StrEnum):
    """What is known of an effect (invariant 3).

    `open`: the intent is committed, the call may be under way. `done`: it happened, see the outcome. `failed`: it is
    proved that it did not happen. `unknown`: it may have happened. `undone`: it was taken back.
    """

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNDONE = "undone"


LEGAL_CLOSINGS: Mapping[EffectState, frozenset[EffectState]] = {
    EffectState.OPEN: frozenset({EffectState.DONE, EffectState.FAILED, EffectState.UNKNOWN}),
    # a probe, or a person, found out; or whatever it was, its undo took it back
    EffectState.UNKNOWN: frozenset({EffectState.DONE, EffectState.FAILED, EffectState.UNDONE}),
    EffectState.DONE: frozenset({EffectState.UNDONE}),
    EffectState.FAILED: frozenset(),
    EffectState.UNDONE: frozenset(),
}


class TaskState(StrEnum):
    """Where a person's task stands; `cancelled`: its request does not want it any more."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class CorrectionState(StrEnum):
    """Where a correction of inputs stands.

    `pending`: what depends on it is being taken back first. `withdrawn`: another came in its place, or the request is
    undone.
    """

    PENDING = "pending"
    APPLIED = "applied"
    WITHDRAWN = "withdrawn"


class TouchKind(StrEnum):
    """What a person did to a request by hand (design section 9)."""

    RETRY = "retry"
    COMPLETE = "complete"
    SKIP = "skip"
    FIX = "fix"
    TASK = "task"
    CLEAN_UP = "clean_up"
    UNDO = "undo"
    HAND_OVER = "hand_over"


PROVED_ABSENT: frozenset[EffectState] = frozenset({EffectState.FAILED, EffectState.UNDONE})
"""Only from these may the generation of an effect rise."""

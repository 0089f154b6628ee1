"""Where our record and Prefect differ about a request, and what is to be done about it: decisions only, no effects.

Our records say what was asked and done; Prefect says what is running. A difference may also be a moment between two
writes, so each finding names for how long it must stand before it is acted upon.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from flows.execution import FAILED_AND_UNDONE, PREFECT_UI
from flows.records.rows import AuditEvent, Claim, Holder, RequestRow, StepRow
from flows.records.states import RequestState, StepState

SOON = 2.0
"""Seconds: longer than the moment between two writes of one process."""

STALE = 45.0
"""Seconds: longer than a flow run's process takes to start and enter, or to report what it has recorded."""

_TO_RUN = frozenset({RequestState.SCHEDULED, RequestState.IN_PROGRESS, RequestState.UNDOING})


class RunSeen(Protocol):
    """What is known of a flow run; `type` is Prefect's (RUNNING, CRASHED)."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def since(self) -> datetime: ...
    @property
    def final(self) -> bool: ...
    @property
    def deployed(self) -> bool: ...


@dataclass(frozen=True)
class StartAgain:
    """Give the request another flow run. `crashed`: it counts towards giving up, `old_run` is then shown as crashed."""

    why: str
    after: float = SOON
    crashed: bool = False
    old_run: str | None = None


@dataclass(frozen=True)
class Hold:
    """Put the request on hold for a person."""

    actor: str
    why: str
    after: float = SOON


@dataclass(frozen=True)
class Show:
    """Have Prefect show the state that the request has."""

    kind: Literal["completed", "failed", "cancelled"]
    name: str
    message: str
    after: float = SOON


@dataclass(frozen=True)
class Wake:
    """Have the run go on: it sleeps, though its request does not wait any more."""

    after: float = SOON


Finding = StartAgain | Hold | Show | Wake


class Runner(StrEnum):
    """Who runs a request: nobody that we know of, a process that may live, or one that left its claim behind.

    `LEFT` is said only of the process that Prefect still shows as running; after it, another may be starting.
    """

    NOBODY = "nobody"
    MAY_LIVE = "may live"
    LEFT = "left"


def runner_of(claim: Claim | None, run: RunSeen | None, now: datetime, is_gone: Callable[[Holder], bool]) -> Runner:
    """Who runs a request, by the latest claim on it; `is_gone` says of which process it is certain that it ended."""
    if claim is None or claim.released:
        return Runner.NOBODY
    if is_gone(claim.holder):
        seen = run is not None and claim.flow_run_id == run.id and claim.taken >= run.since
        return Runner.LEFT if seen else Runner.NOBODY
    # An expired claim may be late on a busy machine, so that its holder is given up more slowly than one that is gone.
    return Runner.MAY_LIVE if claim.expires > now else Runner.NOBODY


def examine(request: RequestRow, run: RunSeen | None, runner: Runner) -> Finding | None:
    """What to do about a request; None when nothing is amiss.

    `run` is the flow run that the record names, None when Prefect has none of that id.
    """
    if runner is Runner.MAY_LIVE or request.flow_run_id is None:
        return None
    if request.state in _TO_RUN:
        return _examine_to_run(request, run, runner)
    if run is None:
        return None
    return _examine_settled(request, run)


def _examine_to_run(  # noqa: PLR0911 - one case a type of state
    request: RequestRow, run: RunSeen | None, runner: Runner
) -> Finding | None:
    if run is None:
        return StartAgain("its run is gone from Prefect")
    if not run.deployed and run.type not in {"RUNNING", "PENDING"}:
        return StartAgain("the deployment of its run is gone from Prefect")
    # A run that ended before the request was to go on has a retry on its way.
    ended = STALE if run.since < request.state_since else SOON
    match run.type:
        case "CANCELLED":
            return Hold(PREFECT_UI, "its run was cancelled in Prefect, reason unknown", after=ended)
        case "CRASHED" | "FAILED":
            return StartAgain(f"its run ended without an outcome: {run.message}", after=ended, crashed=True)
        case "COMPLETED":
            return StartAgain(f"its run shows Completed, but the request is {request.state.value}", after=ended)
        case "RUNNING" | "PENDING":
            # With nobody's claim on it, it may be starting now.
            after = SOON if runner is Runner.LEFT else STALE
            return StartAgain("the process of its run is gone", after=after, crashed=True, old_run=run.id)
        case "CANCELLING":
            # Its worker is about to end it; without one, nobody is.
            return Hold(PREFECT_UI, "its run was cancelled in Prefect, reason unknown", after=STALE)
        case "PAUSED":
            return None if request.wake_at is not None else Wake()
        case _:
            return None


def _examine_settled(request: RequestRow, run: RunSeen) -> Finding | None:
    if run.type in {"SCHEDULED", "PAUSED"}:
        return None
    shown = _shown(request)
    if shown is None or shown.kind.upper() == run.type:
        return None
    # A process that has just recorded the outcome is about to report it.
    return replace(shown, after=SOON if run.final else STALE)


def _shown(request: RequestRow) -> Show | None:
    """What Prefect shows for the run of a request that nobody runs (design section 2, table of states)."""
    match request.state:
        case RequestState.ON_HOLD:
            return Show("failed", "Failed", request.state_reason)
        case RequestState.FULFILLED:
            return Show("completed", "Completed", "The request is fulfilled.")
        case RequestState.CANCELLED:
            return Show("cancelled", "Cancelled", request.state_reason)
        case RequestState.FAILED:
            return Show("failed", FAILED_AND_UNDONE, f"{request.state_reason} To have it after all, order anew.")
        case _:
            return None


def crashes_without_progress(events: Iterable[AuditEvent], steps: Iterable[StepRow], crashed_event: str) -> int:
    """How often the request's process ended without an outcome since it last changed state or got on by a step."""
    got_on = [step.ended for step in steps if step.ended is not None and step.state is not StepState.FAILED]
    crashes: list[datetime] = []
    for event in events:
        if event.event == crashed_event:
            crashes.append(event.at)
        elif event.from_state is not event.to_state:
            crashes = []
    latest = max(got_on, default=None)
    return sum(latest is None or crash > latest for crash in crashes)

"""Prerequisites: what must hold before a request may start is read after it was accepted, without Prefect.

The keeper does it, while the request is `validating`, under the request's claim as every runner: killed half-way, it
is taken up again, and what was answered stays. What is not met rejects the request with the model's words. What cannot
be read is tried again at growing distances; after `keeper.prerequisites_seconds` of that the request is rejected, with
what to do, since a person who is told nothing orders again elsewhere.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.registry import Registry
from flows.actors import KEEPER
from flows.claim_upkeep import ClaimUpkeep
from flows.engine_ledger import EngineLedger, Settled
from flows.errors import RequestRefused
from flows.frames import ROOT, Frames
from flows.holder import is_gone, this_process
from flows.records.errors import ClaimLost
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, RequestRow
from flows.records.states import RequestState, StepState
from flows.scheduling import go_ahead
from flows.scope import Scope, request_frames
from flows.settings import Settings
from flows.step_evaluation import refused_by_expectation
from flows.step_run import StepRun
from flows.taking_over import settle_what_was_left
from flows.walk import StepReport
from request_models.actions import ErrorClass, Outcome
from request_models.plan import Plan, Read, Step, step_of

READING = "prerequisites"
"""In place of a flow run's id in the claim."""

_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(minutes=10)
_INSTALLATION = frozenset({"unknown-action", "contract-changed"})
"""Codes of failures that say nothing of the request: an operator can mend them."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Refused:
    why: str


@dataclass(frozen=True)
class _Later:
    why: str
    until: datetime


class Prerequisites:
    """Reads the prerequisites of requests. Thread-safe. `new_stop` is as in `Execution`."""

    def __init__(
        self,
        records: Records,
        registry: Registry,
        settings: Settings,
        new_stop: Callable[[], threading.Event] = threading.Event,
    ) -> None:
        self._records = records
        self._registry = registry
        self._settings = settings
        self._new_stop = new_stop

    def due(self, limit: int) -> list[str]:
        """The requests whose prerequisites are to be read now, the longest waiting first."""
        found = self._records.read(lambda tx: tx.requests.to_validate(self._records.now(), limit))
        return [request.id for request in found]

    def read(self, request_id: str) -> None:
        """Read the prerequisites of one request, and let it go on, be rejected, or be looked at again later."""
        ttl = timedelta(seconds=self._settings.claim.ttl_seconds)
        claim = self._records.run(lambda tx: _claimed(tx, request_id, ttl))
        if claim is None:
            return
        stop = self._new_stop()
        upkeep = ClaimUpkeep(self._records, claim, RequestState.VALIDATING, ttl.total_seconds(), stop)
        try:
            self._read_claimed(request_id, claim, stop)
        except ClaimLost:
            _logger.info("request %s: somebody else reads its prerequisites", request_id)
        finally:
            upkeep.end()

    def _read_claimed(self, request_id: str, claim: Claim, stop: threading.Event) -> None:
        def look(tx: Transaction) -> tuple[RequestRow, Plan, Frames]:
            request = tx.requests.get(request_id)
            assert request is not None, "its claim was taken"
            plan = tx.plans.get(request.plan_digest)
            return request, plan, request_frames(tx, plan, request, self._settings.public)

        request, plan, frames = self._records.read(look)
        came_of_it: _Refused | _Later | None = None
        for read in plan.prerequisites:
            came_of_it = self._read_one(read, plan, request, claim, frames, stop)
            if came_of_it is not None or stop.is_set():
                break
        self._records.run(lambda tx: self._leave(tx, claim, plan, frames, came_of_it))

    def _read_one(
        self, read: Read, plan: Plan, request: RequestRow, claim: Claim, frames: Frames, stop: threading.Event
    ) -> _Refused | _Later | None:
        step, supplier = step_of(read), plan.supplier_of(read.path)
        ledger = EngineLedger(self._records, claim, request, step, supplier=supplier)
        report = prerequisite_report(
            step,
            ledger,
            self._registry,
            scope=lambda: frames.scope(ROOT),
            timeout_seconds=self._settings.step_timeout_seconds,
            log=lambda line: _logger.info("request %s, %s: %s", request.id, read.path, line),
            stop=stop,
        )
        if report.pause is not None:
            until = report.pause.until or self._records.now() + _FIRST_PAUSE
            return _Later(f"{_name(read)} cannot be read yet: {report.message}", until)
        if report.state is StepState.DONE:
            frames.put(ROOT, read.path, ledger.entry() or {})
            return None
        return self._failed(read, request, report)

    def _failed(self, read: Read, request: RequestRow, report: StepReport) -> _Refused | _Later:
        attempts = self._records.read(lambda tx: tx.steps.attempts(request.id))
        own, now = [one for one in attempts if one.path == read.path], self._records.now()
        last = own[-1]
        if last.error_code == "expectation":
            return _Refused(report.message)
        if last.error_class is ErrorClass.REJECTED and last.error_code not in _INSTALLATION:
            return _Refused(f"{_name(read)} cannot be judged: {report.message} Correct what was asked, and order anew.")
        elapsed = now - own[0].started
        if elapsed.total_seconds() >= self._settings.keeper.prerequisites_seconds:
            hours = self._settings.keeper.prerequisites_seconds / 3600
            return _Refused(
                f"{_name(read)} could not be read for {hours:g} hours: {report.message} "
                "Order anew when the system that is asked answers again."
            )
        # As long again as it has lasted: a short fault is soon over, a long one is not asked about all the time.
        until = now + min(max(elapsed, _FIRST_PAUSE), _LONGEST_PAUSE)
        return _Later(f"{_name(read)} cannot be read yet: {report.message} Trying again at {until:%H:%M:%S} UTC", until)

    def _leave(
        self, tx: Transaction, claim: Claim, plan: Plan, frames: Frames, came_of_it: _Refused | _Later | None
    ) -> None:
        """Record what came of it and give the claim back; what somebody else decided meanwhile stands."""
        request = tx.requests.get_for_update(claim.request_id)
        tx.claims.check(claim.request_id, claim.epoch)
        if request is not None and request.state is RequestState.VALIDATING:
            match came_of_it:
                case _Refused(why=why):
                    tx.requests.move(request.id, RequestState.REJECTED, actor=KEEPER, why=why, epoch=claim.epoch)
                case _Later(why=why, until=until):
                    tx.requests.set_wake_at(request.id, until, epoch=claim.epoch, why=why)
                case None if all(frames.entry(ROOT, read.path) is not None for read in plan.prerequisites):
                    try:
                        go_ahead(tx, request, plan, frames.scope(ROOT), tx.now())
                    except RequestRefused as error:
                        tx.requests.move(request.id, RequestState.REJECTED, actor=KEEPER, why=str(error))
                case None:
                    pass  # it was told to stop
        tx.claims.release(claim)


def prerequisite_report(
    step: Step,
    ledger: EngineLedger,
    registry: Registry,
    *,
    scope: Callable[[], Scope],
    timeout_seconds: float,
    log: Callable[[str], None],
    stop: threading.Event,
) -> StepReport:
    """Bring one prerequisite to its outcome: read and judge, or, where nothing is read, judge alone."""
    if step.uses:
        run = StepRun(step, ledger, registry, scope=scope, default_timeout_seconds=timeout_seconds, log=log, stop=stop)
        return run.report()
    return _judged(step, ledger, scope)


def _judged(step: Step, ledger: EngineLedger, scope: Callable[[], Scope]) -> StepReport:
    """A condition on what is known already."""
    row, queued = ledger.row(), ledger.now()
    if row is not None and row.state is StepState.DONE:
        return StepReport(step.path, row.state, cached=True)
    refused = refused_by_expectation(step, scope, {}, None)
    if refused is not None:
        ledger.failed_before_call(refused, queued)
        return StepReport(step.path, StepState.FAILED, message=refused.message)
    ledger.settle(row or ledger.start({}, (), {}, None), Settled(Outcome.READ, {}, queued))
    return StepReport(step.path, StepState.DONE, outcome=Outcome.READ.value)


def _claimed(tx: Transaction, request_id: str, ttl: timedelta) -> Claim | None:
    """The claim on a request that is to be validated; None when there is nothing to do, or somebody does it."""
    request = tx.requests.get_for_update(request_id)
    if request is None or request.state is not RequestState.VALIDATING:
        return None
    held = tx.claims.get(request_id)
    dead = held.epoch if held is not None and not held.released and is_gone(held.holder) else None
    claim = tx.claims.take(request_id, READING, this_process(), ttl, dead_epoch=dead)
    if claim is not None:
        settle_what_was_left(tx, request_id, claim.epoch)
    return claim


def _name(read: Read) -> str:
    return f"The prerequisite `{read.path.removeprefix('prerequisites.')}`"

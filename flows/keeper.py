"""The keeper: loops that see to it that what our records want comes true in Prefect, whatever was down meanwhile.

It holds no state that matters: killing it loses nothing, and two of them do no harm, since each change is made only if
the request is still as it was when it was looked at.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType

from flows.actors import KEEPER
from flows.bells import KEEPER as KEEPER_BELL
from flows.bells import WORKER, Bell, bell_or_none, ring
from flows.dispatch import (
    CRASHED,
    DISPATCHED_AGAIN,
    Dispatcher,
    FlowRuns,
    FlowRunView,
    PrefectRefused,
    PrefectUnavailable,
    start_again,
)
from flows.holder import is_gone
from flows.incoming_events import forget_old_events
from flows.keeper_threads import Aside
from flows.left_runs import LeftRuns
from flows.lock_queue import let_go_after_hold, say_who_waits
from flows.outbox_kinds import RETRY
from flows.people_tasks import mark_overdue
from flows.publishing import prefect_client
from flows.reconciliation import (
    Finding,
    Hold,
    Runner,
    StartAgain,
    Wake,
    crashes_without_progress,
    examine,
    runner_of,
)
from flows.records.errors import RecordsUnavailable
from flows.records.records import Records, Transaction
from flows.records.rows import RequestRow
from flows.records.states import RequestState
from flows.run_limit import hold_what_runs_too_long
from flows.settings import KeeperSettings, Settings
from flows.waking import deliver_wakes
from flows.wiring import Application

_WATCHED = (RequestState.SCHEDULED, RequestState.IN_PROGRESS, RequestState.ON_HOLD, RequestState.UNDOING)
_DEPLOYMENTS_EVERY = 30.0
_TASKS_EVERY = 5.0
_EVENTS_EVERY = 600.0
_BOUNDS_EVERY = 5.0
_WAKES_AT_ONCE = 50
_READ_AT_ONCE = 8
_MAILS_AT_ONCE = 2

_logger = logging.getLogger(__name__)


class Keeper:
    """The work of the loops. `clock` gives aware UTC datetimes, `seconds` a monotonic count."""

    def __init__(
        self,
        records: Records,
        flow_runs: FlowRuns,
        settings: KeeperSettings,
        clock: Callable[[], datetime] | None = None,
        seconds: Callable[[], float] = time.monotonic,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        self._records = records
        self._flow_runs = flow_runs
        self._settings = settings
        self._clock = clock or (lambda: datetime.now(UTC))
        self._seconds = seconds
        self._dispatcher = Dispatcher(records, flow_runs, clock, announce)
        self._first_seen: dict[Hashable, float] = {}

    def dispatch(self) -> None:
        """Deliver what is due to Prefect."""
        self._dispatcher.deliver_due()

    def wake(self) -> None:
        """Let the waiting requests go on whose time has come."""
        for request in self._records.read(lambda tx: tx.requests.to_wake(self._clock(), _WAKES_AT_ONCE)):
            self._records.run(lambda tx, request=request: _wake(tx, request))  # type: ignore[misc]

    def deliver_wakes(self) -> None:
        """Let requests go on for which something came while they still ran something else."""
        deliver_wakes(self._records, self._clock())

    def watch_tasks(self) -> None:
        """Record which tasks are overdue."""
        mark_overdue(self._records, self._clock())

    def watch_bounds(self) -> None:
        """Have nothing run for ever, no lock be kept for ever, and every request that waits for one say for whom."""
        now, settings = self._clock(), self._settings
        hold_what_runs_too_long(self._records, now, timedelta(seconds=settings.longest_run_seconds))
        let_go_after_hold(self._records, now, timedelta(seconds=settings.lock_hold_seconds))
        say_who_waits(self._records)

    def forget_events(self) -> None:
        """Delete events that were kept long enough."""
        forget_old_events(self._records, self._clock())

    def keep_deployments(self) -> None:
        """Have the deployments of all models as they were published."""
        plans = self._records.read(lambda tx: [tx.plans.get(row.digest) for row in tx.publications.all()])
        self._flow_runs.keep_deployments(plans)

    def reconcile(self) -> None:
        """Compare our records with Prefect, and act upon each difference that has stood long enough."""
        watched = self._records.read(lambda tx: tx.requests.in_states(_WATCHED))
        runs = self._flow_runs.look([request.flow_run_id for request in watched if request.flow_run_id is not None])
        seen: set[Hashable] = set()
        for request in [*watched, *self._ended_with_unsettled_runs(runs)]:
            run = runs.get(request.flow_run_id or "")
            finding = examine(request, run, self._runner(request.id, run))
            if finding is not None and self._stands(seen, request, run, finding):
                self._act(request, run, finding)
        self._first_seen = {key: since for key, since in self._first_seen.items() if key in seen}

    def _ended_with_unsettled_runs(self, runs: dict[str, FlowRunView]) -> list[RequestRow]:
        """Requests that have ended while their run looks as if it had not; adds those runs to `runs`."""
        unsettled = {run.id: run for run in self._flow_runs.unsettled() if run.id not in runs}
        wanted = {run.request_id for run in unsettled.values() if run.request_id is not None}
        found = self._records.read(lambda tx: [tx.requests.get(request_id) for request_id in sorted(wanted)])
        ended = [row for row in found if row is not None and row.state.ended and row.flow_run_id in unsettled]
        runs |= {row.flow_run_id: unsettled[row.flow_run_id] for row in ended if row.flow_run_id is not None}
        return ended

    def _runner(self, request_id: str, run: FlowRunView | None) -> Runner:
        claim = self._records.read(lambda tx: tx.claims.get(request_id))
        return runner_of(claim, run, self._clock(), is_gone)

    def _stands(self, seen: set[Hashable], request: RequestRow, run: FlowRunView | None, finding: Finding) -> bool:
        """Whether the same difference was there `finding.after` seconds ago."""
        key = (request.id, request.version, type(finding), run and (run.id, run.type, run.since))
        seen.add(key)
        return self._seconds() - self._first_seen.setdefault(key, self._seconds()) >= finding.after

    def _act(self, request: RequestRow, run: FlowRunView | None, finding: Finding) -> None:
        if isinstance(finding, StartAgain):
            self._start_again(request, finding)
        elif isinstance(finding, Wake):
            self._records.run(lambda tx: tx.outbox.put(RETRY, request.id, {}))
        elif isinstance(finding, Hold):
            self._records.run(lambda tx: self._hold(tx, request, finding))
        elif run is not None:
            _logger.info("request %s is %s, its run shows %s: correcting Prefect", request.id, request.state, run.type)
            self._flow_runs.show(run.id, finding.kind, finding.name, finding.message)

    def _start_again(self, request: RequestRow, finding: StartAgain) -> None:
        _logger.warning("request %s: %s; starting it again", request.id, finding.why)
        given_up = self._records.run(lambda tx: self._start_or_hold(tx, request, finding))
        if finding.old_run is not None:
            outcome = "it is on hold" if given_up else "it goes on in another run"
            self._flow_runs.show(finding.old_run, "crashed", "Crashed", f"The process of this run is gone; {outcome}.")

    def _start_or_hold(self, tx: Transaction, request: RequestRow, finding: StartAgain) -> bool:
        if self._is_taken(tx, request):
            return False
        crashes = crashes_without_progress(tx.audit.of(request.id), tx.steps.all(request.id), CRASHED)
        if finding.crashed and crashes + 1 >= self._settings.crashes_before_hold:
            why = (
                f"The process that runs it ended {crashes + 1} times without getting on by a step, lastly because "
                f"{finding.why}. The worker's log says more. Mend the cause, then retry."
            )
            return self._hold(tx, request, Hold(KEEPER, why))
        start_again(tx, request, finding.why, CRASHED if finding.crashed else DISPATCHED_AGAIN)
        return False

    def _hold(self, tx: Transaction, request: RequestRow, finding: Hold) -> bool:
        """Put the request on hold, unless somebody changed or took it since it was looked at."""
        current = tx.requests.get_for_update(request.id)
        if current is None or current.version != request.version or self._is_taken(tx, request):
            return False
        if request.state is RequestState.SCHEDULED:
            # The table of states has no way from scheduled to on hold but through the run that there was.
            tx.requests.move(request.id, RequestState.IN_PROGRESS, actor=finding.actor, why="its flow run was there")
        tx.requests.move(request.id, RequestState.ON_HOLD, actor=finding.actor, why=finding.why)
        return True

    def _is_taken(self, tx: Transaction, request: RequestRow) -> bool:
        return runner_of(tx.claims.get(request.id), None, self._clock(), is_gone) is Runner.MAY_LIVE


def _wake(tx: Transaction, request: RequestRow) -> None:
    """Let a request go on, unless somebody changed it since it was looked at."""
    current = tx.requests.get_for_update(request.id)
    if current is not None and current.version == request.version:
        if current.state is RequestState.UNDOING:
            tx.requests.set_wake_at(request.id, None)
        else:
            tx.requests.move(request.id, RequestState.IN_PROGRESS, actor=KEEPER, why="its time has come")
        tx.outbox.put(RETRY, request.id, {})


def run_keeper(settings: Settings) -> None:
    """Keep until SIGTERM or SIGINT."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        ring(settings.state, KEEPER_BELL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    application = Application.open(settings)
    try:
        with prefect_client(settings.prefect) as client:
            keeper = Keeper(
                application.records,
                FlowRuns(client, settings.prefect.work_pool),
                settings.keeper,
                announce=lambda: ring(settings.state, WORKER),
            )
            deadlines = Loop(application.deadlines.look_now, _TASKS_EVERY)
            notices = Loop(application.approval_mail.address, settings.keeper.dispatch_every)
            with (
                beside(application),
                LeftRuns(settings.state / "runs"),
                bell_or_none(settings.state, KEEPER_BELL) as bell,
            ):
                keep(keeper, settings.keeper, stop, bell, [deadlines, notices])
    finally:
        application.close()


@contextmanager
def beside(application: Application) -> Iterator[None]:
    """What other systems may make slow, beside the loops."""
    every, prerequisites, mail = (
        application.settings.keeper.dispatch_every,
        application.prerequisites,
        application.approval_mail,
    )
    with (
        Aside("prerequisites", prerequisites.due, prerequisites.read, every=every, most=_READ_AT_ONCE),
        Aside("mail", mail.due, mail.send, every=every, most=_MAILS_AT_ONCE),
    ):
        yield


def keep(
    keeper: Keeper, settings: KeeperSettings, stop: threading.Event, bell: Bell | None, more: "Iterable[Loop]" = ()
) -> None:
    """Run the loops until `stop` is set; what is down is waited for. The bell calls for a dispatch at once."""
    dispatch = Loop(keeper.dispatch, settings.dispatch_every)
    loops = [
        *more,
        dispatch,
        Loop(keeper.wake, settings.dispatch_every),
        Loop(keeper.deliver_wakes, settings.dispatch_every),
        Loop(keeper.watch_tasks, _TASKS_EVERY),
        Loop(keeper.watch_bounds, _BOUNDS_EVERY),
        Loop(keeper.forget_events, _EVENTS_EVERY),
        Loop(keeper.reconcile, settings.reconcile_every),
        Loop(keeper.keep_deployments, _DEPLOYMENTS_EVERY),
    ]
    while not stop.is_set():
        for loop in loops:
            loop.run_if_due()
        if bell is None:
            stop.wait(settings.dispatch_every)
        elif bell.wait(settings.dispatch_every):
            dispatch.hurry()


class Loop:
    """One thing done every so many seconds. It says once that something is down, and once that it is back."""

    def __init__(self, work: Callable[[], None], every: float) -> None:
        self._work = work
        self._every = every
        self._next = 0.0
        self._down = ""

    def hurry(self) -> None:
        """Be due now."""
        self._next = 0.0

    def run_if_due(self) -> None:
        if time.monotonic() < self._next:
            return
        try:
            self._work()
        except (PrefectUnavailable, PrefectRefused, RecordsUnavailable) as error:
            self._note(f"{type(error).__name__}: {error}")
        except Exception:
            # A fault in one loop must not end the others; it is logged each time, for it is ours to mend.
            _logger.exception("%s failed; going on", getattr(self._work, "__name__", "a loop"))
        else:
            self._note("")
        self._next = time.monotonic() + self._every

    def _note(self, down: str) -> None:
        if down and down != self._down:
            _logger.warning("%s; trying again every %g s", down, self._every)
        elif self._down and not down:
            _logger.info("back: %s", getattr(self._work, "__name__", "a loop"))
        self._down = down

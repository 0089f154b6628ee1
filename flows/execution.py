"""One entry of a Prefect flow run into a request: what our record lets it do, and the steps it then runs.

A flow run is a wake-up and nothing more (design section 2): whatever was pressed in Prefect, the record decides whether
the run goes on, waits, or ends with a message for the operator. While it goes on it holds the request's claim, which a
thread renews; every write to the ledger carries the claim's epoch, so a process that lost it can write nothing.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, Self

from connectors.registry import Registry
from flows.block_ledger import BlockLedger
from flows.child_undo import Asked, ChildUndo
from flows.claim_upkeep import ClaimUpkeep
from flows.correcting import apply_correction
from flows.engine_ledger import EngineLedger
from flows.engine_steps import EngineStep
from flows.frames import PREREQUISITES, ROOT, Frame
from flows.gates import Gates
from flows.holder import make_way, this_process
from flows.lifecycle import Lifecycle
from flows.lock_queue import LOOK_AGAIN, refuse, take_locks
from flows.masking import pointers_holding, secret_texts
from flows.outputs import rendered_outputs, secret_outputs
from flows.prerequisites import prerequisite_report
from flows.proof import Proof
from flows.reached import Steps
from flows.records.corrections import CorrectionRow
from flows.records.errors import NotFound
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, EffectRow, LeftOver, RequestRow, UndoRow
from flows.records.states import RequestState, StepState, TouchKind
from flows.restoring import RestoringActions
from flows.reversal import begin_undo, end_undo, named
from flows.scope import request_frames
from flows.settings import Settings
from flows.step_ledger import StepLedger
from flows.step_run import StepRun
from flows.taking_over import settle_what_was_left
from flows.touching import touch_hold
from flows.undo_ledger import UndoLedger
from flows.undoing import Undoing, UndoUnit
from flows.walk import PASSED, STOPPED, Passage, Pause, StepReport, Unit, Walk, passage_of
from request_models.actions import ActionResult
from request_models.engine_actions import ENGINE_SPECS
from request_models.expressions import ExpressionError
from request_models.plan import Block, OnFailure, Plan, step_of

WORKER = "orderly-worker"
PREFECT_UI = "prefect-ui"
FAILED_AND_UNDONE = "Failed and undone"
"""The name of the state of a flow run that took back what a failed request had done."""

_TO_RUN = frozenset({RequestState.SCHEDULED, RequestState.IN_PROGRESS, RequestState.ON_HOLD, RequestState.UNDOING})


@dataclass(frozen=True)
class FlowRunIdentity:
    """The Prefect flow run that enters: its id, and the idempotency key it was created with."""

    flow_run_id: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Wait:
    """Another process holds the claim; enter again after so many seconds."""

    message: str
    seconds: float


@dataclass(frozen=True)
class Suspend:
    """There is nothing to do until our record says so; the run goes back to sleep."""

    message: str


@dataclass(frozen=True)
class End:
    """The run ends here. `kind` is the type of Prefect's final state, `name` what the operator reads on it."""

    kind: Literal["completed", "failed", "cancelled"]
    name: str
    message: str


@dataclass(frozen=True)
class Proceed:
    """The claim is ours: run the steps."""

    session: "Session"


Entry = Proceed | Wait | Suspend | End


class Execution:
    """Lets flow runs in. One a process; `enter` may be called from any thread.

    `new_stop` makes what steps wait on: where time is not real, waiting takes none.
    """

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

    def enter(self, request_id: str, flow_run: FlowRunIdentity) -> Entry:
        """Decide from our record what this flow run may do. Takes the claim when it may go on."""
        request = self._records.read(lambda tx: tx.requests.get(request_id))
        if request is None:
            return End("failed", "Refused", f"Orderly has no request {request_id!r}. Nothing was done.")
        if not _is_ours(request, flow_run):
            return End("failed", "Refused", _not_its_run(request, flow_run))
        match request.state:
            case RequestState.SCHEDULED | RequestState.IN_PROGRESS | RequestState.ON_HOLD | RequestState.UNDOING:
                return self._claim(request, flow_run)
            case RequestState.VALIDATING | RequestState.AWAITING_APPROVAL | RequestState.WAITING:
                why = request.state_reason or "nothing is decided yet"
                return Suspend(
                    f"Request {request.id} is {request.state.value}: {why}."
                    " Resuming here decides nothing; decisions are made over Orderly's API."
                )
            case RequestState.FULFILLED:
                return End("completed", "Completed", "The request is fulfilled already; nothing was done.")
            case _:
                return End(
                    "cancelled" if request.state is RequestState.CANCELLED else "failed",
                    request.state.value.capitalize(),
                    f"The request ended as {request.state.value}. To have it after all, order anew; nothing was done.",
                )

    def _claim(self, request: RequestRow, flow_run: FlowRunIdentity) -> Entry:
        held = self._records.read(lambda tx: tx.claims.get(request.id))
        dead_epoch: int | None = None
        if held is not None and not held.released:
            if not make_way(held, self._records.now(), self._longest_call_seconds(request)):
                return Wait(
                    f"Process {held.holder.pid} on {held.holder.host} holds this request until {held.expires:%H:%M:%S} "
                    "UTC, longer if it goes on; waiting for it.",
                    seconds=1.0,
                )
            dead_epoch = held.epoch
        ttl = timedelta(seconds=self._settings.claim.ttl_seconds)
        claim = self._records.run(
            lambda tx: tx.claims.take(request.id, flow_run.flow_run_id, this_process(), ttl, dead_epoch=dead_epoch)
        )
        if claim is None:
            return Wait("Another process has just taken this request; waiting for it.", seconds=1.0)
        session = Session.begin(self._records, self._registry, self._settings, claim, flow_run, self._new_stop())
        if isinstance(session, Suspend | End):
            return session
        # Somebody may have cancelled it between the look and the claim: then it is decided anew.
        return self.enter(request.id, flow_run) if session is None else Proceed(session)

    def _longest_call_seconds(self, request: RequestRow) -> float:
        plan = self._records.read(lambda tx: tx.plans.get(request.plan_digest))
        default = self._settings.step_timeout_seconds
        return max((step.timeout_seconds or default for step in plan.steps), default=default)


class Session:
    """One process's hold on a request: its plan, its steps, its end. Use as a context manager."""

    def __init__(
        self,
        records: Records,
        registry: Registry,
        settings: Settings,
        claim: Claim,
        request: RequestRow,
        plan: Plan,
        undo: UndoRow | None,
        stop: threading.Event,
    ) -> None:
        self.request = request
        self.plan = plan
        self._records = records
        self._registry = registry
        self._settings = settings
        self._claim = claim
        self._undo = undo
        self._left_over: tuple[LeftOver, ...] = ()
        self._upkeep = ClaimUpkeep(records, claim, request.state, settings.claim.ttl_seconds, stop)
        self._frames = records.read(lambda tx: request_frames(tx, plan, request, settings.public))

    @classmethod
    def begin(
        cls,
        records: Records,
        registry: Registry,
        settings: Settings,
        claim: Claim,
        flow_run: FlowRunIdentity,
        stop: threading.Event,
    ) -> Self | Suspend | End | None:
        """Record that the request runs, and what an earlier holder left unknown. Raises ClaimLost.

        `stop` is set when the claim is lost, or when nothing more is to be begun.

        None, with the claim given back, when the request is not the flow run's to run any more; how the run goes on,
        when the request has to wait for its locks first.
        """

        def write(tx: Transaction) -> tuple[RequestRow, Plan, UndoRow | None] | Suspend | End | None:
            request = tx.requests.get_for_update(claim.request_id)
            if request is None:
                raise NotFound("request", claim.request_id)
            if request.state not in _TO_RUN or not _is_ours(request, flow_run):
                tx.claims.release(claim)
                return None
            undo = tx.undos.get(request.id)
            request = _taken_up(tx, request, undo, claim)
            if request.flow_run_id != claim.flow_run_id and request.dispatch_key is not None:
                request = tx.requests.set_flow_run(request.id, claim.flow_run_id, request.dispatch_key)
            if request.wake_at is not None:
                tx.requests.set_wake_at(request.id, None, epoch=claim.epoch)
            settle_what_was_left(tx, request.id, claim.epoch)
            parked = _parked(tx, request, undo, claim)
            if parked is not None:
                return parked
            return request, tx.plans.get(request.plan_digest), undo

        begun = records.run(write)
        if begun is None or isinstance(begun, Suspend | End):
            return begun
        return cls(records, registry, settings, claim, *begun, stop)

    def walk(self, run: Callable[[Unit], StepReport]) -> Passage:
        """Go through the plan, from wherever the request stands; `run` runs one step, `run_step` as a rule.

        A request that is being undone goes the way back.
        """
        pending = self._records.read(lambda tx: tx.corrections.pending(self.request.id))
        if pending is not None and self._undo is None:
            passage = self._correct(pending, run)
            if not passage.goes_on:
                return passage
        blocks = BlockLedger(self._records, self._claim)
        reached = Steps(self._frames, blocks)
        if self._undo is not None:
            undone = self._undoing(run).take_back(reached.of(self.plan))
            self._left_over = undone.left_over
            return undone.passage

        def take_back(block: Block, frame: Frame, place: str) -> tuple[Passage, str]:
            undone = self._undoing(run).take_back(reached.within(block, frame, place))
            return undone.passage, named(undone.left_over)

        gates = Gates(self._records, self._claim, self.plan, self._frames)
        passage = self._prerequisites(run)
        if passage.goes_on:
            passage = gates.begin()
        if passage.goes_on:
            stop, most = self._upkeep.stop, self._settings.worker.branches
            walk = Walk(self.plan, self._frames, blocks, run, take_back, stop, most, gates.pass_to)
            passage = walk.whole()
        return passage if not passage.goes_on else self._verify(run)

    def _correct(self, correction: CorrectionRow, run: Callable[[Unit], StepReport]) -> Passage:
        """Take back what depends on corrected inputs, with the inputs as they were, and then have the new ones hold."""
        concerned = frozenset(correction.steps)
        reached = Steps(self._frames, BlockLedger(self._records, self._claim)).of(self.plan)
        undone = self._undoing(run).take_back([one for one in reached if one.key in concerned])
        if undone.passage.goes_on and undone.left_over:
            why = f"Not all that depends on the corrected inputs was taken back: {named(undone.left_over)}."
            return Passage((StepReport("correction", StepState.FAILED, message=why),))
        if undone.passage.goes_on:
            self.request = self._records.run(lambda tx: apply_correction(tx, correction, self._claim.epoch))
            self._frames = self._records.read(
                lambda tx: request_frames(tx, self.plan, self.request, self._settings.public)
            )
        return undone.passage

    def _prerequisites(self, run: Callable[[Unit], StepReport]) -> Passage:
        """Read what has to be read again: corrected inputs make some of what was answered before of no use."""
        for read in self.plan.prerequisites:
            if self._frames.entry(ROOT, read.path) is None:
                passage = passage_of(run(Unit(step_of(read))))
                if not passage.goes_on:
                    return passage
        return PASSED

    def _verify(self, run: Callable[[Unit], StepReport]) -> Passage:
        """Look whether reality is as the model wants it. Each time the request was on hold, it is looked at anew."""
        events = self._records.read(lambda tx: tx.audit.of(self.request.id))
        holds = sum(event.to_state is RequestState.ON_HOLD for event in events)
        frame = Frame(f"{holds}", parent=ROOT)
        for look in self.plan.verify:
            passage = passage_of(run(Unit(step_of(look), frame)))
            if not passage.goes_on:
                return passage
        return PASSED

    def _undoing(self, run: Callable[[Unit], StepReport]) -> Undoing:
        def adopt(unit: Unit, effect: EffectRow, answer: ActionResult) -> None:
            ledger = StepLedger(self._records, self._claim, self.request, unit.step, unit.frame.key)
            ledger.adopt(effect, answer, self._records.now())

        stop = self._upkeep.stop
        proof = Proof(self._registry, self._records.now, self._settings.step_timeout_seconds, stop)
        ledger = UndoLedger(self._records, self._claim, self.request)
        leaves = self._undo is not None and self._undo.leaves
        asked = (
            Asked(WORKER, "a step failed") if self._undo is None else Asked(self._undo.actor, self._undo.why, leaves)
        )
        children = ChildUndo(self._records, self._claim, asked)
        return Undoing(ledger, proof, children, run, adopt, stop, leaves=leaves)

    def run_step(self, unit: Unit, log: Callable[[str], None]) -> StepReport:
        """Bring one step to its outcome, or report the one on record. Raises ClaimLost when the request is not ours."""
        self._upkeep.look()
        if self._upkeep.stop.is_set():
            return StepReport(unit.step.path, StepState.STARTED, label=unit.label, pause=STOPPED.pauses[0])
        undoes = unit if isinstance(unit, UndoUnit) else None
        supplier = self.plan.supplier_of((undoes.forward if undoes else unit).step.path)
        if unit.step.uses in ENGINE_SPECS:
            return self._run_engine_step(unit, supplier, undoes, log)
        if unit.step.path.startswith(PREREQUISITES):
            return self._run_prerequisite(unit, supplier, log)
        ledger = StepLedger(self._records, self._claim, self.request, unit.step, unit.frame.key, supplier)
        report = StepRun(
            unit.step,
            ledger,
            RestoringActions(self._registry, undoes.before) if undoes and undoes.restores else self._registry,
            scope=lambda: {**self._frames.scope(unit.frame), **(undoes.call.seen if undoes else {})},
            default_timeout_seconds=self._settings.step_timeout_seconds,
            log=log,
            stop=self._upkeep.stop,
        ).report()
        return self._told(unit, report, ledger)

    def _run_prerequisite(self, unit: Unit, supplier: str | None, log: Callable[[str], None]) -> StepReport:
        ledger = EngineLedger(self._records, self._claim, self.request, unit.step, supplier=supplier)
        report = prerequisite_report(
            unit.step,
            ledger,
            self._registry,
            scope=lambda: self._frames.scope(ROOT),
            timeout_seconds=self._settings.step_timeout_seconds,
            log=log,
            stop=self._upkeep.stop,
        )
        return self._told(unit, report, ledger)

    def _run_engine_step(
        self, unit: Unit, supplier: str | None, undoes: UndoUnit | None, log: Callable[[str], None]
    ) -> StepReport:
        ledger = EngineLedger(self._records, self._claim, self.request, unit.step, unit.frame.key, supplier)
        lifecycle = Lifecycle(self._records, self._settings.public)
        scope = lambda: {**self._frames.scope(unit.frame), **(undoes.call.seen if undoes else {})}  # noqa: E731 - one line beats a name
        report = EngineStep(unit.step, ledger, self.request, lifecycle, scope=scope, log=log).report()
        return self._told(unit, report, ledger)

    def _told(self, unit: Unit, report: StepReport, ledger: StepLedger) -> StepReport:
        if report.state is not StepState.STARTED and not isinstance(unit, UndoUnit):
            self._frames.put(unit.frame, unit.step.path, ledger.entry() or {"state": report.state.value})
        return replace(report, label=unit.label)

    def finish(self, passage: Passage) -> End | Suspend:
        """Record where the request stands after its steps, and give the claim back.

        Fulfilled with its outputs if all came to an outcome; waiting if something is to be waited for; otherwise on
        hold, for a person to choose, or being undone where the model says so. What was undone has ended.
        """
        failed = "; ".join(f"{report.name}: {report.message}" for report in passage.failures)
        if failed and not (self._undo and self._undo.leaves):
            return self._hold(failed)
        if passage.pauses:
            return self._wait(passage.pauses)
        if self._undo is not None:
            return self._undone(self._undo)
        try:
            outputs = rendered_outputs(self.plan, self._frames.scope(ROOT))
        except ExpressionError as error:
            return self._hold(f"outputs: {error}")
        epoch, secret = self._claim.epoch, list(secret_outputs(self.plan))

        def fulfil(tx: Transaction, request: RequestRow) -> End:
            found = pointers_holding(outputs, secret_texts(tx.secrets.all(request.id)))
            sealed = tx.secrets.seal(request.id, "outputs", outputs, [*secret, *found])
            tx.requests.set_outputs(request.id, sealed, epoch=epoch)
            tx.requests.move(request.id, RequestState.FULFILLED, actor=WORKER, why="every step is done", epoch=epoch)
            return End("completed", "Completed", "The request is fulfilled.")

        return self._leave(fulfil)

    def _wait(self, pauses: tuple[Pause, ...]) -> End | Suspend:
        """Let the worker go; the keeper wakes the request at the earliest moment that something waits for."""
        wake_at = min((pause.until for pause in pauses if pause.until is not None), default=None)
        why, epoch = "; ".join(dict.fromkeys(pause.why for pause in pauses)), self._claim.epoch
        asks = any(pause.decision for pause in pauses)
        to = RequestState.AWAITING_APPROVAL if asks else RequestState.WAITING

        def wait(tx: Transaction, request: RequestRow) -> Suspend:
            if self._undo is not None:
                tx.requests.set_wake_at(request.id, wake_at, epoch=epoch)
            else:
                tx.requests.move(request.id, to, actor=WORKER, why=why, epoch=epoch, wake_at=wake_at)
            return Suspend(f"Request {request.id} waits: {why}")

        return self._leave(wait)

    def _hold(self, why: str) -> End | Suspend:
        """Leave it to a person; where the model says so, have all that was done taken back instead."""
        epoch = self._claim.epoch

        def hold(tx: Transaction, request: RequestRow) -> End:
            if self._undo is None and self.plan.on_failure is OnFailure.UNDO:
                begin_undo(tx, request, RequestState.FAILED, WORKER, why, epoch=epoch)
                return End("failed", "Failed", f"{why} What it did is taken back, in a run of its own.")
            said = why
            if self._undo is not None:
                tx.undos.set_left_over(request.id, self._left_over)
                said = f"Not all was taken back. What remains: {named(self._left_over)}."
            tx.requests.move(request.id, RequestState.ON_HOLD, actor=WORKER, why=said, epoch=epoch)
            return End("failed", "Failed", said)

        return self._leave(hold)

    def _undone(self, undo: UndoRow) -> End | Suspend:
        def end(tx: Transaction, _: RequestRow) -> End:
            row = end_undo(tx, undo, self._left_over, actor=WORKER, epoch=self._claim.epoch)
            if row.state is RequestState.CANCELLED:
                return End("cancelled", "Cancelled", row.state_reason)
            name = FAILED_AND_UNDONE if row.state is RequestState.FAILED else row.state.value.capitalize()
            return End("failed", name, row.state_reason)

        return self._leave(end)

    def _leave(self, write: Callable[[Transaction, RequestRow], End | Suspend]) -> End | Suspend:
        """Record where the request stands and give the claim back.

        If somebody changed meanwhile what is to become of it, it is left to them. Raises ClaimLost.
        """

        def leave(tx: Transaction) -> End | Suspend:
            request = tx.requests.get_for_update(self.request.id)
            if request is not None and request.state is self.request.state:
                end = write(tx, request)
            else:
                tx.claims.check(self.request.id, self._claim.epoch)
                end = _left_to_others(request)
            tx.claims.release(self._claim)
            return end

        return self._records.run(leave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop renewing. A claim `finish` did not give back runs out by itself; the keeper starts the request again."""
        self._upkeep.end()


def _left_to_others(request: RequestRow | None) -> End:
    """The end of a run whose request somebody has put into another state meanwhile."""
    if request is None:
        return End("failed", "Failed", "The request is gone.")
    if request.state in {RequestState.UNDOING, RequestState.CANCELLED}:
        said = f"{request.state_reason} What was done is taken back in a run of its own."
        return End("cancelled", "Cancelled", said)
    return End("failed", "Failed", f"The request is {request.state.value} meanwhile: {request.state_reason}")


def _taken_up(tx: Transaction, request: RequestRow, undo: UndoRow | None, claim: Claim) -> RequestRow:
    """Have the request in a state in which it runs: forward, or, once its undo was begun, back."""
    to = RequestState.IN_PROGRESS if undo is None else RequestState.UNDOING
    if request.state is to:
        return request
    pressed = request.state is RequestState.ON_HOLD
    if pressed:
        touch_hold(tx, request, TouchKind.RETRY, PREFECT_UI, "pressed in Prefect, reason unknown")
    actor = PREFECT_UI if pressed else WORKER
    why = "Retry was pressed in Prefect, reason unknown" if pressed else "its flow run started"
    return tx.requests.move(request.id, to, actor=actor, why=why, epoch=claim.epoch)


def _parked(tx: Transaction, request: RequestRow, undo: UndoRow | None, claim: Claim) -> Suspend | End | None:
    """Have a request that does not hold its locks wait for them, its claim given back; None if it holds them."""
    waiting = take_locks(tx, request)
    if waiting is None:
        return None
    if waiting.for_ever:
        refuse(tx, request, waiting.why, WORKER, claim.epoch)
    elif undo is None:
        tx.requests.move(request.id, RequestState.WAITING, actor=WORKER, why=waiting.why, epoch=claim.epoch)
    else:
        tx.requests.set_wake_at(request.id, tx.now() + LOOK_AGAIN, epoch=claim.epoch)
    tx.claims.release(claim)
    if waiting.for_ever:
        return End("failed", "Failed", waiting.why)
    return Suspend(f"Request {request.id} does not run yet: {waiting.why}")


def _is_ours(request: RequestRow, flow_run: FlowRunIdentity) -> bool:
    if request.flow_run_id == flow_run.flow_run_id:
        return True
    # The run may start before the dispatcher has recorded its id: the key's nonce then proves it is the one.
    return request.dispatch_key is not None and request.dispatch_key == flow_run.idempotency_key


def _not_its_run(request: RequestRow, flow_run: FlowRunIdentity) -> str:
    if (flow_run.idempotency_key or "").startswith(f"orderly:{request.id}:"):
        if request.state.ended:
            ended = f"Request {request.id} ended as {request.state.value}: {request.state_reason}"
            return f"{ended} To have it after all, order anew. Nothing was done here."
        if request.state is RequestState.UNDOING:
            return f"What request {request.id} did is taken back, in a run of its own. Nothing was done here."
        return f"Request {request.id} goes on in another run, since this one was lost. Nothing was done here."
    return (
        f"Orderly did not start this run for request {request.id}, so nothing was done. Orders come over Orderly's "
        "API; a failed request is retried on its own flow run."
    )

"""One entry of a Prefect flow run into a request: what our record lets it do, and the steps it then runs.

A flow run is a wake-up and nothing more (design section 2): whatever was pressed in Prefect, the record decides whether
the run goes on, waits, or ends with a message for the operator. While it goes on it holds the request's claim, which a
thread renews; every write to the ledger carries the claim's epoch, so a process that lost it can write nothing.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, Self, cast

from connectors.registry import Registry
from flows.block_ledger import BlockLedger
from flows.engine_ledger import EngineLedger
from flows.engine_steps import EngineStep
from flows.frames import ROOT, Frame
from flows.holder import end, is_gone, is_here, this_process
from flows.lifecycle import Lifecycle
from flows.masking import pointers_holding, secret_texts
from flows.records.errors import ClaimLost, NotFound, RecordsUnavailable
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, RequestRow
from flows.records.states import RequestState, StepState, TouchKind
from flows.scope import request_frames
from flows.settings import Settings
from flows.step_ledger import StepLedger
from flows.step_run import StepRun
from flows.touching import touch_hold
from flows.walk import PASSED, Passage, Pause, StepReport, Unit, Walk, passage_of
from request_models.engine_actions import ENGINE_SPECS
from request_models.expressions import ExpressionError, Omitted, render
from request_models.json_values import JsonValue
from request_models.plan import Plan, step_of
from request_models.secrecy import secret_pointers

WORKER = "orderly-worker"
PREFECT_UI = "prefect-ui"


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
        if not self._is_ours(request, flow_run):
            return End("failed", "Refused", _not_its_run(request, flow_run))
        match request.state:
            case RequestState.SCHEDULED | RequestState.IN_PROGRESS | RequestState.ON_HOLD:
                return self._claim(request, flow_run)
            case RequestState.VALIDATING | RequestState.AWAITING_APPROVAL | RequestState.WAITING:
                why = request.state_reason or "nothing is decided yet"
                return Suspend(
                    f"Request {request.id} is {request.state.value}: {why}."
                    " Resuming here decides nothing; decisions are made over Orderly's API."
                )
            case RequestState.FULFILLED:
                return End("completed", "Completed", "The request is fulfilled already; nothing was done.")
            case RequestState.UNDOING:
                return End(
                    "failed", "Refused", "The request is being undone, by a run of its own. Nothing was done here."
                )
            case _:
                return End(
                    "cancelled" if request.state is RequestState.CANCELLED else "failed",
                    request.state.value.capitalize(),
                    f"The request ended as {request.state.value}. To have it after all, order anew; nothing was done.",
                )

    def _is_ours(self, request: RequestRow, flow_run: FlowRunIdentity) -> bool:
        if request.flow_run_id == flow_run.flow_run_id:
            return True
        # The run may start before the dispatcher has recorded its id: the key's nonce then proves it is the one.
        return request.dispatch_key is not None and request.dispatch_key == flow_run.idempotency_key

    def _claim(self, request: RequestRow, flow_run: FlowRunIdentity) -> Entry:
        held = self._records.read(lambda tx: tx.claims.get(request.id))
        dead_epoch: int | None = None
        if held is not None and not held.released:
            if not self._make_way(held, self._longest_call_seconds(request)):
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
        return Proceed(Session.begin(self._records, self._registry, self._settings, claim, self._new_stop()))

    def _longest_call_seconds(self, request: RequestRow) -> float:
        plan = self._records.read(lambda tx: tx.plans.get(request.plan_digest))
        default = self._settings.step_timeout_seconds
        return max((step.timeout_seconds or default for step in plan.steps), default=default)

    def _make_way(self, held: Claim, longest_call_seconds: float) -> bool:
        """Whether the request may be taken from its holder, who is then certainly not acting any more.

        On this machine a dead holder is seen to be dead, and one that stopped renewing (frozen, hung) is killed first.
        Of another machine's process we know nothing: its claim must have expired for as long as its longest call may
        last.
        """
        if is_gone(held.holder):
            return True
        late_seconds = (self._records.now() - held.expires).total_seconds()
        if is_here(held.holder):
            return late_seconds > 0 and end(held.holder)
        return late_seconds > longest_call_seconds


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
        stop: threading.Event,
    ) -> None:
        self.request = request
        self.plan = plan
        self._records = records
        self._registry = registry
        self._settings = settings
        self._claim = claim
        self._lost = stop
        self._over = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="orderly-claim", daemon=True)
        self._renewal.start()
        self._frames = records.read(lambda tx: request_frames(tx, plan, request, settings.public))

    @classmethod
    def begin(
        cls, records: Records, registry: Registry, settings: Settings, claim: Claim, stop: threading.Event
    ) -> Self:
        """Record that the request runs, and what an earlier holder left unknown. Raises ClaimLost.

        `stop` is set when the claim is lost.
        """

        def write(tx: Transaction) -> tuple[RequestRow, Plan]:
            request = tx.requests.get_for_update(claim.request_id)
            if request is None:
                raise NotFound("request", claim.request_id)
            if request.state is not RequestState.IN_PROGRESS:
                pressed = request.state is RequestState.ON_HOLD
                if pressed:
                    touch_hold(tx, request, TouchKind.RETRY, PREFECT_UI, "pressed in Prefect, reason unknown")
                request = tx.requests.move(
                    request.id,
                    RequestState.IN_PROGRESS,
                    actor=PREFECT_UI if pressed else WORKER,
                    why="Retry was pressed in Prefect, reason unknown" if pressed else "its flow run started",
                    epoch=claim.epoch,
                )
            if request.flow_run_id != claim.flow_run_id and request.dispatch_key is not None:
                request = tx.requests.set_flow_run(request.id, claim.flow_run_id, request.dispatch_key)
            tx.effects.mark_open_unknown(request.id, claim.epoch)
            tx.steps.abandon_attempts(request.id, claim.epoch, "its process ended before it had an answer")
            return request, tx.plans.get(request.plan_digest)

        request, plan = records.run(write)
        return cls(records, registry, settings, claim, request, plan, stop)

    def walk(self, run: Callable[[Unit], StepReport]) -> Passage:
        """Go through the plan, from wherever the request stands; `run` runs one step, `run_step` as a rule."""
        ledger = BlockLedger(self._records, self._claim)
        most = self._settings.worker.branches
        passage = Walk(self.plan, self._frames, ledger, run, self._lost, most).whole()
        return passage if not passage.goes_on else self._verify(run)

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

    def run_step(self, unit: Unit, log: Callable[[str], None]) -> StepReport:
        """Bring one step to its outcome, or report the one on record. Raises ClaimLost when the request is not ours."""
        if unit.step.uses in ENGINE_SPECS:
            return self._run_engine_step(unit, log)
        supplier = self.plan.supplier_of(unit.step.path)
        ledger = StepLedger(self._records, self._claim, self.request, unit.step, unit.frame.key, supplier)
        report = StepRun(
            unit.step,
            ledger,
            self._registry,
            scope=lambda: self._frames.scope(unit.frame),
            default_timeout_seconds=self._settings.step_timeout_seconds,
            log=log,
            stop=self._lost,
        ).report()
        return self._told(unit, report, ledger)

    def _run_engine_step(self, unit: Unit, log: Callable[[str], None]) -> StepReport:
        supplier = self.plan.supplier_of(unit.step.path)
        ledger = EngineLedger(self._records, self._claim, self.request, unit.step, unit.frame.key, supplier)
        lifecycle = Lifecycle(self._records, self._settings.public)
        scope = lambda: self._frames.scope(unit.frame)  # noqa: E731 - one line beats a name
        report = EngineStep(unit.step, ledger, self.request, lifecycle, scope=scope, log=log).report()
        return self._told(unit, report, ledger)

    def _told(self, unit: Unit, report: StepReport, ledger: StepLedger) -> StepReport:
        if report.state is not StepState.STARTED:
            self._frames.put(unit.frame, unit.step.path, ledger.entry() or {"state": report.state.value})
        return replace(report, label=unit.label)

    def finish(self, passage: Passage) -> End | Suspend:
        """Record where the request stands after its steps, and give the claim back.

        Fulfilled with its outputs if all came to an outcome; waiting if something is to be waited for; otherwise on
        hold, for a person to choose.
        """
        if passage.failures:
            return self._hold("; ".join(f"{report.name}: {report.message}" for report in passage.failures))
        if passage.pauses:
            return self._wait(passage.pauses)
        try:
            outputs = self._outputs()
        except ExpressionError as error:
            return self._hold(f"outputs: {error}")
        epoch, secret = self._claim.epoch, list(_secret_outputs(self.plan))

        def fulfil(tx: Transaction) -> None:
            found = pointers_holding(outputs, secret_texts(tx.secrets.all(self.request.id)))
            sealed = tx.secrets.seal(self.request.id, "outputs", outputs, [*secret, *found])
            tx.requests.set_outputs(self.request.id, sealed, epoch=epoch)
            tx.requests.move(
                self.request.id, RequestState.FULFILLED, actor=WORKER, why="every step is done", epoch=epoch
            )
            tx.claims.release(self._claim)

        self._records.run(fulfil)
        return End("completed", "Completed", "The request is fulfilled.")

    def _wait(self, pauses: tuple[Pause, ...]) -> Suspend:
        """Let the worker go; the keeper wakes the request at the earliest moment that something waits for."""
        moments = [pause.until for pause in pauses if pause.until is not None]
        why = "; ".join(dict.fromkeys(pause.why for pause in pauses))

        def wait(tx: Transaction) -> None:
            tx.requests.move(
                self.request.id,
                RequestState.WAITING,
                actor=WORKER,
                why=why,
                epoch=self._claim.epoch,
                wake_at=min(moments, default=None),
            )
            tx.claims.release(self._claim)

        self._records.run(wait)
        return Suspend(f"Request {self.request.id} waits: {why}")

    def _hold(self, why: str) -> End:
        def hold(tx: Transaction) -> None:
            tx.requests.move(self.request.id, RequestState.ON_HOLD, actor=WORKER, why=why, epoch=self._claim.epoch)
            tx.claims.release(self._claim)

        self._records.run(hold)
        return End("failed", "Failed", why)

    def _outputs(self) -> dict[str, JsonValue]:
        scope = self._frames.scope(ROOT)
        rendered: dict[str, JsonValue] = {}
        for output in self.plan.outputs:
            value = render(output.value, scope)
            if isinstance(value, Omitted):
                continue
            shown: dict[str, JsonValue] = {"value": value}
            if output.url is not None:
                shown["url"] = cast(JsonValue, render(output.url, scope))
            rendered[output.name] = shown
        return rendered

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop renewing. A claim `finish` did not give back runs out by itself; the keeper starts the request again."""
        self._over.set()
        self._renewal.join()

    def _renew(self) -> None:
        ttl = timedelta(seconds=self._settings.claim.ttl_seconds)
        while not self._over.wait(ttl.total_seconds() / 3):
            try:
                self._records.run(lambda tx: tx.claims.renew(self._claim, ttl))
            except ClaimLost:
                self._lost.set()
                return
            except RecordsUnavailable:
                # The claim lives on for two more rounds, and every write checks it anyway.
                continue


def _not_its_run(request: RequestRow, flow_run: FlowRunIdentity) -> str:
    if (flow_run.idempotency_key or "").startswith(f"orderly:{request.id}:"):
        return f"Request {request.id} goes on in another run, since this one was lost. Nothing was done here."
    return (
        f"Orderly did not start this run for request {request.id}, so nothing was done. Orders come over Orderly's "
        "API; a failed request is retried on its own flow run."
    )


def _secret_outputs(plan: Plan) -> Iterator[str]:
    for output in plan.outputs:
        if output.secret:
            yield f"/{output.name}/value"
        yield from secret_pointers(output.value, f"/{output.name}/value")

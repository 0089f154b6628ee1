"""Outbox -> Prefect: what our records want run is made into flow runs, at least once, whatever is down at the time.

Each dispatch has a random key that is recorded before the flow run is created with it, so that repeating the creation
after a crash or a lost answer gives the same run, and no other run can pass for it.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Completed, Crashed, Failed

from flows.actors import KEEPER
from flows.dispatch_keys import new_key
from flows.lock_queue import may_be_dispatched
from flows.outbox_kinds import DISPATCH, RETRY, SUPERSEDED
from flows.publishing import RETIRED, deploy, ensure_work_pool, find_deployment, is_as_published, mark_retired
from flows.records.records import Records, Transaction
from flows.records.rows import OutboxRow, RequestRow
from flows.records.states import RequestState
from request_models.plan import Plan

DISPATCHED_AGAIN = "dispatched_again"
"""Audit event: the run a request had is of no use any more, it gets another."""

CRASHED = "crashed"
"""Audit event: the process that ran a request ended without an outcome; it gets another run."""


_RUNNABLE = frozenset({RequestState.SCHEDULED, RequestState.IN_PROGRESS, RequestState.ON_HOLD, RequestState.UNDOING})
_AT_ONCE = 50
_PAGE = 200
_LONGEST_BACK_OFF = 5.0
_BUSY_BACK_OFF = 0.2
_INSISTING_SECONDS = (0.03, 0.06, 0.12)
_REFUSED_BACK_OFF = 60.0
_LONGEST_NAME = 60

_logger = logging.getLogger(__name__)


class PrefectUnavailable(Exception):
    """Prefect does not answer, or says that it cannot now; the same call may succeed later."""


class PrefectBusy(PrefectUnavailable):
    """Prefect answers, and says that it cannot now; what else there is may be tried."""


class PrefectRefused(Exception):
    """Prefect answered that it will not; trying again at once is of no use."""


@dataclass(frozen=True)
class FlowRunView:
    """A flow run as Prefect shows it. `deployed`: its deployment is still there; without, Retry ends as Cancelled."""

    id: str
    request_id: str | None
    type: str
    name: str
    message: str
    since: datetime
    deployed: bool = True

    @property
    def final(self) -> bool:
        """Nothing more will happen by itself."""
        return self.type in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class FlowRuns:
    """Prefect's flow runs of our work pool. Every method raises PrefectUnavailable or PrefectRefused."""

    def __init__(self, client: SyncPrefectClient, work_pool: str) -> None:
        self._client = client
        self._pool = work_pool

    def create(self, request: RequestRow, key: str, deployed: Plan, *, retired: bool) -> str:
        """Create the flow run of a dispatch, or find it if it was created before; its id.

        `deployed` is the plan to deploy if Prefect lost the deployment or has it altered; `retired`: its model takes
        no orders any more.
        """
        with _answering():
            run = self._client.create_flow_run_from_deployment(
                self._deployment(deployed, retired=retired),
                parameters={"request_id": request.id},
                name=_run_name(request),
                idempotency_key=key,
            )
            return str(run.id)

    def _deployment(self, plan: Plan, *, retired: bool) -> UUID:
        found = find_deployment(self._client, plan.model)
        if found is not None and (retired or is_as_published(found, self._pool, plan)):
            return found.id
        ensure_work_pool(self._client, self._pool)
        deployment = deploy(self._client, self._pool, plan)
        if retired:
            mark_retired(self._client, plan.model)
        return deployment

    def retry(self, flow_run_id: str) -> None:
        """Do what the UI's Retry does."""
        with _answering():
            self._client.set_flow_run_state(UUID(flow_run_id), AwaitingRetry(), force=True)

    def show(
        self, flow_run_id: str, kind: Literal["completed", "failed", "cancelled", "crashed"], name: str, message: str
    ) -> None:
        """Have Prefect show what is so; a run that is gone is left gone."""
        make = {"completed": Completed, "failed": Failed, "cancelled": Cancelled, "crashed": Crashed}[kind]
        with _answering():
            try:
                self._client.set_flow_run_state(UUID(flow_run_id), make(name=name, message=message), force=True)
            except ObjectNotFound:
                return

    def look(self, flow_run_ids: Iterable[str]) -> dict[str, FlowRunView]:
        """The flow runs that there are, by id."""
        wanted = [UUID(flow_run_id) for flow_run_id in flow_run_ids]
        found: list[FlowRun] = []
        with _answering():
            for page in _pages(wanted):
                found += self._client.read_flow_runs(
                    flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=page)), limit=_PAGE
                )
            deployments = self._existing({run.deployment_id for run in found if run.deployment_id is not None})
        return {str(run.id): _view(run, deployed=run.deployment_id in deployments) for run in found}

    def unsettled(self) -> list[FlowRunView]:
        """The latest flow runs of the pool that look as if they ran or had crashed."""
        types = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING, StateType.CRASHED]
        with _answering():
            runs = self._client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types))),
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._pool])),
                sort=FlowRunSort.START_TIME_DESC,
                limit=_PAGE,
            )
        return [_view(run) for run in runs]

    def keep_deployments(self, plans: Sequence[Plan]) -> None:
        """Have a deployment for each plan that is open to orders, as published, and mark those of all other models."""
        with _answering():
            ensure_work_pool(self._client, self._pool)
            there = {found.name: found for found in self._deployments()}
            for plan in plans:
                found = there.pop(plan.model, None)
                if found is None or not is_as_published(found, self._pool, plan):
                    deploy(self._client, self._pool, plan)
            for model, found in there.items():
                if RETIRED not in found.tags:
                    mark_retired(self._client, model)

    def _deployments(self) -> Iterator[DeploymentResponse]:
        """Every deployment of the pool."""
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[self._pool]))
        for start in itertools.count(0, _PAGE):
            page = self._client.read_deployments(work_pool_filter=pool, limit=_PAGE, offset=start)
            yield from page
            if len(page) < _PAGE:
                return

    def _existing(self, deployments: set[UUID]) -> set[UUID]:
        existing: set[UUID] = set()
        for page in _pages(sorted(deployments)):
            found = self._client.read_deployments(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=page)), limit=_PAGE
            )
            existing |= {deployment.id for deployment in found}
        return existing


class Dispatcher:
    """Delivers what the outbox holds for Prefect."""

    def __init__(
        self,
        records: Records,
        flow_runs: FlowRuns,
        clock: Callable[[], datetime] | None = None,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        """`announce` is called when Prefect has something new for its workers to run."""
        self._records = records
        self._announce = announce
        self._flow_runs = flow_runs
        self._clock = clock or (lambda: datetime.now(UTC))

    def deliver_due(self) -> None:
        """Deliver every message that is due; those that cannot be delivered now stay, for later."""
        deliveries: dict[str, Callable[[str, OutboxRow], None]] = {
            DISPATCH: lambda request_id, _: self._dispatch(request_id),
            RETRY: lambda request_id, _: self._retry(request_id),
            SUPERSEDED: self._supersede,
        }
        for kind, deliver in deliveries.items():
            for message in self._due(kind):
                if not self._deliver(message, deliver):
                    return

    def _due(self, kind: str) -> list[OutboxRow]:
        return self._records.read(lambda tx: tx.outbox.due(kind, self._clock(), _AT_ONCE))

    def _deliver(self, message: OutboxRow, deliver: Callable[[str, OutboxRow], None]) -> bool:
        """Deliver one message; false when Prefect does not answer, so that the others need not be tried."""
        try:
            if message.request_id is not None:
                _insist(lambda: deliver(str(message.request_id), message))
        except PrefectBusy as error:
            self._defer(message, str(error), min(_LONGEST_BACK_OFF, _BUSY_BACK_OFF * 2 ** min(message.attempts, 10)))
            return True
        except PrefectUnavailable as error:
            self._defer(message, str(error), min(_LONGEST_BACK_OFF, 0.5 * 2 ** min(message.attempts, 10)))
            return False
        except PrefectRefused as error:
            _logger.exception("Prefect refuses to run request %s", message.request_id)
            self._defer(message, str(error), _REFUSED_BACK_OFF)
            return True
        self._records.run(lambda tx: tx.outbox.done(message.id))
        return True

    def _defer(self, message: OutboxRow, error: str, seconds: float) -> None:
        at = self._clock() + timedelta(seconds=seconds)
        self._records.run(lambda tx: tx.outbox.defer(message.id, error, at))

    def _dispatch(self, request_id: str) -> None:
        prepared = self._records.run(lambda tx: _prepare(tx, request_id))
        if prepared is None:
            return
        flow_run_id = self._flow_runs.create(
            prepared.request, prepared.key, prepared.deployed, retired=prepared.retired
        )
        self._announce()
        self._records.run(lambda tx: _remember(tx, request_id, flow_run_id, prepared.key))

    def _retry(self, request_id: str) -> None:
        request = self._records.read(lambda tx: tx.requests.get(request_id))
        if request is None or request.state not in _RUNNABLE or request.flow_run_id is None:
            return  # without a run, a dispatch is under way and does as well
        run = self._flow_runs.look([request.flow_run_id]).get(request.flow_run_id)
        if run is None or not run.deployed:
            self._records.run(
                lambda tx: start_again(tx, request, "a retry needs a run, and its own is gone from Prefect")
            )
        elif run.final or run.type == "PAUSED":
            self._flow_runs.retry(run.id)
            self._announce()

    def _supersede(self, request_id: str, message: OutboxRow) -> None:
        """Have a run that would sleep or start for nothing end; one that works ends by itself, one that ended stays."""
        flow_run_id = cast(dict[str, str], message.payload)["flow_run_id"]
        run = self._flow_runs.look([flow_run_id]).get(flow_run_id)
        if run is not None and run.type in {"PAUSED", "SCHEDULED"}:
            request = self._records.read(lambda tx: tx.requests.get(request_id))
            why = "" if request is None else request.state_reason
            self._flow_runs.show(run.id, "cancelled", "Cancelled", f"{why} This run has nothing more to do.".strip())


def _insist(work: Callable[[], None]) -> None:
    """Do it, again where Prefect was busy: on SQLite two writes that meet are answered 503, and the next one passes."""
    for pause in _INSISTING_SECONDS:
        try:
            work()
        except PrefectBusy:
            time.sleep(pause)
        else:
            return
    work()


@dataclass(frozen=True)
class _Prepared:
    request: RequestRow
    key: str
    deployed: Plan
    retired: bool


def _prepare(tx: Transaction, request_id: str) -> _Prepared | None:
    """Have a key for the dispatch on record; None when there is nothing to dispatch (any more)."""
    request = tx.requests.get_for_update(request_id)
    if request is None or request.state not in _RUNNABLE or request.flow_run_id is not None:
        return None
    if not may_be_dispatched(tx, request):
        return None
    key = request.dispatch_key or new_key(request_id)
    if key != request.dispatch_key:
        tx.requests.set_flow_run(request_id, None, key)
    current = tx.publications.current(request.model)
    digest = current.digest if current is not None else request.plan_digest
    return _Prepared(request, key, tx.plans.get(digest), retired=current is None)


def _remember(tx: Transaction, request_id: str, flow_run_id: str, key: str) -> None:
    request = tx.requests.get_for_update(request_id)
    # Another dispatch may have replaced this one meanwhile; then the run just created is refused when it enters.
    if request is not None and request.dispatch_key == key and request.flow_run_id is None:
        tx.requests.set_flow_run(request_id, flow_run_id, key)


def start_again(tx: Transaction, request: RequestRow, why: str, event: str = DISPATCHED_AGAIN) -> bool:
    """Give the request another flow run; false when somebody changed the request since it was read."""
    current = tx.requests.get_for_update(request.id)
    if current is None or current.version != request.version:
        return False
    tx.requests.set_flow_run(request.id, None, new_key(request.id))
    tx.audit.add(request.id, KEEPER, event, request.state, request.state, why)
    tx.outbox.put(DISPATCH, request.id, {})
    return True


def _run_name(request: RequestRow) -> str:
    requester = request.requester.name or request.requester.id
    return f"{request.model} · {request.id[:8]} · {requester[:_LONGEST_NAME]}"


def _view(run: FlowRun, *, deployed: bool = True) -> FlowRunView:
    request_id = run.parameters.get("request_id")
    state = run.state
    return FlowRunView(
        id=str(run.id),
        request_id=request_id if isinstance(request_id, str) else None,
        type=state.type.value if state is not None else "PENDING",
        name=(state.name or "") if state is not None else "",
        message=(state.message or "") if state is not None else "",
        since=state.timestamp if state is not None else datetime.now(UTC),
        deployed=deployed,
    )


def _pages(ids: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(ids), _PAGE):
        yield list(ids[start : start + _PAGE])


@contextmanager
def _answering() -> Iterator[None]:
    """Tell apart what may succeed later (embedded Prefect answers 503 now and then) from what will not."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.TOO_MANY_REQUESTS or error.response.is_server_error:
            raise PrefectBusy(f"Prefect answered {error.response.status_code}") from error
        raise PrefectRefused(str(error)) from error
    except httpx.TransportError as error:
        raise PrefectUnavailable(f"Prefect does not answer: {str(error) or type(error).__name__}") from error

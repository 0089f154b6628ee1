"""What can be done to a request, whoever asks: submit, look, retry, hold. No HTTP and no Prefect in here.

Each of these is one transaction: the record, its audit event and what must follow (the outbox) are durable together or
not at all (invariant 1).
"""

import difflib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flows.acceptance import accepted_inputs, frozen_values, lock_names, refuse_ineligible, secret_values, start_of
from flows.errors import (
    IdempotencyMismatch,
    NotAllowed,
    RequestNotFound,
    UnknownModel,
    WrongState,
)
from flows.outbox_kinds import RETRY
from flows.records.errors import Conflict
from flows.records.records import Records, Transaction
from flows.records.rows import NewRequest, Page, Person, RequestFilter, RequestRow
from flows.records.states import RequestState, TouchKind
from flows.reversal import Reverse, being_undone, cancel, resume_undo, undo
from flows.scheduling import go_ahead
from flows.scope import Scope, order_scope
from flows.touching import touch_hold
from request_models.calendars import calendar_from_json
from request_models.json_values import JsonValue
from request_models.plan import Plan

READ_ALL = "requests:read:all"
FOR_OTHERS = "requests:for-others"
CREATE = "requests:create"
READ = "requests:read"
ACT = "requests:act"


@dataclass(frozen=True)
class Caller:
    """Who speaks to us: the person behind the credential, its id, and what it may do."""

    key_id: str
    person: Person
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raise NotAllowed without the scope; `admin` has every scope."""
        if scope not in self.scopes and "admin" not in self.scopes:
            raise NotAllowed(scope)

    def may(self, scope: str) -> bool:
        """Whether the caller has the scope."""
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True)
class Source:
    """Where the order comes from in the front-end: its system, the ticket's id there and the ticket's address."""

    system: str
    id: str
    url: str | None = None


@dataclass(frozen=True)
class Order:
    """An order as it came in. `body_digest` identifies the body for the Idempotency-Key.

    `parent` is the request that orders it.
    """

    model: str
    inputs: Mapping[str, JsonValue]
    requested_for: Person | None = None
    source: Source | None = None
    channel: str = "api"
    idempotency_key: str | None = None
    body_digest: str = ""
    parent: str | None = None


@dataclass(frozen=True)
class Submission:
    """The answer to an order; `created` is false when the same order was accepted before."""

    request: RequestRow
    created: bool


class Lifecycle:
    """The transitions of requests."""

    def __init__(self, records: Records, public_settings: Mapping[str, JsonValue]) -> None:
        self._records = records
        self._public = public_settings

    def submit(self, order: Order, caller: Caller) -> Submission:
        """Accept an order: when this returns, the request is durable and will be run.

        Raises UnknownModel, InvalidInputs, NotEligible, IdempotencyMismatch, NotAllowed; then nothing was recorded.
        """
        caller.require(CREATE)
        if order.requested_for is not None and order.requested_for.id != caller.person.id:
            caller.require(FOR_OTHERS)
        try:
            return self._records.run(lambda tx: self.submit_within(tx, order, caller))
        except Conflict:
            # The same order came twice at the same moment, and the other one was faster: give its answer.
            return self._records.run(lambda tx: self.submit_within(tx, order, caller))

    def submit_within(self, tx: Transaction, order: Order, caller: Caller) -> Submission:
        """Accept an order in a transaction of the caller's, whose right to order was seen to. Raises as `submit`."""
        known = _answered_before(tx, order, caller)
        if known is not None:
            return Submission(known, created=False)
        publication = tx.publications.current(order.model)
        if publication is None:
            raise UnknownModel(order.model, _alike(order.model, [row.model for row in tx.publications.all()]))
        plan = tx.plans.get(publication.digest)
        request_id, now = str(uuid.uuid4()), self._records.now()
        user = order.requested_for or caller.person

        def scope_of(inputs: Mapping[str, JsonValue]) -> Scope:
            return order_scope(
                plan,
                request_id=request_id,
                submitted=now,
                requester=caller.person,
                user=user,
                inputs=inputs,
                public_settings=self._public,
            )

        inputs = accepted_inputs(plan, order.inputs, scope_of)
        scope = scope_of(inputs)
        values = frozen_values(plan, scope)
        scope["values"] = values
        refuse_ineligible(plan, scope)
        start = start_of(plan, scope, now)
        locks = lock_names(plan, scope)
        source = order.source
        tx.requests.add(
            NewRequest(
                id=request_id,
                model=plan.model,
                model_version=publication.version,
                plan_digest=publication.digest,
                requester=caller.person,
                requested_for=user,
                caller=caller.key_id,
                channel=order.channel,
                inputs=tx.secrets.seal(request_id, "inputs", inputs, [f"/{name}" for name in plan.secret_inputs]),
                submitted=now,
                due_at=_due_at(plan, start),
                due_seconds=plan.due.within_seconds,
                due_calendar=_due_calendar(plan, now),
                clock_stops_in=plan.due.stops_in,
                source_system=source.system if source else None,
                source_id=source.id if source else None,
                source_url=source.url if source else None,
                parent=order.parent,
            )
        )
        tx.requests.set_values(request_id, tx.secrets.seal(request_id, "values", values, secret_values(plan)))
        tx.locks.want(request_id, locks)
        if order.idempotency_key is not None:
            tx.idempotency.put(caller.key_id, order.idempotency_key, order.body_digest, request_id)
        row = _required(tx, request_id)
        if not plan.prerequisites:
            row = go_ahead(tx, row, plan, scope, now)
        return Submission(row, created=True)

    def get(self, request_id: str, caller: Caller) -> RequestRow:
        """One request. Raises RequestNotFound also where it is not the caller's to see, NotAllowed."""
        caller.require(READ)
        request = self._records.read(lambda tx: tx.requests.get(request_id))
        if request is None or not _may_see(request, caller):
            raise RequestNotFound(request_id)
        return request

    def list(self, wanted: RequestFilter, caller: Caller) -> Page[RequestRow]:
        """Requests, newest first; without the scope `requests:read:all` only those that are the caller's."""
        caller.require(READ)
        if not caller.may(READ_ALL):
            wanted = replace(wanted, involving=caller.person.id)
        return self._records.read(lambda tx: tx.requests.list(wanted))

    def retry(self, request_id: str, caller: Caller, why: str) -> RequestRow:
        """Let a request that is on hold go on from its failed step; what is done stays done (invariant 6).

        One whose undo is on hold goes on being undone: nobody wants what it was for any more.
        Raises RequestNotFound, NotAllowed, WrongState.
        """
        caller.require(ACT)
        self.get(request_id, caller)

        def retry(tx: Transaction) -> RequestRow:
            request = tx.requests.get_for_update(request_id)
            if request is None:
                raise RequestNotFound(request_id)
            if request.state is not RequestState.ON_HOLD:
                allowed = (RequestState.ON_HOLD.value,)
                raise WrongState(request_id, request.state.value, "a retry", allowed, being_undone(request))
            touch_hold(tx, request, TouchKind.RETRY, caller.person.id, why or "retry")
            if tx.undos.get(request_id) is not None:
                return resume_undo(tx, request, caller.person.id, why or "retry")
            now = self._records.now()
            row = tx.requests.move(
                request_id, RequestState.IN_PROGRESS, actor=caller.person.id, why=why or "retry", at=now
            )
            tx.outbox.put(RETRY, request_id, {}, now)
            return row

        return self._records.run(retry)

    def cancel(self, request_id: str, caller: Caller, why: str, *, leaves: bool = False) -> RequestRow:
        """Cancel a request, in any state before its end: what runs is stopped, what was done is taken back.

        With `leaves` it ends even if not all can be taken back. Cancelling it again changes nothing. Raises
        RequestNotFound, NotAllowed, WrongState.
        """
        return self._reverse(cancel, request_id, caller, why, leaves)

    def undo(self, request_id: str, caller: Caller, why: str, *, leaves: bool = False) -> RequestRow:
        """Take back all that a request did that is on hold, which then has failed, or fulfilled, then cancelled.

        With `leaves` it ends even if not all can be taken back. Raises RequestNotFound, NotAllowed, WrongState.
        """
        return self._reverse(undo, request_id, caller, why, leaves)

    def _reverse(self, reverse: Reverse, request_id: str, caller: Caller, why: str, leaves: bool) -> RequestRow:
        caller.require(ACT)
        self.get(request_id, caller)

        def write(tx: Transaction) -> RequestRow:
            request = tx.requests.get_for_update(request_id)
            if request is None:
                raise RequestNotFound(request_id)
            if reverse is undo:
                touch_hold(tx, request, TouchKind.UNDO, caller.person.id, why)
            return reverse(tx, request, caller.person.id, why, leaves)

        return self._records.run(write)

    def hold(self, request_id: str, *, actor: str, why: str) -> RequestRow:
        """Put a request that runs on hold, for a person to decide. Raises IllegalTransition in any other state."""
        return self._records.run(
            lambda tx: tx.requests.move(request_id, RequestState.ON_HOLD, actor=actor, why=why, at=self._records.now())
        )


_YEARS_PINNED = 3
"""For how many years a request keeps the public holidays that were known when it was accepted."""


def _due_calendar(plan: Plan, now: datetime) -> JsonValue:
    """The calendar in whose open hours the clock runs, as it was when the request was accepted; None for always."""
    written = plan.calendars.get(plan.due.calendar)
    if not isinstance(written, dict):
        return None
    return calendar_from_json(written).pinned(range(now.year, now.year + _YEARS_PINNED)).to_json()


def _due_at(plan: Plan, start: datetime) -> datetime:
    within, calendar = timedelta(seconds=plan.due.within_seconds), _due_calendar(plan, start)
    return start + within if not isinstance(calendar, dict) else calendar_from_json(calendar).due_at(start, within)


def _answered_before(tx: Transaction, order: Order, caller: Caller) -> RequestRow | None:
    if order.idempotency_key is None:
        return None
    before = tx.idempotency.find(caller.key_id, order.idempotency_key)
    if before is None:
        return None
    if before.body_digest != order.body_digest:
        raise IdempotencyMismatch(order.idempotency_key)
    return _required(tx, before.request_id)


def _required(tx: Transaction, request_id: str) -> RequestRow:
    request = tx.requests.get(request_id)
    if request is None:
        raise RequestNotFound(request_id)
    return request


def _may_see(request: RequestRow, caller: Caller) -> bool:
    return caller.may(READ_ALL) or caller.person.id in {request.requester.id, request.requested_for.id}


def _alike(model: str, models: list[str]) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(model, models, n=2))

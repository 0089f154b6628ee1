"""What can be done to a request, whoever asks: submit, look, retry, hold. No HTTP and no Prefect in here.

Each of these is one transaction: the record, its audit event and what must follow (the outbox) are durable together or
not at all (invariant 1).
"""

import difflib
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flows.acceptance import accepted_inputs, frozen_values, lock_names, refuse_ineligible, secret_values, start_of
from flows.errors import (
    ChangedMeanwhile,
    IdempotencyMismatch,
    NotAllowed,
    NotEligible,
    OrderedBefore,
    RequestNotFound,
    UnknownModel,
    WrongState,
)
from flows.outbox_kinds import RETRY
from flows.records.errors import Conflict
from flows.records.records import Records, Transaction
from flows.records.rows import NewRequest, Page, Person, Publication, RequestFilter, RequestRow
from flows.records.states import RequestState, TouchKind
from flows.reversal import Reverse, being_undone, cancel, resume_undo, undo
from flows.scheduling import go_ahead
from flows.scope import Scope, order_scope
from flows.touching import touch_hold
from request_models.calendars import calendar_from_json
from request_models.json_values import JsonValue, canonical_json
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
    not_before: datetime | None = None
    """When it may start at the earliest, if the caller said."""


@dataclass(frozen=True)
class Submission:
    """The answer to an order; `created` is false when the same order was accepted before."""

    request: RequestRow
    created: bool


@dataclass(frozen=True)
class Judged:
    """An order that is accepted as it is, or would be: what is known of it before anything is recorded."""

    publication: Publication
    plan: Plan
    user: Person
    inputs: Mapping[str, JsonValue]
    values: Mapping[str, JsonValue]
    scope: Scope
    locks: tuple[str, ...]
    start: datetime
    due: datetime


class Lifecycle:
    """The transitions of requests."""

    def __init__(self, records: Records, public_settings: Mapping[str, JsonValue]) -> None:
        self._records = records
        self._public = public_settings

    def submit(self, order: Order, caller: Caller) -> Submission:
        """Accept an order: when this returns, the request is durable and will be run.

        Raises UnknownModel, InvalidInputs, NotEligible, IdempotencyMismatch, NotAllowed; then nothing was recorded.
        """
        _require_right_to_order(order, caller)
        try:
            return self._records.run(lambda tx: self.submit_within(tx, order, caller))
        except Conflict:
            # The same order came twice at the same moment, and the other one was faster: give its answer.
            return self._records.run(lambda tx: self.submit_within(tx, order, caller))

    def validate(self, order: Order, caller: Caller) -> Judged:
        """Judge an order as `submit` does, and record nothing. Raises as `submit`, but for what was ordered before.

        Prerequisites are not read: they are looked at when the order is accepted.
        """
        _require_right_to_order(order, caller)
        now = self._records.now()
        return self._records.read(lambda tx: self._judge(tx, order, caller, str(uuid.uuid4()), now))

    def submit_within(self, tx: Transaction, order: Order, caller: Caller) -> Submission:
        """Accept an order in a transaction of the caller's, whose right to order was seen to. Raises as `submit`."""
        known = _answered_before(tx, order, caller)
        if known is not None:
            return Submission(known, created=False)
        request_id, now = str(uuid.uuid4()), self._records.now()
        judged = self._judge(tx, order, caller, request_id, now)
        plan, publication, user = judged.plan, judged.publication, judged.user
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
                inputs=tx.secrets.seal(
                    request_id, "inputs", dict(judged.inputs), [f"/{name}" for name in plan.secret_inputs]
                ),
                submitted=now,
                due_at=judged.due,
                due_seconds=plan.due.within_seconds,
                due_calendar=_due_calendar(plan, now),
                clock_stops_in=plan.due.stops_in,
                source_system=source.system if source else None,
                source_id=source.id if source else None,
                source_url=source.url if source else None,
                parent=order.parent,
                not_before=order.not_before,
            )
        )
        tx.requests.set_values(
            request_id, tx.secrets.seal(request_id, "values", dict(judged.values), secret_values(plan))
        )
        tx.locks.want(request_id, judged.locks)
        if order.idempotency_key is not None:
            tx.idempotency.put(caller.key_id, order.idempotency_key, order.body_digest, request_id)
        elif (natural := natural_key(order, caller)) is not None:
            tx.idempotency.put(natural.owner, natural.key, natural.digest, request_id)
        row = _required(tx, request_id)
        if not plan.prerequisites:
            row = go_ahead(tx, row, plan, judged.scope, now)
        return Submission(row, created=True)

    def _judge(self, tx: Transaction, order: Order, caller: Caller, request_id: str, now: datetime) -> Judged:
        """Whether the order is one for the catalogue, its inputs are right, and it is for these people."""
        publication = tx.publications.current(order.model)
        if publication is None:
            raise UnknownModel(order.model, _alike(order.model, [row.model for row in tx.publications.all()]))
        plan = tx.plans.get(publication.digest)
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
        start = start_of(plan, scope, max(now, order.not_before or now))
        locks = lock_names(plan, scope)
        return Judged(publication, plan, user, inputs, values, scope, locks, start, _due_at(plan, start))

    def ineligible(self, plan: Plan, caller: Caller, user: Person | None = None) -> NotEligible | None:
        """Why the caller may not order a model, for this user or for themselves; None if they may."""
        scope = order_scope(
            plan,
            request_id="",
            submitted=self._records.now(),
            requester=caller.person,
            user=user or caller.person,
            inputs={},
            public_settings=self._public,
        )
        try:
            refuse_ineligible(plan, scope)
        except NotEligible as refusal:
            return refusal
        return None

    def get(self, request_id: str, caller: Caller) -> RequestRow:
        """One request. Raises RequestNotFound also where it is not the caller's to see, NotAllowed."""
        caller.require(READ)
        return self._records.read(lambda tx: self.get_within(tx, request_id, caller))

    def get_within(self, tx: Transaction, request_id: str, caller: Caller) -> RequestRow:
        """As `get`, in a transaction of the caller's, so that more can be read of the same moment."""
        caller.require(READ)
        request = tx.requests.get(request_id)
        if request is None or not _may_see(tx, request, caller):
            raise RequestNotFound(request_id)
        return request

    def list(self, wanted: RequestFilter, caller: Caller) -> Page[RequestRow]:
        """Requests, newest first; without `requests:read:all` only those that are the caller's or ask for them."""
        caller.require(READ)
        if not caller.may(READ_ALL):
            wanted = replace(wanted, involving=caller.person.id, involving_teams=caller.person.groups)
        return self._records.read(lambda tx: tx.requests.list(wanted))

    def retry(self, request_id: str, caller: Caller, why: str, version: int | None = None) -> RequestRow:
        """Let a request that is on hold go on from its failed step; what is done stays done (invariant 6).

        One whose undo is on hold goes on being undone: nobody wants what it was for any more.
        `version`: the one the caller looked at. Raises RequestNotFound, NotAllowed, WrongState, ChangedMeanwhile.
        """
        caller.require(ACT)
        self.get(request_id, caller)

        def retry(tx: Transaction) -> RequestRow:
            request = tx.requests.get_for_update(request_id)
            if request is None:
                raise RequestNotFound(request_id)
            refuse_changed(request, version)
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

    def cancel(
        self, request_id: str, caller: Caller, why: str, *, leaves: bool = False, version: int | None = None
    ) -> RequestRow:
        """Cancel a request, in any state before its end: what runs is stopped, what was done is taken back.

        With `leaves` it ends even if not all can be taken back. Cancelling it again changes nothing. Raises
        RequestNotFound, NotAllowed, WrongState, ChangedMeanwhile.
        """
        return self._reverse(cancel, request_id, caller, why, leaves, version)

    def undo(
        self, request_id: str, caller: Caller, why: str, *, leaves: bool = False, version: int | None = None
    ) -> RequestRow:
        """Take back all that a request did that is on hold, which then has failed, or fulfilled, then cancelled.

        With `leaves` it ends even if not all can be taken back.
        Raises RequestNotFound, NotAllowed, WrongState, ChangedMeanwhile.
        """
        return self._reverse(undo, request_id, caller, why, leaves, version)

    def _reverse(
        self, reverse: Reverse, request_id: str, caller: Caller, why: str, leaves: bool, version: int | None
    ) -> RequestRow:
        caller.require(ACT)
        self.get(request_id, caller)

        def write(tx: Transaction) -> RequestRow:
            request = tx.requests.get_for_update(request_id)
            if request is None:
                raise RequestNotFound(request_id)
            refuse_changed(request, version)
            if reverse is undo:
                touch_hold(tx, request, TouchKind.UNDO, caller.person.id, why)
            return reverse(tx, request, caller.person.id, why, leaves)

        return self._records.run(write)

    def hold(self, request_id: str, *, actor: str, why: str) -> RequestRow:
        """Put a request that runs on hold, for a person to decide. Raises IllegalTransition in any other state."""
        return self._records.run(
            lambda tx: tx.requests.move(request_id, RequestState.ON_HOLD, actor=actor, why=why, at=self._records.now())
        )


def refuse_changed(request: RequestRow, version: int | None) -> None:
    """Raise ChangedMeanwhile unless the request is as the caller saw it, if they said what they saw."""
    if version is not None and version != request.version:
        raise ChangedMeanwhile(f"The request {request.id}", version, request.version)


@dataclass(frozen=True)
class NaturalKey:
    """What stands for an Idempotency-Key where none is sent: one model is ordered once from one ticket."""

    owner: str
    key: str
    digest: str


def natural_key(order: Order, caller: Caller) -> NaturalKey | None:
    """Of the ticket that the order names, by whoever sends it, with whichever of their keys; None without a ticket."""
    if order.source is None or order.parent is not None:
        return None
    user = order.requested_for or caller.person
    ticket: list[JsonValue] = [order.source.system, order.source.id, order.model]
    body: list[JsonValue] = [dict(order.inputs), user.id]
    return NaturalKey(f"source:{_digest([caller.person.id])}", _digest(ticket), _digest(body))


def _digest(value: JsonValue) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


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


def _require_right_to_order(order: Order, caller: Caller) -> None:
    caller.require(CREATE)
    if order.requested_for is not None and order.requested_for.id != caller.person.id:
        caller.require(FOR_OTHERS)


def _answered_before(tx: Transaction, order: Order, caller: Caller) -> RequestRow | None:
    if order.idempotency_key is not None:
        before = tx.idempotency.find(caller.key_id, order.idempotency_key)
        if before is None:
            return None
        if before.body_digest != order.body_digest:
            raise IdempotencyMismatch(order.idempotency_key)
        return _required(tx, before.request_id)
    natural = natural_key(order, caller)
    before = None if natural is None else tx.idempotency.find(natural.owner, natural.key)
    if natural is None or before is None:
        return None
    if before.body_digest != natural.digest:
        raise OrderedBefore(order.model, before.request_id)
    return _required(tx, before.request_id)


def _required(tx: Transaction, request_id: str) -> RequestRow:
    request = tx.requests.get(request_id)
    if request is None:
        raise RequestNotFound(request_id)
    return request


def _may_see(tx: Transaction, request: RequestRow, caller: Caller) -> bool:
    """Whether it is theirs, or asks something of them."""
    person = caller.person
    return (
        caller.may(READ_ALL)
        or person.id in {request.requester.id, request.requested_for.id}
        or tx.tasks.asks_of(request.id, person.id, person.groups)
    )


def _alike(model: str, models: list[str]) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(model, models, n=2))

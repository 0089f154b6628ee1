"""Requests: what was asked, and where it stands."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, and_, insert, or_, select, update

from flows.outbox_kinds import WAKE
from flows.records.approvals import Approvals
from flows.records.audit import Audit
from flows.records.claims import Claims
from flows.records.cursors import read_cursor, write_cursor
from flows.records.errors import IllegalTransition, NotFound
from flows.records.events import Events
from flows.records.locks import Locks
from flows.records.outbox import Outbox
from flows.records.reading import each, one, select_rows
from flows.records.rows import NewRequest, Page, Person, RequestFilter, RequestRow, Sealed
from flows.records.states import ENDED, LEGAL_MOVES, RequestState
from flows.records.tables import requests, tasks
from flows.records.tasks import Tasks, asked_of
from request_models.calendars import calendar_from_json
from request_models.json_values import refuse_what_is_not_json

SUBMITTED = "submitted"
"""The first event of each request."""

MOVED = "moved"
"""The event of a change of state."""


_Rows: TypeAlias = list[RequestRow]  # the class has a method of that name


class Requests:
    """The requests. Every change of state is legal by the table of states and audited in the same transaction."""

    def __init__(  # noqa: PLR0913, PLR0917 - a change of state reaches each of these stores
        self,
        connection: Connection,
        clock: Callable[[], datetime],
        audit: Audit,
        claims: Claims,
        outbox: Outbox,
        tasks: Tasks,
        events: Events,
        locks: Locks,
        approvals: Approvals,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._audit = audit
        self._claims = claims
        self._outbox = outbox
        self._tasks = tasks
        self._events = events
        self._locks = locks
        self._approvals = approvals

    def add(self, new: NewRequest) -> RequestRow:
        """Record a request as `validating`; raises Conflict when the id is taken or the plan is unknown."""
        self._connection.execute(
            insert(requests).values(
                id=new.id,
                model=new.model,
                model_version=new.model_version,
                plan_digest=new.plan_digest,
                arm=new.arm,
                requester_id=new.requester.id,
                requester=new.requester,
                requested_for_id=new.requested_for.id,
                requested_for=new.requested_for,
                caller=new.caller,
                channel=new.channel,
                source_system=new.source_system,
                source_id=new.source_id,
                source_url=new.source_url,
                search_text=_search_text(new),
                inputs=new.inputs,
                submitted=new.submitted,
                state=RequestState.VALIDATING,
                state_reason="",
                state_since=new.submitted,
                due_at=new.due_at,
                due_seconds=new.due_seconds,
                due_calendar=new.due_calendar,
                not_before=new.not_before,
                clock_stops_in=new.clock_stops_in,
                clock_stopped_seconds=0.0,
                parent=new.parent,
                dispatches=0,
                version=1,
                audit_count=0,
                audit_head="",
            )
        )
        self._audit.add(new.id, new.caller, SUBMITTED, None, RequestState.VALIDATING, at=new.submitted)
        return self._required(new.id)

    def get(self, request_id: str) -> RequestRow | None:
        """A request as it stands."""
        return one(RequestRow, self._connection.execute(_select().where(requests.c.id == request_id)).one_or_none())

    def get_for_update(self, request_id: str) -> RequestRow | None:
        """A request, which nobody else changes until this transaction ends."""
        locked = _select().where(requests.c.id == request_id).with_for_update(key_share=True)
        return one(RequestRow, self._connection.execute(locked).one_or_none())

    def list(self, wanted: RequestFilter) -> Page[RequestRow]:
        """Some requests, newest first; pages stay stable while requests come in. Raises InvalidCursor."""
        rows = _select().where(*_conditions(wanted)).order_by(requests.c.submitted.desc(), requests.c.id.desc())
        found = each(RequestRow, self._connection.execute(rows.limit(wanted.limit + 1)))
        shown = tuple(found[: wanted.limit])
        if len(found) <= wanted.limit:
            return Page(shown)
        return Page(shown, write_cursor(shown[-1].submitted, shown[-1].id))

    def in_states(self, states: Iterable[RequestState]) -> _Rows:
        """Every request in one of the states, oldest first."""
        rows = _select().where(requests.c.state.in_(list(states))).order_by(requests.c.submitted, requests.c.id)
        return each(RequestRow, self._connection.execute(rows))

    def open_children(self, request_id: str) -> _Rows:
        """The requests that a request ordered and that have not ended, oldest first."""
        open_ones = and_(requests.c.parent == request_id, requests.c.state.not_in(list(ENDED)))
        rows = _select().where(open_ones).order_by(requests.c.submitted, requests.c.id)
        return each(RequestRow, self._connection.execute(rows))

    def to_wake(self, now: datetime, limit: int) -> _Rows:
        """Requests that sleep and whose time has come, the longest first."""
        asleep = [RequestState.WAITING, RequestState.AWAITING_APPROVAL, RequestState.UNDOING]
        due = and_(requests.c.state.in_(asleep), requests.c.wake_at <= now)
        rows = _select().where(due).order_by(requests.c.wake_at, requests.c.id).limit(limit)
        return each(RequestRow, self._connection.execute(rows))

    def move(
        self,
        request_id: str,
        to: RequestState,
        *,
        actor: str,
        why: str,
        epoch: int | None = None,
        at: datetime | None = None,
        wake_at: datetime | None = None,
    ) -> RequestRow:
        """Change a request's state and audit it. `wake_at`: when it goes on by itself, for a state that waits.

        What follows from it everywhere is done here: a parent hears that its child has ended, one that has ended
        holds no locks, and a request that is being undone, or has ended, wants nothing more of people and events.
        A runner gives its claim's `epoch`. Raises NotFound, IllegalTransition, ClaimLost.
        """
        request = self._locked(request_id)
        if epoch is not None:
            self._claims.check(request_id, epoch)
        if to not in LEGAL_MOVES[request.state]:
            raise IllegalTransition("request", request_id, request.state, to)
        now = at or self._clock()
        columns = _clock_columns(request, to, now)
        if request.state is RequestState.ON_HOLD:
            columns |= {"hold_team": None, "hold_assignee": None}
        if to.ended and request.parent is not None:
            self._outbox.put(WAKE, request.parent, {"child": request_id}, now)
        if to is RequestState.UNDOING:
            self._tasks.cancel_open(request_id, actor, why)
            self._events.settle_all(request_id)
        if to is RequestState.UNDOING or to.ended:
            self._approvals.withdraw_open(request_id, why)
        self._change(request, state=to, state_reason=why, state_since=now, wake_at=wake_at, **columns)
        self._audit.add(request_id, actor, MOVED, request.state, to, why, now)
        if to.ended:
            self._locks.release(request_id)
        return self._required(request_id)

    def set_reason(self, request_id: str, why: str) -> RequestRow:
        """Say anew why a request is in the state it is in; raises NotFound."""
        self._change(self._locked(request_id), state_reason=why)
        return self._required(request_id)

    def set_wake_at(
        self, request_id: str, wake_at: datetime | None, *, epoch: int | None = None, why: str | None = None
    ) -> None:
        """Let a request sleep in the state it is in, or wake it (None). `why` replaces the reason it is in that state.

        Raises NotFound, ClaimLost.
        """
        request = self._locked(request_id)
        if epoch is not None:
            self._claims.check(request_id, epoch)
        self._change(request, wake_at=wake_at, **({} if why is None else {"state_reason": why}))

    def to_validate(self, now: datetime, limit: int) -> _Rows:
        """Requests whose prerequisites are to be read now, the longest first."""
        due = and_(
            requests.c.state == RequestState.VALIDATING, or_(requests.c.wake_at.is_(None), requests.c.wake_at <= now)
        )
        rows = _select().where(due).order_by(requests.c.submitted, requests.c.id).limit(limit)
        return each(RequestRow, self._connection.execute(rows))

    def set_hold(self, request_id: str, team: str | None, assignee: str | None) -> RequestRow:
        """Say whose the hold is; raises NotFound."""
        self._change(self._locked(request_id), hold_team=team, hold_assignee=assignee)
        return self._required(request_id)

    def set_inputs(self, request_id: str, inputs: Sealed) -> None:
        """Replace the inputs by corrected ones; raises NotFound."""
        self._change(self._locked(request_id), inputs=inputs)

    def set_values(self, request_id: str, values: Sealed) -> None:
        """Freeze the model's computed values; raises NotFound."""
        self._change(self._locked(request_id), frozen_values=values)

    def set_outputs(self, request_id: str, outputs: Sealed, *, epoch: int | None = None) -> None:
        """Record what the requester gets; raises NotFound, ClaimLost."""
        request = self._locked(request_id)
        if epoch is not None:
            self._claims.check(request_id, epoch)
        self._change(request, outputs=outputs)

    def set_flow_run(self, request_id: str, flow_run_id: str | None, dispatch_key: str) -> RequestRow:
        """Name the Prefect flow run that may run the request; a new key counts as a new dispatch. Raises NotFound.

        The key is written before the flow run is created (`flow_run_id` None), so that the run is known whenever it
        comes.
        """
        request = self._locked(request_id)
        dispatches = request.dispatches + (1 if dispatch_key != request.dispatch_key else 0)
        self._change(request, flow_run_id=flow_run_id, dispatch_key=dispatch_key, dispatches=dispatches)
        return self._required(request_id)

    def set_cancelled_by(self, request_id: str, actor: str) -> None:
        """Record who asked for the cancellation; raises NotFound."""
        self._change(self._locked(request_id), cancelled_by=actor)

    def set_closed(self, request_id: str, at: datetime | None = None) -> None:
        """Record that feedback has been offered and the ticket told; raises NotFound."""
        self._change(self._locked(request_id), closed_at=at or self._clock())

    def _change(self, request: RequestRow, **columns: Any) -> None:
        self._connection.execute(
            update(requests).where(requests.c.id == request.id).values(**columns, version=request.version + 1)
        )

    def _locked(self, request_id: str) -> RequestRow:
        request = self.get_for_update(request_id)
        if request is None:
            raise NotFound("request", request_id)
        return request

    def _required(self, request_id: str) -> RequestRow:
        request = self.get(request_id)
        if request is None:
            raise NotFound("request", request_id)
        return request


def _select() -> Select[Any]:
    return select_rows(RequestRow, requests, {"values": "frozen_values"})


def _clock_columns(request: RequestRow, to: RequestState, now: datetime) -> dict[str, Any]:
    """When it started and ended, and how long its clock stood still in the state it leaves."""
    columns: dict[str, Any] = {"ended": now if to.ended else None}
    if to is RequestState.IN_PROGRESS and request.started is None:
        columns["started"] = now
    if request.state in request.clock_stops_in:
        # a clock set back must not make the request due earlier
        stood = max((now - request.state_since).total_seconds(), 0.0)
        columns["clock_stopped_seconds"] = request.clock_stopped_seconds + stood
        if request.due_at is not None:
            columns["due_at"] = _put_off(request, request.due_at, now)
    return columns


def _put_off(request: RequestRow, due_at: datetime, now: datetime) -> datetime:
    """When a request is due after its clock stood still until now, in the time of its calendar."""
    since = min(request.state_since, now)
    if not isinstance(request.due_calendar, dict):
        return due_at + (now - since)
    calendar = calendar_from_json(request.due_calendar)
    return calendar.due_at(due_at, calendar.open_between(since, now))


def _conditions(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        conditions.append(requests.c.state == wanted.state)
    if wanted.model is not None:
        conditions.append(requests.c.model == wanted.model)
    if wanted.requester is not None:
        conditions.append(requests.c.requester_id == wanted.requester)
    if wanted.source_system is not None:
        conditions.append(requests.c.source_system == wanted.source_system)
    if wanted.source_id is not None:
        conditions.append(requests.c.source_id == wanted.source_id)
    if wanted.submitted_from is not None:
        conditions.append(requests.c.submitted >= wanted.submitted_from)
    if wanted.submitted_before is not None:
        conditions.append(requests.c.submitted < wanted.submitted_before)
    if wanted.involving is not None:
        asked = select(tasks.c.request_id).where(asked_of(wanted.involving, wanted.involving_teams))
        conditions.append(
            or_(
                requests.c.requester_id == wanted.involving,
                requests.c.requested_for_id == wanted.involving,
                requests.c.id.in_(asked),
            )
        )
    if wanted.text:
        conditions.append(requests.c.search_text.contains(_searchable(wanted.text), autoescape=True))
    if wanted.after_cursor is not None:
        submitted, request_id = read_cursor(wanted.after_cursor)
        same_moment = and_(requests.c.submitted == submitted, requests.c.id < request_id)
        conditions.append(or_(requests.c.submitted < submitted, same_moment))
    return conditions


def _search_text(new: NewRequest) -> str:
    words = [new.id, new.model, new.source_id or "", *_names(new.requester), *_names(new.requested_for)]
    return _searchable("\n".join(words))


def _searchable(text: str) -> str:
    """Lower case, and a sign for NUL, which PostgreSQL's text refuses; not escaped, for parts of it are looked for."""
    refuse_what_is_not_json(text)
    return text.lower().replace("\0", "\N{SYMBOL FOR NULL}")


def _names(person: Person) -> tuple[str, ...]:
    return person.id, person.name, person.email

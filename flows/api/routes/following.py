"""What became of a request, part by part: events as they come, steps, log lines, outputs, and who did what."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from flows.api.authentication import AuthenticatedCaller, is_still_good
from flows.api.details import RequestId, etag_of, known_form
from flows.api.documentation import problems
from flows.api.event_stream import event_shape, event_stream
from flows.api.following_shapes import (
    AuditEntry,
    AuditRecord,
    EventList,
    LogLine,
    LogLines,
    OutputList,
    RequestEvent,
    StepList,
)
from flows.api.guarded_route import GuardedRoute
from flows.api.problems import ApiProblem
from flows.api.service import application_of, views_for
from flows.api.waiting import WaitingRoom
from flows.lifecycle import Caller
from flows.log_lines import log_lines
from flows.records.records import Transaction
from flows.records.rows import RequestRow

T = TypeVar("T")

router = APIRouter(prefix="/v1/requests", tags=["requests"], route_class=GuardedRoute)

_READING = problems("unauthenticated", "not-allowed", "unknown-request", "unavailable")

_EVENT_STREAM = "text/event-stream"
_LAST_EVENT = r"^[0-9]{1,9}$"


@router.get(
    "/{request_id:id}/events",
    responses={
        200: {
            "description": "JSON, or with `Accept: text/event-stream` Server-Sent Events until the request has ended.",
            "content": {_EVENT_STREAM: {"schema": {"type": "string"}}},
        },
        **problems("unauthenticated", "not-allowed", "unknown-request", "invalid-request", "unavailable"),
    },
    response_model=EventList,
    operation_id="listEvents",
)
async def list_events(
    request_id: RequestId,
    request: Request,
    caller: AuthenticatedCaller,
    after: Annotated[int, Query(ge=0, le=999_999_999, description="Only events after this one.")] = 0,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", pattern=_LAST_EVENT, description="As `after`; what browsers send by themselves."),
    ] = None,
) -> Any:
    """What happened to a request, oldest first. As Server-Sent Events also each step that changed."""
    wanted = known_form(request_id)
    start = max(after, int(last_event_id or 0))
    records, lifecycle = application_of(request).records, application_of(request).lifecycle

    def get(tx: Transaction) -> RequestRow:
        return lifecycle.get_within(tx, wanted, caller)

    if _EVENT_STREAM not in request.headers.get("accept", ""):
        return await run_in_threadpool(lambda: records.read(lambda tx: EventList(items=_events(tx, get(tx), start))))
    await run_in_threadpool(lambda: records.read(get))
    room: WaitingRoom = request.app.state.waiting_room
    if room.full:
        raise ApiProblem("too-many-calls", "Too many calls wait already. Ask for JSON.", headers={"Retry-After": "10"})
    stream = event_stream(records, get, views_for(request), start, lambda: is_still_good(request))
    return StreamingResponse(
        room.during(stream),
        media_type=_EVENT_STREAM,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/{request_id:id}/steps", responses=_READING, operation_id="listSteps")
def list_steps(request_id: RequestId, request: Request, response: Response, caller: AuthenticatedCaller) -> StepList:
    """The steps of a request with their attempts, in the order of the plan."""
    views = views_for(request)

    def read(tx: Transaction, row: RequestRow) -> StepList:
        plan = tx.plans.get(row.plan_digest)
        return StepList(items=views.steps(plan.steps, tx.steps.all(row.id), tx.steps.attempts(row.id)))

    return _read(request_id, request, response, caller, read)


@router.get("/{request_id:id}/outputs", responses=_READING, operation_id="listOutputs")
def list_outputs(
    request_id: RequestId, request: Request, response: Response, caller: AuthenticatedCaller
) -> OutputList:
    """What the requester gets. A secret output has no value here."""
    views = views_for(request)

    def read(tx: Transaction, row: RequestRow) -> OutputList:
        return OutputList(items=views.outputs(row, tx.plans.get(row.plan_digest)))

    return _read(request_id, request, response, caller, read)


@router.get("/{request_id:id}/logs", responses=_READING, operation_id="listLogs")
def list_logs(request_id: RequestId, request: Request, response: Response, caller: AuthenticatedCaller) -> LogLines:
    """What happened while it was fulfilled: each attempt of each step, and what people did."""

    def read(tx: Transaction, row: RequestRow) -> LogLines:
        lines = log_lines(tx, row)
        return LogLines(
            items=[LogLine(at=one.at, level=one.level, step=one.step, item=one.item, text=one.text) for one in lines]
        )

    return _read(request_id, request, response, caller, read)


@router.get("/{request_id:id}/audit", responses=_READING, operation_id="getAudit")
def get_audit(request_id: RequestId, request: Request, response: Response, caller: AuthenticatedCaller) -> AuditRecord:
    """Who did what to it, and whether the chain of these entries holds."""

    def read(tx: Transaction, row: RequestRow) -> AuditRecord:
        faults = [one.message for one in tx.audit.verify(row.id)]
        entries = [
            AuditEntry(**event_shape(one).model_dump(), actor=one.actor, erased=one.why is None, hash=one.hash)
            for one in tx.audit.of(row.id)
        ]
        return AuditRecord(request=row.id, intact=not faults, faults=faults, entries=entries)

    return _read(request_id, request, response, caller, read)


def _read(
    request_id: str, request: Request, response: Response, caller: Caller, read: Callable[[Transaction, RequestRow], T]
) -> T:
    """Read something of a request, if the caller may see it, in one consistent view."""
    application, wanted = application_of(request), known_form(request_id)

    def both(tx: Transaction) -> tuple[RequestRow, T]:
        row = application.lifecycle.get_within(tx, wanted, caller)
        return row, read(tx, row)

    row, found = application.records.read(both)
    response.headers["ETag"] = etag_of(row.version)
    return found


def _events(tx: Transaction, row: RequestRow, after: int) -> list[RequestEvent]:
    return [event_shape(one) for one in tx.audit.of(row.id) if one.sequence > after]

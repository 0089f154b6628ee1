"""What requests wait for from other systems."""

from fastapi import APIRouter, Request

from flows.api.act_shapes import EventReceipt, IncomingEvent
from flows.api.authentication import AuthenticatedCaller
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.service import application_of
from flows.incoming_events import Incoming

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=GuardedRoute)


@router.post(
    "",
    status_code=202,
    responses=problems(
        "malformed-json",
        "unauthenticated",
        "not-allowed",
        "too-large",
        "not-json",
        "invalid-request",
        "unavailable",
    ),
    operation_id="sendEvent",
)
def send_event(event: IncomingEvent, request: Request, caller: AuthenticatedCaller) -> EventReceipt:
    """Tell of something that happened: every request with a step that waits for it goes on. Needs `events:send`."""
    incoming = Incoming(event.event, event.key, event.data, event.id)
    received = application_of(request).events.receive(incoming, caller)
    return EventReceipt(received=received.row.received, fulfilled=received.fulfilled, repeated=not received.created)

"""Orders, and what became of them."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from flows.api.authentication import AuthenticatedCaller
from flows.api.details import IfMatch, RequestId, detail_of, known_form, version_in
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.order_shapes import Verdict, WantedRequests
from flows.api.ordering import order_of
from flows.api.pages import unknown_token
from flows.api.problems import problem_of
from flows.api.service import application_of, views_for
from flows.api.shapes import Accepted, NewOrder, RequestDetail, RequestPage, Why, WhyBack
from flows.api.waiting import preferred_wait, wait_until
from flows.errors import RequestRefused
from flows.records.errors import InvalidCursor
from flows.records.records import Transaction
from flows.records.rows import RequestFilter, RequestRow
from flows.records.states import RequestState
from flows.wiring import Application

router = APIRouter(prefix="/v1/requests", tags=["requests"], route_class=GuardedRoute)

_PRINTABLE = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"


@router.post(
    "",
    status_code=202,
    responses={
        202: {
            "description": "Accepted: the order is durable.",
            "headers": {"Location": {"description": "Where the request is read.", "schema": {"type": "string"}}},
        },
        200: {
            "model": RequestDetail,
            "description": "Accepted, and with `Prefer: wait` it ended meanwhile, or it needs a person.",
            "headers": {"Location": {"description": "Where the request is read.", "schema": {"type": "string"}}},
        },
        **problems(
            "malformed-json",
            "unauthenticated",
            "not-allowed",
            "unknown-model",
            "too-large",
            "not-json",
            "invalid-request",
            "invalid-inputs",
            "idempotency-mismatch",
            "ordered-before",
            "not-eligible",
            "refused",
            "unavailable",
        ),
    },
    response_model=Accepted,
    operation_id="createRequest",
)
async def create_request(
    order: NewOrder,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=200,
            pattern=_PRINTABLE,
            description="Any text of yours, new for each order; with the same body it gives the first answer again.",
        ),
    ] = None,
    prefer: Annotated[
        str | None,
        Header(max_length=200, description="`wait=N`: answer when it has ended or needs a person, or after N seconds."),
    ] = None,
) -> Any:
    """Order. What is accepted is durable and will be worked on, whatever is down behind us at the moment."""
    application = application_of(request)
    submission = await run_in_threadpool(application.lifecycle.submit, order_of(order, idempotency_key), caller)
    row, views = submission.request, views_for(request)
    response.headers["Location"] = views.request_url(row.id)
    seconds, room = preferred_wait(prefer), request.app.state.waiting_room
    if seconds and not room.full:
        with room.place():
            row = await wait_until(_is_settled, lambda: run_in_threadpool(_look, application, row.id), seconds)
        response.headers["Preference-Applied"] = f"wait={seconds}"
        if _is_settled(row):
            response.status_code = 200
            return await run_in_threadpool(detail_of, request, response, row)
    state = row.state
    if not seconds and not submission.created:
        state = await run_in_threadpool(lambda: application.records.read(lambda tx: _accepted_state(tx, row)))
    return views.accepted(row, state)


@router.post(
    ":validate",
    responses=problems(
        "malformed-json",
        "unauthenticated",
        "not-allowed",
        "too-large",
        "not-json",
        "invalid-request",
        "unavailable",
    ),
    operation_id="validateRequest",
)
def validate_request(order: NewOrder, request: Request, caller: AuthenticatedCaller) -> Verdict:
    """Whether an order would be accepted, and what is wrong. Nothing is recorded, no prerequisite is read."""
    try:
        judged = application_of(request).lifecycle.validate(order_of(order, None), caller)
    except RequestRefused as refusal:
        return Verdict(valid=False, model=order.model, problem=problem_of(refusal, "/v1/requests"))
    return Verdict(
        valid=True,
        model=judged.plan.model,
        model_version=judged.publication.version,
        inputs={name: None if name in judged.plan.secret_inputs else value for name, value in judged.inputs.items()},
        starts=judged.start,
        due=judged.due,
    )


@router.get(
    "",
    responses=problems("unauthenticated", "not-allowed", "invalid-request", "unavailable"),
    operation_id="listRequests",
)
def list_requests(
    request: Request, caller: AuthenticatedCaller, wanted: Annotated[WantedRequests, Query()]
) -> RequestPage:
    """Requests, newest first: those the caller ordered, benefits from or has tasks of; all with `requests:read:all`."""
    application = application_of(request)
    chosen = RequestFilter(
        state=wanted.state,
        model=wanted.model,
        requester=wanted.requester,
        source_system=wanted.source_system,
        source_id=wanted.source_id,
        submitted_from=wanted.submitted_from,
        submitted_before=wanted.submitted_before,
        text=wanted.text or None,
        after_cursor=wanted.page_token,
        limit=wanted.limit,
    )
    try:
        page = application.lifecycle.list(chosen, caller)
    except InvalidCursor:
        raise unknown_token() from None
    views = views_for(request)
    plans = application.records.read(lambda tx: {row.plan_digest: tx.plans.get(row.plan_digest) for row in page.items})
    return RequestPage(
        items=[views.request_summary(row, plans[row.plan_digest]) for row in page.items],
        next_page_token=page.next_cursor,
    )


@router.get(
    "/{request_id:id}",
    responses=problems("unauthenticated", "not-allowed", "unknown-request", "unavailable"),
    operation_id="getRequest",
)
def get_request(
    request_id: RequestId, request: Request, response: Response, caller: AuthenticatedCaller
) -> RequestDetail:
    """One request: its state and why, its steps with their attempts, its outputs; on hold, what can be chosen."""
    row = application_of(request).lifecycle.get(known_form(request_id), caller)
    return detail_of(request, response, row)


_ACTING = problems(
    "malformed-json",
    "unauthenticated",
    "not-allowed",
    "unknown-request",
    "wrong-state",
    "changed-meanwhile",
    "too-large",
    "not-json",
    "invalid-request",
    "unavailable",
)


@router.post("/{request_id:id}:retry", status_code=202, responses=_ACTING, operation_id="retryRequest")
def retry_request(
    request_id: RequestId,
    body: Why,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Run a request that is on hold again from its failed step; what is done stays done. Needs `requests:act`.

    One whose undo is on hold goes on being undone.
    """
    row = application_of(request).lifecycle.retry(known_form(request_id), caller, body.why, version_in(if_match))
    return detail_of(request, response, row)


@router.post("/{request_id:id}:cancel", status_code=202, responses=_ACTING, operation_id="cancelRequest")
def cancel_request(
    request_id: RequestId,
    body: WhyBack,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Cancel a request: what runs is stopped, what was done is taken back. Needs `requests:act`.

    Possible in any state before the end; cancelling again gives the same answer. `undo.left_over` names what was not
    taken back; unless that is left on purpose the request is on hold then, for a person.
    """
    row = application_of(request).lifecycle.cancel(
        known_form(request_id), caller, body.why, leaves=body.leave, version=version_in(if_match)
    )
    return detail_of(request, response, row)


@router.post("/{request_id:id}:undo", status_code=202, responses=_ACTING, operation_id="undoRequest")
def undo_request(
    request_id: RequestId,
    body: WhyBack,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Take back all that a request did: one on hold has failed then, one fulfilled is cancelled. `requests:act`."""
    row = application_of(request).lifecycle.undo(
        known_form(request_id), caller, body.why, leaves=body.leave, version=version_in(if_match)
    )
    return detail_of(request, response, row)


def _is_settled(row: RequestRow) -> bool:
    return row.state.ended or row.state in {RequestState.ON_HOLD, RequestState.AWAITING_APPROVAL}


def _look(application: Application, request_id: str) -> RequestRow:
    row = application.records.read(lambda tx: tx.requests.get(request_id))
    assert row is not None, "a request is never deleted"
    return row


def _accepted_state(tx: Transaction, request: RequestRow) -> RequestState:
    """The state an order was answered with, although it has moved on since: a repeated answer is the first one."""
    events = tx.audit.of(request.id)
    at_once = [event.to_state for event in events if event.at == request.submitted and event.to_state is not None]
    return at_once[-1] if at_once else request.state

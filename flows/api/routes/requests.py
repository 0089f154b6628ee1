"""Orders, and what became of them."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from flows.api.authentication import AuthenticatedCaller
from flows.api.details import RequestId, detail_of, known_form
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.pages import PageLimit, PageToken, unknown_token
from flows.api.service import application_of, views_for
from flows.api.shapes import Accepted, Beneficiary, NewOrder, RequestDetail, RequestPage, SourceShape, Why, WhyBack
from flows.lifecycle import Order, Source
from flows.records.errors import InvalidCursor
from flows.records.records import Transaction
from flows.records.rows import Person, RequestFilter, RequestRow
from flows.records.states import RequestState
from request_models.json_values import canonical_json

router = APIRouter(prefix="/v1/requests", tags=["requests"], route_class=GuardedRoute)

_STORABLE = r"^[^\x00]*$"
_PRINTABLE = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"


@router.post(
    "",
    status_code=202,
    responses={
        202: {
            "description": "Accepted: the order is durable.",
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
            "refused",
            "unavailable",
        ),
    },
    operation_id="createRequest",
)
def create_request(
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
) -> Accepted:
    """Order. What is accepted is durable and will be worked on, whatever is down behind us at the moment."""
    application = application_of(request)
    submission = application.lifecycle.submit(_order(order, idempotency_key), caller)
    state = submission.request.state
    if not submission.created:
        state = application.records.read(lambda tx: _accepted_state(tx, submission.request))
    accepted = views_for(request).accepted(submission.request, state)
    response.headers["Location"] = accepted.links.self
    return accepted


@router.get(
    "",
    responses=problems("unauthenticated", "not-allowed", "invalid-request", "unavailable"),
    operation_id="listRequests",
)
def list_requests(
    request: Request,
    caller: AuthenticatedCaller,
    state: Annotated[RequestState | None, Query(description="Only requests in this state.")] = None,
    model: Annotated[
        str | None, Query(max_length=200, pattern=_STORABLE, description="Only requests for this model.")
    ] = None,
    text: Annotated[
        str | None, Query(max_length=200, pattern=_STORABLE, description="Part of an id or of a person's name.")
    ] = None,
    limit: PageLimit = 50,
    page_token: PageToken = None,
) -> RequestPage:
    """Requests, newest first: those the caller ordered or benefits from; all of them with `requests:read:all`."""
    application = application_of(request)
    wanted = RequestFilter(state=state, model=model, text=text or None, after_cursor=page_token, limit=limit)
    try:
        page = application.lifecycle.list(wanted, caller)
    except InvalidCursor:
        raise unknown_token() from None
    views = views_for(request)
    plans = application.records.read(lambda tx: {row.plan_digest: tx.plans.get(row.plan_digest) for row in page.items})
    return RequestPage(
        items=[views.request_summary(row, plans[row.plan_digest]) for row in page.items],
        next_page_token=page.next_cursor,
    )


@router.get(
    "/{request_id}",
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
    "too-large",
    "not-json",
    "invalid-request",
    "unavailable",
)


@router.post("/{request_id}:retry", status_code=202, responses=_ACTING, operation_id="retryRequest")
def retry_request(
    request_id: RequestId, body: Why, request: Request, response: Response, caller: AuthenticatedCaller
) -> RequestDetail:
    """Run a request that is on hold again from its failed step; what is done stays done. Needs `requests:act`.

    One whose undo is on hold goes on being undone.
    """
    row = application_of(request).lifecycle.retry(known_form(request_id), caller, body.why)
    return detail_of(request, response, row)


@router.post("/{request_id}:cancel", status_code=202, responses=_ACTING, operation_id="cancelRequest")
def cancel_request(
    request_id: RequestId, body: WhyBack, request: Request, response: Response, caller: AuthenticatedCaller
) -> RequestDetail:
    """Cancel a request: what runs is stopped, what was done is taken back. Needs `requests:act`.

    Possible in any state before the end; cancelling again gives the same answer. `undo.left_over` names what was not
    taken back; unless that is left on purpose the request is on hold then, for a person.
    """
    row = application_of(request).lifecycle.cancel(known_form(request_id), caller, body.why, leaves=body.leave)
    return detail_of(request, response, row)


@router.post("/{request_id}:undo", status_code=202, responses=_ACTING, operation_id="undoRequest")
def undo_request(
    request_id: RequestId, body: WhyBack, request: Request, response: Response, caller: AuthenticatedCaller
) -> RequestDetail:
    """Take back all that a request did: one on hold has failed then, one fulfilled is cancelled. `requests:act`."""
    row = application_of(request).lifecycle.undo(known_form(request_id), caller, body.why, leaves=body.leave)
    return detail_of(request, response, row)


def _order(order: NewOrder, idempotency_key: str | None) -> Order:
    return Order(
        model=order.model,
        inputs=order.inputs,
        requested_for=_beneficiary(order.requested_for),
        source=_source(order.source),
        channel="api",
        idempotency_key=idempotency_key,
        # Of what the body says, not of its bytes: a client may write its members in another order when it repeats.
        body_digest=hashlib.sha256(canonical_json(order.model_dump(mode="json", exclude_unset=True))).hexdigest(),
    )


def _beneficiary(given: str | Beneficiary | None) -> Person | None:
    match given:
        case None:
            return None
        case str():
            return Person(id=given)
        case Beneficiary():
            return Person(
                id=given.id, name=given.name, email=given.email, groups=tuple(given.groups), manager=given.manager
            )


def _source(given: SourceShape | None) -> Source | None:
    return None if given is None else Source(system=given.system, id=given.id, url=given.url)


def _accepted_state(tx: Transaction, request: RequestRow) -> RequestState:
    """The state an order was answered with, although it has moved on since: a repeated answer is the first one."""
    events = tx.audit.of(request.id)
    at_once = [event.to_state for event in events if event.at == request.submitted and event.to_state is not None]
    return at_once[-1] if at_once else request.state

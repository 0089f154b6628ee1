"""Approvals: what is asked of the caller to decide."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from flows.api.approval_shapes import ApprovalList, ApprovalShape, Approving, Delegating, Rejecting
from flows.api.approval_views import approval_shape
from flows.api.authentication import AuthenticatedCaller
from flows.api.details import etag_of, known_form
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.service import application_of
from flows.approvals import MOST_SHOWN, ShownApproval, Verdict, Whose
from flows.errors import ApprovalNotFound
from flows.records.approval_rows import ApprovalState, Decision

router = APIRouter(prefix="/v1/approvals", tags=["approvals"], route_class=GuardedRoute)

ApprovalId = Annotated[str, Path(description="The approval's id.")]

_DECIDING: dict[int | str, dict[str, Any]] = problems(
    "malformed-json",
    "unauthenticated",
    "not-allowed",
    "may-not-decide",
    "unknown-approval",
    "approval-closed",
    "other-digest",
    "too-large",
    "not-json",
    "invalid-request",
    "unavailable",
)


@router.get(
    "",
    responses=problems("unauthenticated", "not-allowed", "invalid-request", "unknown-request", "unavailable"),
    operation_id="listApprovals",
)
def list_approvals(
    request: Request,
    caller: AuthenticatedCaller,
    whose: Annotated[
        Whose,
        Query(description="Those asked of you, open ones if you may decide now; or all: `requests:read:all`."),
    ] = "mine",
    state: Annotated[ApprovalState | Literal["any"], Query(description="Only in this state.")] = ApprovalState.OPEN,
    of_request: Annotated[
        str | None, Query(alias="request", max_length=200, description="Only those of this request.")
    ] = None,
) -> ApprovalList:
    """What is asked of you to decide, due first. Needs `approvals:decide`."""
    wanted = None if of_request is None else known_form(of_request)
    approvals = application_of(request).approvals
    found = approvals.list(caller, whose, None if state == "any" else state, wanted)
    return ApprovalList(items=[_shape(request, one) for one in found[:MOST_SHOWN]], more=len(found) > MOST_SHOWN)


@router.get(
    "/{approval_id:id}",
    responses=problems("unauthenticated", "not-allowed", "unknown-approval", "unavailable"),
    operation_id="getApproval",
)
def get_approval(
    approval_id: ApprovalId, request: Request, response: Response, caller: AuthenticatedCaller
) -> ApprovalShape:
    """One approval, with exactly what would be done. Needs `approvals:decide`."""
    return _answer(request, response, application_of(request).approvals.get(_known_form(approval_id), caller))


@router.post("/{approval_id:id}:approve", responses=_DECIDING, operation_id="approve")
def approve(
    approval_id: ApprovalId, body: Approving, request: Request, response: Response, caller: AuthenticatedCaller
) -> ApprovalShape:
    """Say yes to what `digest` is of. Needs `approvals:decide`, and that it is asked of you."""
    verdict = Verdict(Decision.APPROVE, body.digest, body.reason)
    return _answer(
        request, response, application_of(request).approvals.decide(_known_form(approval_id), caller, verdict)
    )


@router.post("/{approval_id:id}:reject", responses=_DECIDING, operation_id="reject")
def reject(
    approval_id: ApprovalId, body: Rejecting, request: Request, response: Response, caller: AuthenticatedCaller
) -> ApprovalShape:
    """Say no, and why: the request is rejected, what it has done is taken back. Needs `approvals:decide`."""
    verdict = Verdict(Decision.REJECT, body.digest, body.reason)
    return _answer(
        request, response, application_of(request).approvals.decide(_known_form(approval_id), caller, verdict)
    )


@router.post("/{approval_id:id}:delegate", responses=_DECIDING, operation_id="delegate")
def delegate(
    approval_id: ApprovalId, body: Delegating, request: Request, response: Response, caller: AuthenticatedCaller
) -> ApprovalShape:
    """Have somebody else decide in your place; you cannot decide it then. Needs `approvals:decide`."""
    approvals = application_of(request).approvals
    return _answer(request, response, approvals.delegate(_known_form(approval_id), caller, body.to, body.reason))


def _answer(request: Request, response: Response, shown: ShownApproval) -> ApprovalShape:
    response.headers["ETag"] = etag_of(shown.row.version)
    return _shape(request, shown)


def _shape(request: Request, shown: ShownApproval) -> ApprovalShape:
    base = application_of(request).settings.api.url
    return approval_shape(shown, base, request.headers.get("accept-language"))


def _known_form(approval_id: str) -> str:
    try:
        return str(UUID(approval_id))
    except ValueError:
        raise ApprovalNotFound(approval_id) from None

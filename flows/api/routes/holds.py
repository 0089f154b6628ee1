"""What people do to requests on hold, beside retrying them. All of it needs `requests:act`, and counts as a touch."""

from typing import Any

from fastapi import APIRouter, Request, Response

from flows.api.act_shapes import HoldAssignment, InputCorrection, Remarked, StepCompletion, StepSkip
from flows.api.authentication import AuthenticatedCaller
from flows.api.details import IfMatch, RequestId, detail_of, known_form, version_in
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.service import application_of
from flows.api.shapes import RequestDetail
from flows.corrections import Correction
from flows.interventions import Act
from flows.lifecycle import Caller
from flows.touching import Remark

router = APIRouter(prefix="/v1/requests", tags=["holds"], route_class=GuardedRoute)


def _problems(*more: str) -> dict[int | str, dict[str, Any]]:
    return problems(
        "malformed-json",
        "unauthenticated",
        "not-allowed",
        "unknown-request",
        "wrong-state",
        "not-possible",
        "changed-meanwhile",
        "too-large",
        "not-json",
        "invalid-request",
        *more,
        "unavailable",
    )


@router.post(
    "/{request_id:id}:complete",
    status_code=202,
    responses=_problems("invalid-result"),
    operation_id="completeStep",
)
def complete_step(
    request_id: RequestId,
    body: StepCompletion,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Say that a person did what a step was to do, and what came of it; it counts as made by this request."""
    row = application_of(request).interventions.complete(
        _act(request_id, caller, body, if_match), body.step, body.item, body.result, go_on=body.go_on
    )
    return detail_of(request, response, row)


@router.post("/{request_id:id}:skip", status_code=202, responses=_problems(), operation_id="skipStep")
def skip_step(
    request_id: RequestId,
    body: StepSkip,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Go on without a step, where the model allows it (`on_failure: continue`)."""
    row = application_of(request).interventions.skip(
        _act(request_id, caller, body, if_match), body.step, body.item, go_on=body.go_on
    )
    return detail_of(request, response, row)


@router.post(
    "/{request_id:id}:fix",
    status_code=202,
    responses=_problems("invalid-inputs", "not-eligible"),
    operation_id="fixRequest",
)
def fix_request(
    request_id: RequestId,
    body: InputCorrection,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Correct inputs and go on: only the steps that depend on the correction run again."""
    correction = Correction(body.inputs, tuple(body.unset))
    row = application_of(request).corrections.fix(_act(request_id, caller, body, if_match), correction)
    return detail_of(request, response, row)


@router.post("/{request_id:id}:assign", responses=_problems(), operation_id="assignHold")
def assign_hold(
    request_id: RequestId,
    body: HoldAssignment,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Give the hold to a team or a person, until it ends."""
    act = _act(request_id, caller, body, if_match)
    row = application_of(request).interventions.assign(act, body.team, body.assignee)
    return detail_of(request, response, row)


def _act(request_id: str, caller: Caller, body: Remarked, if_match: str | None) -> Act:
    remark = Remark(body.why, body.minutes, body.label)
    return Act(known_form(request_id), caller, remark, version_in(if_match))

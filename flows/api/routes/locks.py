"""The locks of requests: who holds them, who waits, and how those of a request on hold are freed."""

from fastapi import APIRouter, Request, Response

from flows.api.act_shapes import Remarked
from flows.api.authentication import AuthenticatedCaller
from flows.api.details import IfMatch, RequestId, detail_of, known_form, version_in
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.lock_shapes import LockList, LockShape, LockStanding
from flows.api.service import application_of
from flows.api.shapes import RequestDetail
from flows.interventions import Act
from flows.lock_listing import MOST_SHOWN, ListedLock, Standing, list_locks
from flows.touching import Remark

router = APIRouter(prefix="/v1", tags=["locks"], route_class=GuardedRoute)


@router.get("/locks", responses=problems("unauthenticated", "not-allowed", "unavailable"), operation_id="listLocks")
def get_locks(request: Request, caller: AuthenticatedCaller) -> LockList:
    """The locks that are held or waited for, by name. Needs `requests:read:all`."""
    found = list_locks(application_of(request).records, caller)
    return LockList(items=[_shape(lock) for lock in found[:MOST_SHOWN]], more=len(found) > MOST_SHOWN)


@router.post(
    "/requests/{request_id}:release-locks",
    responses=problems(
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
        "unavailable",
    ),
    operation_id="releaseLocks",
)
def release_locks(
    request_id: RequestId,
    body: Remarked,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> RequestDetail:
    """Free the locks of a request on hold, for those that wait for them; a retry takes them again."""
    remark = Remark(body.why, body.minutes, body.label)
    act = Act(known_form(request_id), caller, remark, version_in(if_match))
    return detail_of(request, response, application_of(request).interventions.let_go_of_locks(act))


def _shape(lock: ListedLock) -> LockShape:
    return LockShape(
        name=lock.name,
        held_by=[_standing(one) for one in lock.held],
        waiting=[_standing(one) for one in lock.waiting],
    )


def _standing(one: Standing) -> LockStanding:
    return LockStanding(
        request=one.request.id,
        model=one.request.model,
        state=one.request.state.value,
        asked=one.asked,
        held_since=one.held_since,
        number=one.number,
    )

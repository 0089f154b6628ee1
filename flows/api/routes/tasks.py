"""What requests ask of people."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from flows.api.act_shapes import (
    TaskAssignment,
    TaskComment,
    TaskCompletion,
    TaskLinks,
    TaskList,
    TaskNoteShape,
    TaskRequest,
    TaskShape,
)
from flows.api.authentication import AuthenticatedCaller
from flows.api.details import IfMatch, etag_of, version_in
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.service import application_of, views_for
from flows.api.shapes import AssignedShape
from flows.errors import TaskNotFound
from flows.people_tasks import MOST_SHOWN, ShownTask, Whose
from flows.records.states import TaskState
from flows.touching import Remark

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=GuardedRoute)

TaskId = Annotated[str, Path(description="The task's id.")]


def _problems(*more: str) -> dict[int | str, dict[str, Any]]:
    return problems(
        "malformed-json",
        "unauthenticated",
        "not-allowed",
        "unknown-task",
        "too-large",
        "not-json",
        "invalid-request",
        *more,
        "unavailable",
    )


@router.get(
    "",
    responses=problems("unauthenticated", "not-allowed", "invalid-request", "unavailable"),
    operation_id="listTasks",
)
def list_tasks(
    request: Request,
    caller: AuthenticatedCaller,
    whose: Annotated[
        Whose, Query(description="Your own; your teams' too; or all, which needs `requests:read:all`.")
    ] = "teams",
    state: Annotated[TaskState | Literal["any"], Query(description="Only tasks in this state.")] = TaskState.OPEN,
) -> TaskList:
    """Tasks, those due first at the head. Needs `tasks:read`."""
    found = application_of(request).tasks.list(caller, whose, None if state == "any" else state)
    return TaskList(items=[_shape(request, one) for one in found[:MOST_SHOWN]], more=len(found) > MOST_SHOWN)


@router.get(
    "/{task_id:id}",
    responses=problems("unauthenticated", "not-allowed", "unknown-task", "unavailable"),
    operation_id="getTask",
)
def get_task(task_id: TaskId, request: Request, response: Response, caller: AuthenticatedCaller) -> TaskShape:
    """One task with its history. Needs `tasks:read`."""
    return _answer(request, response, application_of(request).tasks.get(_known_form(task_id), caller))


@router.post(
    "/{task_id:id}:complete",
    responses=_problems("wrong-state", "changed-meanwhile", "invalid-result"),
    operation_id="completeTask",
)
def complete_task(
    task_id: TaskId,
    body: TaskCompletion,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> TaskShape:
    """Say that it is done, and what came of it; its request goes on. Needs `tasks:act`."""
    remark = Remark(body.why, body.minutes, body.label)
    done = application_of(request).tasks.complete(
        _known_form(task_id), caller, body.result, remark, version_in(if_match)
    )
    return _answer(request, response, done)


@router.post(
    "/{task_id:id}:assign",
    responses=_problems("wrong-state", "changed-meanwhile"),
    operation_id="assignTask",
)
def assign_task(
    task_id: TaskId,
    body: TaskAssignment,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_match: IfMatch = None,
) -> TaskShape:
    """Hand it over to another team or person. Needs `tasks:act`."""
    remark = Remark(body.why, body.minutes, body.label)
    assigned = application_of(request).tasks.assign(
        _known_form(task_id), caller, body.team, body.assignee, remark, version_in(if_match)
    )
    return _answer(request, response, assigned)


@router.post("/{task_id:id}:comment", responses=_problems(), operation_id="commentTask")
def comment_task(
    task_id: TaskId, body: TaskComment, request: Request, response: Response, caller: AuthenticatedCaller
) -> TaskShape:
    """Say something of it. Needs `tasks:act`."""
    return _answer(request, response, application_of(request).tasks.comment(_known_form(task_id), caller, body.text))


def _answer(request: Request, response: Response, shown: ShownTask) -> TaskShape:
    response.headers["ETag"] = etag_of(shown.task.version)
    return _shape(request, shown)


def _shape(request: Request, shown: ShownTask) -> TaskShape:
    task, views = shown.task, views_for(request)
    here, is_open = views.task_url(task.id), task.state is TaskState.OPEN
    return TaskShape(
        id=task.id,
        title=_text(task.title.public),
        instructions=_text(task.instructions.public),
        state=task.state,
        assigned=AssignedShape(team=task.team, person=task.assignee),
        created=task.created,
        due=task.due,
        overdue=task.overdue is not None,
        step=task.path,
        item=task.item_key,
        request=TaskRequest(
            id=shown.request.id,
            model=shown.request.model,
            title=views.title_of(shown.plan),
            state=shown.request.state.value,
        ),
        returns=task.returns if isinstance(task.returns, dict) else None,
        result=None if task.result is None else task.result.public,
        done=task.done,
        by=task.by,
        why=task.why,
        minutes=task.minutes,
        version=task.version,
        history=[TaskNoteShape(at=note.at, actor=note.actor, event=note.event, text=note.text) for note in shown.notes],
        links=TaskLinks(
            self=here,
            request=views.request_url(task.request_id),
            complete=f"{here}:complete" if is_open else None,
            assign=f"{here}:assign" if is_open else None,
        ),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _known_form(task_id: str) -> str:
    try:
        return str(UUID(task_id))
    except ValueError:
        raise TaskNotFound(task_id) from None

"""The wire shapes of what people do: to requests on hold, to tasks; and of events."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, StrictBool, StringConstraints

from flows.api.shape_bases import In, Out, Token
from flows.api.shapes import AssignedShape
from flows.records.states import TaskState

Reason = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
Minutes = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]
ItemKey = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]


class Remarked(In):
    """What whoever acts says of it; it goes into the audit and counts as a touch."""

    why: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")] = Field(
        examples=["The host was replaced by hand."]
    )
    minutes: Minutes | None = Field(None, description="Of work that it was.")
    label: Token | None = Field(None, description="A word to sort such touches by.")


class StepCompletion(Remarked):
    """A step that was done by hand."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"step": "create", "result": {"Location": "/apollo"}, "why": "Made it in the console.", "minutes": 10}
            ]
        }
    )

    step: Token = Field(description="The step's id, from `hold.steps`.")
    item: ItemKey = Field("", description="Key of the item, for a step in a loop.")
    result: Any = Field(default_factory=dict, description="What the step's action would have answered.")
    go_on: StrictBool = Field(True, description="Whether the request goes on at once.")


class StepSkip(Remarked):
    """A step that is gone on without."""

    step: Token = Field(description="The step's id, from `hold.steps`.")
    item: ItemKey = Field("", description="Key of the item, for a step in a loop.")
    go_on: StrictBool = Field(True, description="Whether the request goes on at once.")


class InputCorrection(Remarked):
    """Inputs that are to be others."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"inputs": {"region": "eu-west-1"}, "why": "A typing error."}]}
    )

    inputs: dict[str, Any] = Field(default_factory=dict, description="Those that change, by name.")
    unset: list[Token] = Field([], max_length=500, description="Names of those that are not to be given any more.")


class HoldAssignment(Remarked):
    """Whose the hold is from now on; with neither, nobody's."""

    team: Token | None = None
    assignee: Token | None = Field(None, description="Id of a person.")


class TaskCompletion(In):
    """A task that is done."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"result": {"added": ["anna"]}, "why": "Added in the console.", "minutes": 5}]}
    )

    result: Any = Field(default_factory=dict, description="As the task's `returns` asks.")
    why: Reason = ""
    minutes: Minutes | None = Field(None, description="Of work that it was.")
    label: Token | None = None


class TaskAssignment(Remarked):
    """Whose the task is from now on; without a team it stays the team's."""

    team: Token | None = None
    assignee: Token | None = Field(None, description="Id of a person.")


class TaskComment(In):
    """Something to be known of a task."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=5000, pattern=r"^[^\x00]*$")]


class TaskNoteShape(Out):
    """Something that happened to a task, or was said of it."""

    at: datetime
    actor: str
    event: str = Field(description="created, assigned, comment, overdue, completed, cancelled.")
    text: str


class TaskRequest(Out):
    """The request that a task is for."""

    id: str
    model: str
    title: str
    state: str


class TaskLinks(Out):
    """Where to look and what to do next."""

    self: str
    request: str
    complete: str | None = None
    assign: str | None = None


class TaskShape(Out):
    """A person's task. Words and results that hold a secret of the request are null."""

    id: str
    title: str | None
    instructions: str | None
    state: TaskState
    assigned: AssignedShape
    created: datetime
    due: datetime | None = None
    overdue: bool = False
    step: str
    item: str = ""
    request: TaskRequest
    returns: dict[str, JsonValue] | None = Field(None, description="JSON Schema of the result; null: it has none.")
    result: JsonValue = None
    done: datetime | None = None
    by: str | None = None
    why: str = ""
    minutes: float | None = None
    version: int
    history: list[TaskNoteShape]
    links: TaskLinks


class TaskList(Out):
    """Some tasks, those due first at the head."""

    items: list[TaskShape]
    more: bool = Field(description="Whether there are more than are shown.")


class IncomingEvent(In):
    """Something that happened elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"event": "shipped", "key": "box-7", "data": {"carrier": "post"}, "id": "msg-4711"}]
        }
    )

    event: Token = Field(description="Its name, as steps that wait for it call it.")
    key: Token | None = Field(None, description="What it is about, for steps that wait for one of many.")
    data: Any = Field(None, description="What it says.")
    id: Token | None = Field(None, description="Your own id of it: sent again, it is the same event.")


class EventReceipt(Out):
    """What was made of an event: it is durable, and kept for 24 hours for steps that have yet to wait for it."""

    received: datetime
    fulfilled: int = Field(description="How many steps had waited for it.")
    repeated: bool = Field(description="Whether it came before under the same id.")

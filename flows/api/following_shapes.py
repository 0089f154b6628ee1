"""The wire shapes of what can be followed of a request: events, steps, log lines, outputs, and who did what."""

from datetime import datetime

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from flows.api.shape_bases import Out
from flows.api.shapes import OutputShape, StepShape
from flows.records.states import RequestState

_MOVED: JsonDict = {
    "id": 2,
    "at": "2026-11-20T09:30:00.000000Z",
    "event": "moved",
    "from_state": "validating",
    "to_state": "scheduled",
    "why": "there is nothing to decide or to wait for",
}


class RequestEvent(Out):
    """Something that happened to a request. `id` counts up from 1 without gaps."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MOVED]})

    id: int
    at: datetime
    event: str
    from_state: RequestState | None = None
    to_state: RequestState | None = None
    why: str = ""


class EventList(Out):
    """Events, oldest first."""

    items: list[RequestEvent]


class StepList(Out):
    """The steps of a request, in the order of the plan."""

    items: list[StepShape]


class OutputList(Out):
    """What the requester gets, as far as it is there."""

    items: list[OutputShape]


class LogLine(Out):
    """One thing that happened while a request was fulfilled. Secrets are masked."""

    at: datetime
    level: str = Field(description="info, warning or error.")
    step: str = Field("", description="The step it is about; empty for the request as a whole.")
    item: str = ""
    text: str


class LogLines(Out):
    """What happened, oldest first. What a runbook printed task by task is in Prefect (`links.prefect`)."""

    items: list[LogLine]


class AuditEntry(RequestEvent):
    """An event with who did it, and its link in the chain."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_MOVED, "actor": "orderly", "erased": False, "hash": "9f2c" * 16}]}
    )

    actor: str = Field(description="Id of the person, key or part of Orderly that did it.")
    erased: bool = Field(description="Whether the reason was erased.")
    hash: str = Field(description="SHA-256 (hex) over this entry and the hash before it.")


class AuditRecord(Out):
    """Who did what to a request."""

    request: str
    intact: bool = Field(description="Whether the chain holds.")
    faults: list[str] = Field(description="What is wrong with it.")
    entries: list[AuditEntry]

"""The wire shapes of /v1. Additions are compatible; anything else is a new version of the API."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, StrictBool, StringConstraints
from pydantic.config import JsonDict

from flows.api.approval_shapes import ApprovalOutline
from flows.api.lock_shapes import OwnLockShape
from flows.api.shape_bases import In, Moment, Out, Token
from flows.records.states import AttemptOutcome, CorrectionState, EffectState, RequestState, TouchKind
from request_models.actions import ErrorClass, Outcome

Address = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f]+$")]
"""An http(s) URL; other schemes would become links that run something."""

EXAMPLE_ID = "0b8c6b1e-3f0e-4a59-9a52-5f0f3f6f3f10"
_EXAMPLE_LINKS: JsonDict = {
    "self": f"/v1/requests/{EXAMPLE_ID}",
    "retry": f"/v1/requests/{EXAMPLE_ID}:retry",
    "cancel": f"/v1/requests/{EXAMPLE_ID}:cancel",
    "undo": f"/v1/requests/{EXAMPLE_ID}:undo",
    "prefect": "http://127.0.0.1:4200/runs/flow-run/5a6e2f57-3ad2-4c5b-8d0e-2f8f0a1a7c11",
}


class PersonShape(Out):
    """Who somebody is."""

    id: str
    name: str = ""


class Beneficiary(In):
    """Whom a request is for (`user` in models)."""

    id: Token
    name: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\x00-\x20\x7f]*$")] = ""
    groups: list[Token] = Field([], max_length=500)
    manager: Token | None = None


class SourceShape(In):
    """The ticket that the order comes from."""

    system: Token = Field(description="Name of the front-end, e.g. `servicenow`.")
    id: Token = Field(description="The ticket's id there.")
    url: Address | None = Field(None, description="Where a person finds the ticket.")


class NewOrder(In):
    """An order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "project-bucket",
                    "inputs": {"project": "apollo", "region": "eu-west-1"},
                    "requested_for": "anna",
                    "source": {
                        "system": "servicenow",
                        "id": "RITM0010001",
                        "url": "https://itsm.example.org/RITM0010001",
                    },
                }
            ]
        }
    )

    model: Token = Field(description="The request model's name, from the catalogue.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="As the model's form asks.")
    requested_for: Token | Beneficiary | None = Field(
        None, description="Id of the person it is for, or what is known of them; needs `requests:for-others`."
    )
    source: SourceShape | None = Field(
        None,
        description="The ticket it comes from. Without an Idempotency-Key a ticket orders each model once: sent again, "
        "it gives the first answer.",
    )
    not_before: Moment | None = Field(
        None, description="When it may start at the earliest; by default at once, or as the model says."
    )


class AcceptedLinks(Out):
    """Where to look next."""

    self: str


class Accepted(Out):
    """The answer to an order: it is durable and will be worked on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "model": "project-bucket",
                    "model_version": 3,
                    "state": "scheduled",
                    "submitted": "2026-11-20T09:30:00.000000Z",
                    "due": "2026-11-20T09:45:00.000000Z",
                    "links": {"self": f"/v1/requests/{EXAMPLE_ID}"},
                }
            ]
        }
    )

    id: str
    model: str
    model_version: int
    state: RequestState = Field(description="The state it was accepted in.")
    submitted: AwareDatetime
    due: datetime | None = None
    links: AcceptedLinks


class RequestLinks(Out):
    """Where else to look. `prefect` is there once a flow run exists, the others while they can be done."""

    self: str
    prefect: str | None = None
    retry: str | None = None
    cancel: str | None = None
    undo: str | None = None


class AttemptShape(Out):
    """One attempt of a step."""

    number: int
    started: datetime
    ended: datetime | None = None
    outcome: AttemptOutcome | None = None
    error_class: ErrorClass | None = None
    error_code: str | None = None
    message: str = ""
    touched: bool = Field(False, description="Whether a person had a hand in it.")


class StepShape(Out):
    """One step, in the order of the plan."""

    path: str
    title: str
    state: str = Field(description="pending, started, done, skipped, failed or undone.")
    message: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    attempts: list[AttemptShape] = Field([])


class EffectShape(Out):
    """Something that a step did to the world, or meant to; calls of an undo are called `STEP.undo.NUMBER`."""

    path: str
    item: str = Field("", description="The item of the loop, empty outside of loops.")
    action: str
    state: EffectState = Field(description="open: it may be under way; unknown: nobody knows whether it happened.")
    outcome: Outcome | None = None
    opened: datetime
    closed: datetime | None = None


class LeftOverShape(Out):
    """Something the request did that was not taken back."""

    path: str
    item: str = ""
    name: str = Field(description="The step as people call it, e.g. `join[anna].add`.")
    action: str
    outcome: str = Field(description="made, changed or unknown.")
    why: str


class UndoShape(Out):
    """That what the request did is taken back, or was."""

    ends_as: RequestState = Field(description="The state the request ends in.")
    asked_by: str
    asked: datetime
    why: str
    leave: bool = Field(description="What cannot be taken back is left, and the request ends all the same.")
    left_over: list[LeftOverShape] = Field(description="What was not taken back when it was last tried.")


class OutputShape(Out):
    """Something the requester gets. A secret output has no value here."""

    name: str
    title: str
    value: JsonValue = None
    url: str | None = None
    secret: bool = False


class AssignedShape(Out):
    """Whose something is."""

    team: str | None = None
    person: str | None = None


class HeldStepShape(Out):
    """A step that has no outcome the request could go on with."""

    step: str
    item: str = Field("", description="Key of the item, for a step in a loop.")
    label: str = Field(description="The step as operators call it: `join[anna].add`.")
    state: str
    message: str = ""
    choices: list[str] = Field(description="What can be done to it: complete, skip.")


class HoldShape(Out):
    """Why a request is on hold, whose the hold is, and what a person can choose."""

    cause: str
    since: datetime
    steps: list[HeldStepShape]
    choices: list[str] = Field(description="What can be done to the request: retry, undo, fix, assign.")
    assigned: AssignedShape


class InputChange(Out):
    """What one input was and is to be; null where it was not given, and in place of a secret."""

    before: JsonValue = None
    after: JsonValue = None


class CorrectionShape(Out):
    """A correction of inputs by a person."""

    state: CorrectionState = Field(
        description="pending: what depends on it is being taken back first; then applied. withdrawn: another came in "
        "its place, or the request is undone."
    )
    actor: str
    why: str
    asked: datetime
    settled: datetime | None = None
    changes: dict[str, InputChange] = Field(description="The inputs that change, by name.")


class TouchShape(Out):
    """Something that a person did by hand."""

    kind: TouchKind
    step: str = Field(description="The step it was about; empty for the request as a whole.")
    item: str = ""
    actor: str
    team: str | None = None
    started: datetime = Field(description="When it came to need a person.")
    ended: datetime
    minutes: float | None = Field(None, description="Of work, as told.")
    label: str | None = None
    why: str


class RequestSummary(Out):
    """A request, in lists."""

    id: str
    model: str
    title: str = Field(description="The model's title.")
    state: RequestState
    state_reason: str
    requester: PersonShape
    requested_for: PersonShape
    submitted: datetime
    started: datetime | None = None
    ended: datetime | None = None
    due: datetime | None = None
    source: SourceShape | None = None
    links: RequestLinks


class RequestDetail(RequestSummary):
    """A request with all that may be shown of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "model": "project-bucket",
                    "title": "Object storage for a project",
                    "state": "on_hold",
                    "state_reason": "The step 'create' failed: the endpoint cannot be reached.",
                    "requester": {"id": "portal", "name": "Self-service portal"},
                    "requested_for": {"id": "anna", "name": ""},
                    "submitted": "2026-11-20T09:30:00.000000Z",
                    "started": "2026-11-20T09:30:01.000000Z",
                    "ended": None,
                    "due": "2026-11-20T09:45:00.000000Z",
                    "source": {"system": "servicenow", "id": "RITM0010001", "url": None},
                    "links": _EXAMPLE_LINKS,
                    "model_version": 3,
                    "plan_digest": "9f0c" * 16,
                    "inputs": {"project": "apollo", "region": "eu-west-1"},
                    "secret_inputs": [],
                    "steps": [
                        {
                            "path": "create",
                            "title": "Creating the bucket",
                            "state": "failed",
                            "message": "The endpoint cannot be reached.",
                            "started": "2026-11-20T09:30:01.100000Z",
                            "ended": "2026-11-20T09:30:09.000000Z",
                            "attempts": [
                                {
                                    "number": 1,
                                    "started": "2026-11-20T09:30:01.100000Z",
                                    "ended": "2026-11-20T09:30:09.000000Z",
                                    "outcome": "failed",
                                    "error_class": "transient",
                                    "error_code": "unreachable",
                                    "message": "The endpoint cannot be reached.",
                                }
                            ],
                        }
                    ],
                    "outputs": [],
                    "effects": [],
                    "undo": None,
                    "cancelled_by": None,
                    "version": 5,
                    "parent": None,
                    "zero_touch": True,
                    "touches": [],
                    "corrections": [],
                    "hold": {
                        "cause": "create: the endpoint cannot be reached.",
                        "since": "2026-11-20T09:30:09.000000Z",
                        "steps": [
                            {
                                "step": "create",
                                "item": "",
                                "label": "create",
                                "state": "failed",
                                "message": "The endpoint cannot be reached.",
                                "choices": ["complete"],
                            }
                        ],
                        "choices": ["retry", "undo", "fix", "assign"],
                        "assigned": {"team": None, "person": None},
                    },
                    "locks": [
                        {
                            "name": "bucket:orderly-apollo",
                            "asked": "2026-11-20T09:30:00.100000Z",
                            "held_since": "2026-11-20T09:30:00.100000Z",
                            "number": 12,
                            "waiting_behind": None,
                        }
                    ],
                }
            ]
        }
    )

    model_version: int
    plan_digest: str
    inputs: dict[str, JsonValue] = Field(description="As accepted, defaults filled in; secret ones are null.")
    secret_inputs: list[str] = Field(description="JSON pointers into `inputs` of the values that are not shown.")
    steps: list[StepShape]
    outputs: list[OutputShape]
    effects: list[EffectShape] = Field([], description="What it did, in that order: the latest of each step and item.")
    undo: UndoShape | None = Field(None, description="Null unless what it did is taken back.")
    cancelled_by: str | None = Field(None, description="Id of who cancelled it.")
    version: int = Field(description="Rises with each change; an act may give it as `If-Match`.")
    parent: str | None = Field(None, description="The request that ordered this one.")
    zero_touch: bool = Field(description="Whether no person had to do anything by hand, so far.")
    touches: list[TouchShape] = Field([])
    corrections: list[CorrectionShape] = Field([], description="Of its inputs, the first one first.")
    hold: HoldShape | None = Field(None, description="There while the request is on hold.")
    locks: list[OwnLockShape] = Field([], description="Those it holds now or waits for: it has all of them, or none.")
    prerequisites: list[StepShape] = Field([], description="What is read before it may start.")
    approvals: list[ApprovalOutline] = Field([], description="What people were asked to decide, in that order.")


class RequestPage(Out):
    """Some requests, newest first."""

    items: list[RequestSummary]
    next_page_token: str | None = Field(None, description="Send it as `page_token` for more; null: there is no more.")


class ModelLinks(Out):
    """Where to look next, and where to order."""

    self: str
    order: str


class ModelSummary(Out):
    """A model that can be ordered."""

    model: str
    title: str
    summary: str
    kind: str
    service: str
    version: int
    digest: str
    links: ModelLinks


class ModelPage(Out):
    """Some models, by name."""

    items: list[ModelSummary]
    next_page_token: str | None = Field(None, description="Send it as `page_token` for more; null: there is no more.")


class FormShape(Out):
    """What react-jsonschema-form needs; `schema` is usable by any JSON Schema validator, draft-7 or 2020-12."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    json_schema: dict[str, JsonValue] = Field(alias="schema")
    ui_schema: dict[str, JsonValue] = Field(alias="uiSchema")
    defaults: dict[str, JsonValue]


class StepOutline(Out):
    """A step that will be run."""

    path: str
    title: str


class OwnersShape(Out):
    """Who answers for the model (RACI)."""

    accountable: str
    responsible: list[str]
    consulted: list[str]
    informed: list[str]


class ModelDetail(ModelSummary):
    """A model with its form."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "project-bucket",
                    "title": "Object storage for a project",
                    "summary": "A private, encrypted bucket with one writer role.",
                    "kind": "resource",
                    "service": "object-storage",
                    "version": 3,
                    "digest": "9f0c" * 16,
                    "links": {"self": "/v1/catalogue/project-bucket", "order": "/v1/requests"},
                    "owners": {"accountable": "anna", "responsible": ["platform"], "consulted": [], "informed": []},
                    "due_seconds": 900,
                    "steps": [{"path": "create", "title": "Creating the bucket"}],
                    "form": {
                        "schema": {
                            "type": "object",
                            "properties": {"project": {"type": "string", "title": "Project"}},
                            "required": ["project"],
                            "additionalProperties": False,
                        },
                        "uiSchema": {"ui:order": ["project", "*"]},
                        "defaults": {},
                    },
                }
            ]
        }
    )

    owners: OwnersShape
    due_seconds: float
    steps: list[StepOutline]
    form: FormShape


class Why(In):
    """Why somebody does something; it goes into the audit."""

    why: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")] = Field(
        examples=["The host is reachable again."]
    )


class WhyBack(Why):
    """Why what a request did is taken back."""

    leave: StrictBool = Field(
        False, description="End it even if not all can be taken back; `undo.left_over` then names what is left."
    )


class Health(Out):
    """Whether it works."""

    status: str = Field(examples=["ok"])

"""The wire shapes of approvals."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from flows.api.shape_bases import In, Out, Token
from flows.records.approval_rows import ApprovalState, Decision

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Reason = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
NeededReason = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


class Approving(In):
    """A yes, to exactly what was seen."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"digest": "9f0c" * 16, "reason": "It is needed."}]})

    digest: Digest = Field(description="The approval's `digest`, of what you saw.")
    reason: Reason = ""


class Rejecting(In):
    """A no, with its reason."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"digest": "9f0c" * 16, "reason": "No budget."}]})

    digest: Digest = Field(description="The approval's `digest`, of what you saw.")
    reason: NeededReason


class Delegating(In):
    """Who decides in your place."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "carl", "reason": "I am on holiday."}]})

    to: Token = Field(description="Id of the person.")
    reason: NeededReason


class SeatShape(Out):
    """Somebody who may decide."""

    who: str = Field(description="`person:ID` or `group:NAME`.")
    origin: str = Field(description="How the model says it, or who handed it over.")
    kind: str = Field(description="asked, escalated or delegated.")
    asked: datetime | None = Field(None, description="Null: it is not their turn yet.")


class DecisionShape(Out):
    """What somebody decided."""

    approver: str
    decision: Decision
    as_: str = Field(alias="as", description="By what right.")
    via: str = Field(description="api, or link: the one in a mail.")
    asked: datetime
    decided: datetime
    reason: str

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ApprovalLinks(Out):
    """Where to look, and how to decide while it is open."""

    self: str
    request: str
    approve: str | None = None
    reject: str | None = None
    delegate: str | None = None


class ApprovalOutline(Out):
    """An approval, as its request shows it."""

    id: str
    approval: str = Field(description="Its name in the model.")
    state: ApprovalState
    before: str | None = Field(None, description="The step that waits for it; null: everything does.")
    quorum: int
    asked: datetime
    due: datetime | None = None
    decided: datetime | None = None
    reason: str = ""
    asked_of: list[SeatShape]
    decisions: list[DecisionShape]
    links: ApprovalLinks


class ApprovedInput(Out):
    """One thing that the requester asked for. A secret one has no value here."""

    name: str
    title: str
    value: JsonValue = None
    words: str = Field(description="The value for a person to read.")
    secret: bool = False


class ApprovedStep(Out):
    """One thing that will be done."""

    path: str
    title: str
    action: str
    when: str | None = Field(None, description="The condition under which it is done.")
    for_each: str | None = Field(None, description="The list of which it is done for each item.")


class ApprovedRequest(Out):
    """The request that an approval is for."""

    id: str
    model: str
    title: str
    state: str
    requester: str
    user: str
    submitted: datetime


class ApprovalShape(ApprovalOutline):
    """An approval with exactly what would be done, which `digest` is of."""

    message: str | None = Field(None, description="What the model tells the approver; null: a secret is in it.")
    digest: str = Field(description="Of all that is shown here to be decided; a decision names it.")
    plan_digest: str = Field(description="Of the plan that will be run.")
    decidable: bool = Field(description="Whether you may decide it now.")
    request: ApprovedRequest
    inputs: list[ApprovedInput]
    values: dict[str, JsonValue] = Field(description="What the model computed of them; secret ones are null.")
    facts: dict[str, JsonValue] = Field(description="What the prerequisites answered; secrets in them are null.")
    steps: list[ApprovedStep] = Field(description="What waits for it, in order.")
    version: int


class ApprovalList(Out):
    """Some approvals, those due first at the head."""

    items: list[ApprovalShape]
    more: bool = Field(description="Whether there are more than are shown.")

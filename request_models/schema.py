"""The documents of the model language, as they are written: shapes and keys only, nothing resolved.

Unknown keys are refused. What is understood but cannot be run yet is told by a check (`checks/runnable.py`), so that a
model is never half understood and never silently ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from request_models.document import Document, Duration, Filled, Identifier, ModelName, OneOrMore, Texts
from request_models.step_documents import AnyBlock, PrerequisiteDocument, VerifyDocument

StateName = Literal[
    "validating", "awaiting_approval", "scheduled", "in_progress", "waiting", "on_hold", "undoing", "fulfilled",
    "failed", "cancelled", "rejected",
]  # fmt: skip
"""The states of a request (design section 4)."""


class OwnersDocument(Document):
    """Who answers for the model (RACI)."""

    accountable: Filled = Field(description="The one who answers for the model; exactly one.")
    responsible: tuple[Filled, ...] = Field((), strict=False, description="Who does the work: teams or people.")
    consulted: tuple[Filled, ...] = Field((), strict=False, description="Who is asked before the model changes.")
    informed: tuple[Filled, ...] = Field((), strict=False, description="Who hears of new and changed versions.")


class SupplierDocument(Document):
    """A third party that takes part, and what it agreed to."""

    name: Filled = Field(description="Who it is.")
    agreement: Filled = Field(description="The agreement that supports the request.")
    within: Duration | None = Field(None, description="How long its part may take.")
    allowance: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="The share of breaches that was agreed to, 0 to 1."
    )
    steps: tuple[Identifier, ...] = Field((), strict=False, description="The steps that are its part.")


class EligibleDocument(Document):
    """Who may order, and for whom: judged at once, on the caller's identity and the cached directory."""

    requester: str | None = Field(None, description="A condition on `requester`, an expression without braces.")
    user: str | None = Field(None, description="A condition on `user`, for whom it is: an expression without braces.")
    otherwise: str | None = Field(None, description="What is said to whoever is not eligible, and what to do about it.")


class ApprovalDocument(Document):
    """A decision that somebody else makes. Neither requester nor user may approve; silence is never a yes."""

    id: Identifier = Field(description="The name of the approval.")
    when: str | None = Field(None, description="A condition, an expression without braces: asked only when it holds.")
    by: OneOrMore = Field(
        description="Who may decide: `person:ID`, `group:NAME`, `manager:requester`, `manager:user`, or an expression "
        "in braces that gives such a text or a list of them."
    )
    quorum: Annotated[int, Field(ge=1, le=100)] = Field(1, description="How many must approve.")
    order: Literal["any", "written"] = Field(
        "any",
        description="Whether they are asked all at once (`any`) or one after the other, as `written`; the last in line "
        "give what is missing.",
    )
    within: Duration | None = Field(None, description="How long they have.")
    remind: Duration | None = Field(None, description="After how long they are reminded.")
    escalate: OneOrMore | None = Field(
        None,
        description="Who may decide too, half-way between the reminder (or the asking) and the end of `within`; at "
        "once where nobody of `by` can.",
    )
    if_silent: Literal["reject", "wait"] = Field(
        "reject", description="What happens after `within` without a decision: the request is rejected, or waits on."
    )
    before: Identifier | None = Field(
        None, description="The step that waits for it; by default nothing starts before it is decided."
    )
    message: str | None = Field(None, description="What the approver is told beside inputs and steps.")


class DueDocument(Document):
    """By when a request is to be fulfilled, and in which states the clock stops."""

    within: Duration = Field(description="How long fulfilment may take, an ISO 8601 duration: PT15M, P2D.")
    calendar: Filled = Field("always", description="When the clock runs: `always`, or the name of a calendar.")
    stops_in: tuple[Literal["awaiting_approval", "waiting", "on_hold", "scheduled"], ...] = Field(
        (), strict=False, description="States of a request in which the clock stands still."
    )


class StartsDocument(Document):
    """When a request may start; the clock starts then."""

    at: Any = Field(None, description="A moment: a text such as 2026-11-05T22:00:00Z, or an expression in braces.")
    window: Filled | None = Field(None, description="The calendar in whose open hours it may start.")

    @model_validator(mode="after")
    def _something(self) -> "StartsDocument":
        if self.at is None and self.window is None:
            raise ValueError("`starts` says `at`, `window` or both")
        return self


class OutputDocument(Document):
    """What the requester gets at the end."""

    value: Any = Field(description='The value, usually one expression: `"{{ values.bucket }}"`.')
    title: Texts | None = Field(None, description="What the user sees as its name.")
    url: str | None = Field(None, description="An address where the thing can be looked at.")
    secret: bool = Field(False, description="Whether the value is secret: stored encrypted and shown in no log.")
    once: bool = Field(False, description="Whether it can be read once only, and is erased then; for secret outputs.")
    to: Literal["requester", "user"] | None = Field(
        None, description="Who alone may read it; by default both requester and user."
    )


class NotifyDocument(Document):
    """Who is told what in which states of the request."""

    states: tuple[StateName, ...] = Field(strict=False, min_length=1, description="The states that are told.")
    to: OneOrMore = Field(
        description="Who is told: `requester`, `user`, `person:ID`, `group:NAME`, `mail:ADDRESS` or `chat:CHANNEL`."
    )
    text: Filled = Field(description="What is said; it may read `request.state` and `request.reason`.")
    subject: str | None = Field(None, description="The subject, where there is one.")


class QuestionDocument(Document):
    """One question asked with the rating."""

    id: Identifier = Field(description="The name of the question.")
    ask: Texts = Field(description="The question.")


class FeedbackDocument(Document):
    """What is asked at the end; a rating from 1 to 5 and a comment are always asked."""

    questions: tuple[QuestionDocument, ...] = Field((), strict=False, description="Further questions.")


class TriggerDocument(Document):
    """An event that orders this model by itself."""

    source: Filled = Field(description="Where the event comes from, as the settings name it.")
    requester: Filled = Field(description="The identity that orders.")
    when: str | None = Field(None, description="A condition on `event`, an expression without braces.")
    inputs: dict[Identifier, Any] = Field(default_factory=dict, description="The inputs of the order, from `event`.")


class OrderDocument(Document):
    """An order of another model."""

    model: ModelName = Field(description="The model that is ordered.")
    inputs: dict[Identifier, Any] = Field(default_factory=dict, description="Its inputs.")


class LeaseDocument(Document):
    """For how long what was granted stays, and the request that takes it back."""

    lasts: Duration | None = Field(None, alias="for", description="How long it stays.")
    ends: Any = Field(None, description="Or when it ends: a date or moment, usually an expression in braces.")
    retire: OrderDocument = Field(description="The request that takes it back; it reads what outputs may read.")

    @model_validator(mode="after")
    def _one_end(self) -> "LeaseDocument":
        if (self.lasts is None) is (self.ends is None):
            raise ValueError("a lease says either `for` or `ends`")
        return self


class FailureDocument(Document):
    """One failure that an example's step answers with."""

    error: Literal["transient", "permanent", "rejected", "unknown"] = Field(
        "transient", alias="class", description="The class of the error."
    )
    code: Filled = Field("Failed", description="The system's own code of the error.")
    message: str = Field("it failed, as the example says", description="What it says.")
    happened: bool = Field(
        False, description="Whether the call had its effect all the same: only its answer was lost (`class: unknown`)."
    )


class PersonDocument(Document):
    """A person of an example."""

    id: Filled = Field("anna", description="Who it is.")
    name: str = Field("Anna Example", description="The name.")
    email: str = Field("anna@example.org", description="The address.")
    groups: tuple[str, ...] = Field((), strict=False, description="The groups he or she is in.")
    manager: str | None = Field(None, description="The manager's id.")
    active: bool = Field(True, description="Whether the account is active.")
    attributes: dict[str, Any] = Field(default_factory=dict, description="Further attributes of the directory.")


class GivenDocument(Document):
    """What an example starts from.

    Steps are named by id, one item of a loop by `ID[KEY]`; prerequisites by `prerequisites.ID`, looks of `verify` by
    `verify.N`, counted from 1.
    """

    requester: PersonDocument = Field(PersonDocument(), description="Who orders.")
    user: PersonDocument | None = Field(None, description="For whom; by default the requester.")
    inputs: dict[Identifier, Any] = Field(default_factory=dict, description="The inputs of the order.")
    at: str = Field(
        "2030-01-07T09:00:00Z",
        description="The moment at which it is ordered, a date-time; waiting takes no time, the clock goes on at once.",
    )
    event: dict[str, Any] | None = Field(None, description="The event that orders, instead of a person and inputs.")
    results: dict[str, Any] = Field(
        default_factory=dict,
        description="What steps, prerequisites and `verify` answer; required members that are left out are filled in. "
        "By default the least that fits the type, with what the model reads of it.",
    )
    looks: dict[str, Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]] = Field(
        default_factory=dict,
        description="What each look of a polling step answers, one after the other; the last one from then on.",
    )
    failures: dict[str, Annotated[tuple[FailureDocument, ...], Field(strict=False, min_length=1)]] = Field(
        default_factory=dict, description="How the first attempts of a step fail, one after the other."
    )
    delays: dict[str, Duration] = Field(default_factory=dict, description="How long the call of a step takes.")
    decisions: dict[Identifier, Literal["approve", "reject", "none"]] = Field(
        default_factory=dict, description="How approvals are decided; by default they are approved."
    )


class ThenDocument(Document):
    """What must come of an example. What is not said is not looked at."""

    state: Literal[StateName, "refused"] = Field(
        description="The state in which the request ends or rests; `refused`: the order is not accepted at all."
    )
    outputs: dict[Identifier, Any] = Field(default_factory=dict, description="Values of outputs.")
    steps: dict[str, Literal["done", "skipped", "failed", "undone", "not reached"]] = Field(
        default_factory=dict, description="What became of steps."
    )
    calls: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Arguments, or some of them, that a step's action was called with; null: this one was left out.",
    )
    attempts: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="How often the action of a step was called."
    )
    says: str | None = Field(None, description="Text that the reason of the state, or of the refusal, must hold.")
    approvals: tuple[Identifier, ...] | None = Field(
        None, strict=False, description="The approvals that were asked, no others."
    )


class ExampleDocument(Document):
    """One of the model's own tests: `orderly test`."""

    name: Filled = Field(description="What the example shows.")
    given: GivenDocument = Field(GivenDocument(), description="What it starts from.")
    then: ThenDocument = Field(description="What must come of it.")
    sandbox: bool = Field(
        True,
        description="Whether it can be run for real too, with `orderly test --sandbox`; with `failures` it cannot.",
    )


class ModelDocument(Document):
    """One request model: one file."""

    model: ModelName = Field(
        description="The name of the model and of its Prefect flow: letters and digits, parts joined by hyphens."
    )
    title: Texts = Field(description="What users see in the catalogue.")
    kind: Literal["service-action", "information", "access", "resource", "feedback"] = Field(
        description="What kind of request it is."
    )
    service: Filled = Field(description="The service it belongs to; a service may have many models.")
    summary: Texts | None = Field(None, description="What the user gets, in a sentence.")
    owners: OwnersDocument = Field(description="Who answers for the model (RACI).")
    suppliers: tuple[SupplierDocument, ...] = Field((), strict=False, description="Third parties that take part.")
    target: dict[str, Any] = Field(
        default_factory=dict, description="Where all steps act, by system; a step may say otherwise."
    )
    eligible: EligibleDocument | None = Field(None, description="Who may order, and for whom.")
    prerequisites: tuple[PrerequisiteDocument, ...] = Field(
        (), strict=False, description="What must hold before the request may start: reads, after it was accepted."
    )
    inputs: dict[Identifier, dict[str, Any]] = Field(
        default_factory=dict,
        description="What the requester is asked: names and their JSON Schema (2020-12), with keys of our own.",
    )
    values: dict[Identifier, Any] = Field(
        default_factory=dict, description="Values computed once, before the first step, and frozen."
    )
    approvals: tuple[ApprovalDocument, ...] = Field((), strict=False, description="Who must agree.")
    due: DueDocument = Field(description="By when a request is to be fulfilled.")
    starts: StartsDocument | None = Field(None, description="When a request may start; by default at once.")
    locks: tuple[Filled, ...] = Field(
        (), strict=False, description="Names of what only one request may work on at a time; texts with expressions."
    )
    steps: tuple[AnyBlock, ...] = Field(strict=False, min_length=1, description="What is done, in the order written.")
    on_failure: Literal["hold", "undo"] = Field(
        "hold", description="What a failure does at last: the request goes on `hold`, or all is taken back (`undo`)."
    )
    verify: tuple[VerifyDocument, ...] = Field(
        (), strict=False, description="Looks at what is there after the steps, before the request counts as fulfilled."
    )
    outputs: dict[Identifier, OutputDocument] = Field(
        default_factory=dict, description="What the requester gets at the end, by name."
    )
    notify: tuple[NotifyDocument, ...] = Field((), strict=False, description="Who is told what, and when.")
    feedback: FeedbackDocument | None = Field(None, description="What is asked at the end beside rating and comment.")
    triggers: tuple[TriggerDocument, ...] = Field((), strict=False, description="Events that order this model.")
    lease: LeaseDocument | None = Field(None, description="For how long what was granted stays.")
    examples: tuple[ExampleDocument, ...] = Field((), strict=False, description="The model's own tests.")

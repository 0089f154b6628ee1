"""The documents of the model language, as they are written: shapes and keys only, nothing resolved.

Unknown keys are refused. Keys of the language that this version cannot run yet are known (`NOT_YET`), so that a model
that uses them is refused with that reason and never half understood.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from request_models.durations import DURATION_PATTERN, parse_duration


def _texts(value: object) -> object:
    return {"en": value} if isinstance(value, str) else value


def _is_duration(text: str) -> str:
    parse_duration(text)
    return text


Identifier = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_]*\z", max_length=64)]
"""Names of steps, inputs, values and outputs."""
Filled = Annotated[str, StringConstraints(min_length=1)]
Texts = Annotated[
    dict[str, Filled],
    BeforeValidator(_texts),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string", "minLength": 1}},
            ]
        }
    ),
]
"""One text, or a map of language codes to texts; one text counts as English."""
Duration = Annotated[
    str, AfterValidator(_is_duration), WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$"})
]
"""An ISO 8601 duration of a fixed length."""


class Document(BaseModel):
    """Part of a model file. `NOT_YET` are keys of the language that are not yet runnable in this version."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=False)

    NOT_YET: ClassVar[frozenset[str]] = frozenset()


class OwnersDocument(Document):
    """Who answers for the model (RACI)."""

    accountable: Filled = Field(description="The one who answers for the model; exactly one.")
    responsible: tuple[Filled, ...] = Field((), strict=False, description="Who does the work: teams or people.")
    consulted: tuple[Filled, ...] = Field((), strict=False, description="Who is asked before the model changes.")
    informed: tuple[Filled, ...] = Field((), strict=False, description="Who hears of new and changed versions.")


class DueDocument(Document):
    """By when a request is to be fulfilled, and in which states the clock stops."""

    within: Duration = Field(description="How long fulfilment may take, an ISO 8601 duration: PT15M, P2D.")
    calendar: Filled = Field("always", description="When the clock runs; only `always` is runnable in this version.")
    stops_in: tuple[Literal["awaiting_approval", "waiting", "on_hold", "scheduled"], ...] = Field(
        (), strict=False, description="States of a request in which the clock stands still."
    )


class RetryDocument(Document):
    """How often a step is tried, the first time included."""

    attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="How often the step is tried, the first time included."
    )
    delay: Duration = Field("PT0S", description="The pause before the second attempt.")
    factor: Annotated[float, Field(ge=1, le=10)] = Field(
        1.0, description="By how much each pause is longer than the one before."
    )
    errors: tuple[Literal["transient", "permanent", "rejected", "unknown"], ...] = Field(
        ("transient",),
        strict=False,
        min_length=1,
        description="The classes of errors after which it is tried again.",
    )


class UndoActionDocument(Document):
    """One action that takes an effect back."""

    NOT_YET = frozenset({"retry", "until", "not_yet", "fails", "every", "within", "when", "expect", "otherwise"})

    uses: Filled = Field(
        description="The action: SYSTEM.NAME, as in `http.get`, `aws.s3.create_bucket` or `runbook.linux_account`."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description="The arguments of the action. `args` and `result` are those of the step that is undone.",
    )
    target: dict[str, Any] = Field(
        default_factory=dict, description="Where it acts, by system; what is left out is inherited from the step."
    )
    hosts: Any = Field(None, description="A group of the inventory or a list of groups; by default those of the step.")
    timeout: Duration | None = Field(
        None, description="How long one attempt may take; by default what the settings say."
    )


class UndoDocument(Document):
    """How a step is undone: by an action or a list of them, `covered_by` another step, or `none` and why."""

    actions: tuple[UndoActionDocument, ...] = Field(
        (), strict=False, description="The actions that take the effect back, in this order."
    )
    covered_by: Identifier | None = Field(None, description="An earlier step whose undo takes this along.")
    none: Filled | None = Field(None, description="Why this step has no undo.")

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: object) -> object:
        if isinstance(value, list):
            return {"actions": value}
        if isinstance(value, dict) and not value.keys() & {"covered_by", "none"}:
            return {"actions": [value]}
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> "UndoDocument":
        forms = [bool(self.actions), self.covered_by is not None, self.none is not None]
        if forms.count(True) != 1:
            raise ValueError("an undo is an action, a list of actions, {covered_by: STEP} or {none: WHY}")
        return self


class StepDocument(Document):
    """One step."""

    NOT_YET = frozenset(
        {
            "parallel", "steps", "for_each", "key", "concurrency", "on_failure", "else", "until", "not_yet", "fails",
            "every", "within", "returns",
        }
    )  # fmt: skip

    id: Identifier = Field(
        description="The name of the step; its result is `steps.ID.result`. Small letters, digits, underscores."
    )
    title: Texts | None = Field(None, description="What the user sees as progress.")
    uses: Filled = Field(
        description="The action: SYSTEM.NAME, as in `http.get`, `aws.s3.create_bucket` or `runbook.linux_account`."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description='The arguments of the action; each may hold expressions: `"{{ inputs.project }}"`.',
    )
    when: str | None = Field(
        None, description="A condition, an expression without braces: the step is skipped when it is false."
    )
    expect: str | None = Field(
        None, description="A condition on `result`, an expression without braces: the step is refused when it is false."
    )
    otherwise: str | None = Field(None, description="What is said when `expect` is false.")
    retry: RetryDocument = Field(RetryDocument(), description="How often the step is tried, and after which errors.")
    timeout: Duration | None = Field(
        None, description="How long one attempt may take; by default what the settings say."
    )
    hosts: Any = Field(
        None, description="A group of the inventory, or a list of groups, for actions that act on hosts."
    )
    target: dict[str, Any] = Field(
        default_factory=dict,
        description="Where the step acts, by system: `{aws: {region: eu-west-1}}`; typed by the connector.",
    )
    undo: UndoDocument | None = Field(
        None,
        description="How the effect is taken back: an action or a list of them, `{covered_by: STEP}` or `{none: WHY}`.",
    )


class OutputDocument(Document):
    """What the requester gets at the end."""

    NOT_YET = frozenset({"once", "to"})

    value: Any = Field(description='The value, usually one expression: `"{{ values.bucket }}"`.')
    title: Texts | None = Field(None, description="What the user sees as its name.")
    url: str | None = Field(None, description="An address where the thing can be looked at.")
    secret: bool = Field(False, description="Whether the value is secret: stored encrypted and shown in no log.")


class ModelDocument(Document):
    """One request model: one file."""

    NOT_YET = frozenset(
        {
            "suppliers", "eligible", "prerequisites", "approvals", "starts", "locks", "verify", "notify", "feedback",
            "triggers", "lease", "examples", "on_failure",
        }
    )  # fmt: skip

    model: Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9]+(-[A-Za-z0-9]+)*\z", max_length=63)] = Field(
        description="The name of the model and of its Prefect flow: letters and digits, parts joined by hyphens."
    )
    title: Texts = Field(description="What users see in the catalogue.")
    kind: Literal["service-action", "information", "access", "resource", "feedback"] = Field(
        description="What kind of request it is."
    )
    service: Filled = Field(description="The service it belongs to; a service may have many models.")
    summary: Texts | None = Field(None, description="What the user gets, in a sentence.")
    owners: OwnersDocument = Field(description="Who answers for the model (RACI).")
    target: dict[str, Any] = Field(
        default_factory=dict, description="Where all steps act, by system; a step may say otherwise."
    )
    inputs: dict[Identifier, dict[str, Any]] = Field(
        default_factory=dict,
        description="What the requester is asked: names and their JSON Schema (2020-12), with `required` and `secret`.",
    )
    values: dict[Identifier, Any] = Field(
        default_factory=dict, description="Values computed once, before the first step, and frozen."
    )
    due: DueDocument = Field(description="By when a request is to be fulfilled.")
    steps: tuple[StepDocument, ...] = Field(
        strict=False, min_length=1, description="What is done, in the order written."
    )
    outputs: dict[Identifier, OutputDocument] = Field(
        default_factory=dict, description="What the requester gets at the end, by name."
    )

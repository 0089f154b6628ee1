"""The documents of the model language, as they are written: shapes and keys only, nothing resolved.

Unknown keys are refused. Keys of the language that this version cannot run yet are known (`NOT_YET`), so that a model
that uses them is refused with that reason and never half understood.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from request_models.durations import parse_duration


def _texts(value: object) -> object:
    return {"en": value} if isinstance(value, str) else value


def _is_duration(text: str) -> str:
    parse_duration(text)
    return text


Identifier = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_]*\z", max_length=64)]
"""Names of steps, inputs, values and outputs."""
Filled = Annotated[str, StringConstraints(min_length=1)]
Texts = Annotated[dict[str, Filled], BeforeValidator(_texts), Field(min_length=1)]
"""One text, or a map of language codes to texts; one text counts as English."""
Duration = Annotated[str, AfterValidator(_is_duration)]


class Document(BaseModel):
    """Part of a model file. `NOT_YET` are keys of the language that are not yet runnable in this version."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=False)

    NOT_YET: ClassVar[frozenset[str]] = frozenset()


class OwnersDocument(Document):
    """Who answers for the model (RACI)."""

    accountable: Filled
    responsible: tuple[Filled, ...] = Field((), strict=False)
    consulted: tuple[Filled, ...] = Field((), strict=False)
    informed: tuple[Filled, ...] = Field((), strict=False)


class DueDocument(Document):
    """By when a request is to be fulfilled, and in which states the clock stops."""

    within: Duration
    calendar: Filled = "always"
    stops_in: tuple[Literal["awaiting_approval", "waiting", "on_hold", "scheduled"], ...] = Field((), strict=False)


class RetryDocument(Document):
    """How often a step is tried, the first time included."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 1
    delay: Duration = "PT0S"
    factor: Annotated[float, Field(ge=1, le=10)] = 1.0
    errors: tuple[Literal["transient", "permanent", "rejected", "unknown"], ...] = Field(
        ("transient",), strict=False, min_length=1
    )


class UndoActionDocument(Document):
    """One action that takes an effect back."""

    NOT_YET = frozenset({"retry", "until", "not_yet", "fails", "every", "within", "when", "expect", "otherwise"})

    uses: Filled
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    target: dict[str, Any] = Field(default_factory=dict)
    hosts: Any = None
    timeout: Duration | None = None


class UndoDocument(Document):
    """How a step is undone: by an action or a list of them, `covered_by` another step, or `none` and why."""

    actions: tuple[UndoActionDocument, ...] = Field((), strict=False)
    covered_by: Identifier | None = None
    none: Filled | None = None

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

    id: Identifier
    title: Texts | None = None
    uses: Filled
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    when: str | None = None
    expect: str | None = None
    otherwise: str | None = None
    retry: RetryDocument = RetryDocument()
    timeout: Duration | None = None
    hosts: Any = None
    target: dict[str, Any] = Field(default_factory=dict)
    undo: UndoDocument | None = None


class OutputDocument(Document):
    """What the requester gets at the end."""

    NOT_YET = frozenset({"once", "to"})

    value: Any
    title: Texts | None = None
    url: str | None = None
    secret: bool = False


class ModelDocument(Document):
    """One request model: one file."""

    NOT_YET = frozenset(
        {
            "suppliers", "eligible", "prerequisites", "approvals", "starts", "locks", "verify", "notify", "feedback",
            "triggers", "lease", "examples", "on_failure",
        }
    )  # fmt: skip

    model: Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9]+(-[A-Za-z0-9]+)*\z", max_length=63)]
    title: Texts
    kind: Literal["service-action", "information", "access", "resource", "feedback"]
    service: Filled
    summary: Texts | None = None
    owners: OwnersDocument
    target: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[Identifier, dict[str, Any]] = Field(default_factory=dict)
    values: dict[Identifier, Any] = Field(default_factory=dict)
    due: DueDocument
    steps: tuple[StepDocument, ...] = Field(strict=False, min_length=1)
    outputs: dict[Identifier, OutputDocument] = Field(default_factory=dict)

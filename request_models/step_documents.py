"""The documents of what is done: steps, groups, parallel blocks, undo; and of what only reads."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from request_models.document import Document, Duration, Filled, Identifier, Texts

OnFailure = Literal["hold", "undo", "continue"]


class RetryDocument(Document):
    """How often a call is tried, the first time included."""

    attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="How often it is tried, the first time included."
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


class CallDocument(Document):
    """A call of an action: what is called, with what, where, and what its answer must be like."""

    uses: Filled | None = Field(
        None,
        description="The action: SYSTEM.NAME, as in `http.get`, `aws.s3.create_bucket` or `runbook.linux_account`.",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description='The arguments of the action; each may hold expressions: `"{{ inputs.project }}"`.',
    )
    hosts: Any = Field(
        None,
        description="For actions that act on hosts: a group of the inventory, a list of groups, or `{addresses: [...], "
        "group: ...}` for hosts just made.",
    )
    target: dict[str, Any] = Field(
        default_factory=dict,
        description="Where it acts, by system: `{aws: {region: eu-west-1}}`; typed by the connector.",
    )
    timeout: Duration | None = Field(
        None, description="How long one attempt may take; by default what the settings say."
    )
    retry: RetryDocument = Field(RetryDocument(), description="How often it is tried, and after which errors.")
    expect: str | None = Field(
        None, description="A condition on `result`, an expression without braces: it is refused when it is false."
    )
    otherwise: str | None = Field(None, description="What is said when `expect` is false.")


class PollingDocument(CallDocument):
    """A call that may be repeated until its answer is as wished; only for actions that read."""

    until: str | None = Field(
        None, description="A condition on `result`: a read-only action is called again and again until it holds."
    )
    not_yet: tuple[Filled, ...] = Field(
        (), strict=False, description="Codes of errors that polling outlives: the thing is not there yet."
    )
    fails: str | None = Field(
        None, description="A condition on `result` that ends polling as failed: it will never be as wished."
    )
    every: Duration | None = Field(None, description="The pause between two looks; ten seconds if nothing is said.")
    within: Duration | None = Field(None, description="How long polling may take altogether; needed with `until`.")


class UndoActionDocument(PollingDocument):
    """One action that takes an effect back; `args`, `result` and `item` are those of the step that is undone."""

    uses: Filled = Field(
        description="The action: SYSTEM.NAME, as in `http.get`, `aws.s3.create_bucket` or `runbook.linux_account`."
    )
    when: str | None = Field(
        None,
        description="A condition: it is left out when it is false. `result` may be absent: a failed step's undo runs "
        "too.",
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


class BlockDocument(Document):
    """What steps, groups and parallel blocks have in common."""

    title: Texts | None = Field(None, description="What the user sees as progress.")
    when: str | None = Field(
        None, description="A condition, an expression without braces: it is skipped when the condition is false."
    )
    on_failure: OnFailure = Field(
        "hold",
        description="What a failure does: the request goes on `hold`; its effects here are taken back first (`undo`); "
        "or the request goes on without it (`continue`).",
    )


class LoopingDocument(BlockDocument):
    """A step or group that may be done once for each item of a list."""

    for_each: str | None = Field(
        None, description="A list, an expression without braces; done once for each of its items, which is `item`."
    )
    key: str | None = Field(
        None,
        description="The stable name of an item, an expression such as `item.id`; by default a digest of the item.",
    )
    concurrency: Annotated[int, Field(ge=1, le=100)] = Field(1, description="How many items are worked on at once.")


class StepDocument(LoopingDocument, PollingDocument):
    """One step."""

    id: Identifier = Field(
        description="The name of the step; its result is `steps.ID.result`. Small letters, digits, underscores."
    )
    uses: Filled = Field(
        description="The action: SYSTEM.NAME, as in `http.get`, `aws.s3.create_bucket` or `runbook.linux_account`."
    )
    returns: dict[str, Any] | None = Field(
        None, description="For `human.task` and `wait.event`: the JSON Schema of what comes back."
    )
    undo: UndoDocument | None = Field(
        None,
        description="How the effect is taken back: an action or a list of them, `{covered_by: STEP}` or `{none: WHY}`.",
    )


class GroupDocument(LoopingDocument):
    """Steps that share a condition, a loop or what their failure means."""

    id: Identifier | None = Field(None, description="The name of the group; needed with `for_each`.")
    steps: "tuple[AnyBlock, ...]" = Field(strict=False, min_length=1, description="What is done, in the order written.")
    alternative: "tuple[AnyBlock, ...]" = Field(
        (), alias="else", strict=False, description="What is done instead when `when` is false."
    )


class ParallelDocument(BlockDocument):
    """Branches that are done at the same time; none may use another's results, and all reach an outcome."""

    id: Identifier | None = Field(None, description="The name of the block, where its state is to be read.")
    parallel: "tuple[AnyBlock, ...]" = Field(
        strict=False, min_length=2, description="The branches: steps, groups or parallel blocks."
    )


STEP_TAG, GROUP_TAG, PARALLEL_TAG = "<step>", "<group>", "<parallel>"
"""Stand in pydantic's locations for the kind of a block; no key of a file is written so."""


def _kind_of(value: object) -> str:
    if isinstance(value, dict):
        return PARALLEL_TAG if "parallel" in value else GROUP_TAG if "steps" in value else STEP_TAG
    if isinstance(value, ParallelDocument):
        return PARALLEL_TAG
    return GROUP_TAG if isinstance(value, GroupDocument) else STEP_TAG


AnyBlock = Annotated[
    Annotated[StepDocument, Tag(STEP_TAG)]
    | Annotated[GroupDocument, Tag(GROUP_TAG)]
    | Annotated[ParallelDocument, Tag(PARALLEL_TAG)],
    Discriminator(_kind_of),
]
"""A step, a group (it has `steps`) or a parallel block (it has `parallel`)."""


class PrerequisiteDocument(CallDocument):
    """What must hold before a request may start: a read whose answer is pinned as `facts.ID`, or a condition alone."""

    id: Identifier = Field(description="The name of the prerequisite; its answer is `facts.ID`.")
    expect: str | None = Field(
        None, description="The condition, on `result` if something is read; it may be left out where something is."
    )

    @model_validator(mode="after")
    def _asks_something(self) -> "PrerequisiteDocument":
        if self.uses is None and self.expect is None:
            raise ValueError("a prerequisite reads something (`uses`), says what must hold (`expect`), or both")
        return self


class VerifyDocument(PollingDocument):
    """A look at what is there after the steps; if it is not as expected, the request is on hold."""

    uses: Filled = Field(description="The action, which only reads.")


class ChoicesDocument(Document):
    """What an input may be, read when the form is shown."""

    uses: Filled = Field(description="The action, which only reads.")
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description="Its arguments; they may read `requester`, `user`, `settings` and other inputs.",
    )
    target: dict[str, Any] = Field(default_factory=dict, description="Where it reads, by system.")
    select: str = Field(
        description="The list of choices, an expression on `result` without braces: texts, or maps with `value` and "
        "`title`."
    )


GroupDocument.model_rebuild()
ParallelDocument.model_rebuild()

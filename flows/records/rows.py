"""The rows of the records as frozen dataclasses; times are aware UTC datetimes, spans are seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from flows.records.states import AttemptOutcome, EffectState, RequestState, StepState, TaskState, TouchKind
from request_models.actions import ErrorClass, Outcome
from request_models.json_values import JsonValue

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """A large value that is kept apart: SHA-256 (hex) and length in bytes of its canonical JSON."""

    digest: str
    size: int


@dataclass(frozen=True)
class Sealed:
    """A JSON value whose secret parts are kept apart, encrypted.

    `public` holds null at each of `secret_pointers` (JSON pointers, no wildcards). Secrets never stand inside the JSON
    as markers, which a user could forge; they are rows of their own, bound to the request, `owner` and pointer. Owners:
    `inputs`, `values`, `steps/PATH/arguments`, `steps/PATH/result`, `outputs`. Of a step or block, what is `large` is
    kept apart, and `public` is null.
    """

    owner: str
    public: JsonValue
    secret_pointers: tuple[str, ...] = ()
    large: Kept | None = None


@dataclass(frozen=True)
class Person:
    """Who somebody is, as known when the request was accepted. `manager` is the id of another person."""

    id: str
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    manager: str | None = None
    active: bool = True
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NewRequest:
    """A request to be recorded; it starts as `validating`. `caller` (an identity's id) is the actor of its first event.

    `clock_stops_in` are the states in which its clock stops (`due.stops_in` of the plan); `due_calendar` is the
    calendar in whose open hours it runs, None for always. `not_before`: the order asks that nothing be done sooner.
    """

    id: str
    model: str
    model_version: int
    plan_digest: str
    requester: Person
    requested_for: Person
    caller: str
    channel: str
    inputs: Sealed
    submitted: datetime
    due_at: datetime | None = None
    due_seconds: float | None = None
    due_calendar: JsonValue = None
    not_before: datetime | None = None
    clock_stops_in: tuple[str, ...] = ()
    arm: str | None = None
    source_system: str | None = None
    source_id: str | None = None
    source_url: str | None = None
    parent: str | None = None


@dataclass(frozen=True, kw_only=True)
class RequestRow:
    """A request as it stands.

    `started` is the first entry into `in_progress`; `ended` is set in states that end a request. `wake_at` is when a
    waiting request goes on by itself (None: something must come first). `hold_team` and `hold_assignee` say whose the
    hold is, while it is on hold. `due_at` moves with `clock_stopped_seconds`.
    `flow_run_id` and `dispatch_key` name the Prefect flow run that may run it, `dispatches`
    counts the keys given. `version` rises with every change of the row. `audit_count` and `audit_head` close the
    audit chain.
    """

    id: str
    model: str
    model_version: int
    plan_digest: str
    arm: str | None
    requester: Person
    requested_for: Person
    caller: str
    channel: str
    source_system: str | None
    source_id: str | None
    source_url: str | None
    inputs: Sealed
    values: Sealed | None
    outputs: Sealed | None
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    closed_at: datetime | None
    state: RequestState
    state_reason: str
    state_since: datetime
    wake_at: datetime | None
    not_before: datetime | None
    hold_team: str | None
    hold_assignee: str | None
    due_at: datetime | None
    due_seconds: float | None
    due_calendar: JsonValue
    clock_stops_in: tuple[str, ...]
    clock_stopped_seconds: float
    parent: str | None
    cancelled_by: str | None
    flow_run_id: str | None
    dispatch_key: str | None
    dispatches: int
    version: int
    audit_count: int
    audit_head: str


@dataclass(frozen=True, kw_only=True)
class RequestFilter:
    """Which requests to list, newest first; what is None does not restrict.

    `requester` is the id of who ordered, `involving` of who ordered, benefits, or is asked for something, as are
    `involving_teams`. `source_system` and `source_id` are of the ticket. `submitted_before` is left out.

    `text` is searched, whatever its case,
    in the request's id, model, source id and its people's ids, names and addresses. `after_cursor` comes from `Page`.
    """

    state: RequestState | None = None
    model: str | None = None
    requester: str | None = None
    involving: str | None = None
    involving_teams: tuple[str, ...] = ()
    source_system: str | None = None
    source_id: str | None = None
    submitted_from: datetime | None = None
    submitted_before: datetime | None = None
    text: str | None = None
    after_cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and where the next page starts (None: there is none)."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True)
class Publication:
    """A version of a model, open to orders until `retired`; versions count up from 1 in each model."""

    model: str
    version: int
    digest: str
    published: datetime
    retired: datetime | None = None


@dataclass(frozen=True)
class Holder:
    """The process that holds a claim, told apart from a later one with the same pid by its start.

    `boot_id` is the kernel's; `pid_started` is the process's start in clock ticks since boot (proc_pid_stat(5)).
    """

    host: str
    boot_id: str
    pid: int
    pid_started: int


@dataclass(frozen=True)
class Claim:
    """The right to run a request; `epoch` rises by one with each take and fences every write (invariant 2)."""

    request_id: str
    epoch: int
    flow_run_id: str
    holder: Holder
    taken: datetime
    expires: datetime
    released: bool = False


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A step of a request. `when_value` is what its condition gave (None: it has none). All of it is recorded once.

    `taken_up` is when it started, or when it was last started again after it had failed for good.
    """

    request_id: str
    path: str
    item_key: str
    state: StepState
    arguments: Sealed
    hosts: tuple[str, ...]
    target: Mapping[str, JsonValue]
    when_value: bool | None
    result: Sealed | None
    message: str
    epoch: int
    started: datetime
    taken_up: datetime
    ended: datetime | None


@dataclass(frozen=True, kw_only=True)
class BlockRow:
    """A group, parallel block or loop of a request, or one item of a loop. What it decided is recorded once.

    `place` is where it stands in the plan. `items` are a loop's items, as `[key, item]` pairs; `when_value` is what a
    condition gave (None: it has none).
    """

    request_id: str
    place: str
    item_key: str
    state: StepState
    when_value: bool | None
    items: Sealed | None
    message: str
    epoch: int
    started: datetime
    ended: datetime | None


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """One attempt of a step: every column of `steps` in design section 9, and what the next attempt needs.

    `ended` and `outcome` are None while it is under way. `touched` says that a person had a hand in it.
    """

    request_id: str
    path: str
    item_key: str
    attempt: int
    action: str
    queued: datetime
    started: datetime
    ended: datetime | None
    outcome: AttemptOutcome | None
    error_class: ErrorClass | None
    error_code: str | None
    message: str
    supplier: str | None
    touched: bool
    progress: Sealed | None
    epoch: int


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """An effect, from its intent on (invariant 3). `before` is the previous value of what was changed.

    `pre_read` is what the action read before the generation's first call, None where it reads nothing; with it, whoever
    comes after a crash can tell what that call did.

    Each resend of a generation bears the same `token`; `token_expires` is when the system forgets it. `closing` counts
    up with each effect of the request that is closed.
    """

    id: int
    request_id: str
    path: str
    item_key: str
    generation: int
    epoch: int
    token: UUID
    action: str
    state: EffectState
    outcome: Outcome | None
    before: Sealed | None
    pre_read: Sealed | None
    opened: datetime
    closed: datetime | None
    closing: int | None
    token_expires: datetime | None


@dataclass(frozen=True)
class LeftOver:
    """Something a request did that was not taken back: by which step (`what` names it as people do), and why not."""

    path: str
    item_key: str
    what: str
    action: str
    outcome: str
    why: str


@dataclass(frozen=True, kw_only=True)
class UndoRow:
    """That what a request did is to be taken back, or was: who asked for it and why, and the state it ends in.

    `leaves`: what cannot be taken back is left, and the request ends all the same. `left_over` is what was not taken
    back when it was last tried.
    """

    request_id: str
    ends_as: RequestState
    actor: str
    why: str
    asked: datetime
    leaves: bool
    left_over: tuple[LeftOver, ...]


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A person's task to be recorded. `returns` is the JSON Schema of its result, None for none.

    `secret_results` are the pointers into the result whose values are secret (`Call.secret_results`).
    """

    id: str
    request_id: str
    path: str
    item_key: str
    generation: int
    team: str
    assignee: str | None
    title: Sealed
    instructions: Sealed
    returns: JsonValue
    secret_results: tuple[str, ...]
    due: datetime | None


@dataclass(frozen=True, kw_only=True)
class TaskRow(NewTask):
    """A person's task as it stands. `overdue` is when it was found past its due time.

    `by`, `why` and `minutes` (of work, as told) are of whoever completed it. `version` rises with every change.
    """

    state: TaskState
    created: datetime
    overdue: datetime | None
    result: Sealed | None
    done: datetime | None
    by: str | None
    why: str
    minutes: float | None
    version: int


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """Which tasks to list, oldest first; what is None does not restrict.

    `assignee` and `teams` together: those of that person or of one of the teams.
    """

    state: TaskState | None = TaskState.OPEN
    assignee: str | None = None
    teams: tuple[str, ...] | None = None
    request_id: str | None = None
    limit: int = 200


@dataclass(frozen=True, kw_only=True)
class TaskNote:
    """Something that happened to a task, or was said of it."""

    at: datetime
    actor: str
    event: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Touch:
    """What a person did to a request by hand (design section 9).

    `started` is when it came to need a person, `ended` when the person had done it; `minutes` of work as told, None if
    nobody said. `path` is the step it was about, empty for the request as a whole. `label` is for sorting, in the
    person's own words.
    """

    request_id: str
    path: str
    item_key: str
    kind: TouchKind
    actor: str
    team: str | None
    started: datetime
    ended: datetime
    minutes: float | None
    label: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """An event that came in. `sender_id` is the sender's own id of it, if it gave one."""

    id: int
    sender: str
    sender_id: str | None
    event: str
    key: str | None
    received: datetime


@dataclass(frozen=True, kw_only=True)
class EventWait:
    """A step that waits for an event; any key will do when `key` is None. `event_id` is the one that came.

    `settled` is when the step had its outcome.
    """

    id: int
    request_id: str
    path: str
    item_key: str
    generation: int
    event: str
    key: str | None
    began: datetime
    until: datetime | None
    event_id: int | None
    settled: datetime | None


@dataclass(frozen=True, kw_only=True)
class OutboxRow:
    """Something to be told to another system, at least once. `attempts` counts the deferrals."""

    id: int
    kind: str
    request_id: str | None
    payload: JsonValue
    created: datetime
    available_at: datetime
    attempts: int
    error: str | None


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """Who did what to a request, when, from which state to which, and why (None: the reason was erased).

    `actor` is an id, never a name. `hash` covers everything here and the event before; of `why` it covers a salted
    digest, so that a reason, which may hold personal data, can be erased and the chain still holds (invariant 10).
    """

    request_id: str
    sequence: int
    at: datetime
    actor: str
    event: str
    from_state: RequestState | None
    to_state: RequestState | None
    why: str | None
    why_digest: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """An API key without its secret. `subject` is the id of the person or system that uses it."""

    id: str
    name: str
    subject: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]
    display_name: str
    email: str
    manager: str | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None


@dataclass(frozen=True)
class IdempotentAnswer:
    """What an Idempotency-Key was first used for. `body_digest` is the SHA-256 (hex) of the body it came with."""

    body_digest: str
    request_id: str

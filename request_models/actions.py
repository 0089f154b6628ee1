"""What a connector offers a step: the spec known at compile time, the call made at run time, and its answer.

Connectors implement `Action` and `Connector`; the compiler reads only `ActionSpec`, so a model is typed without
touching the system it will act on (design section 1, dependency law).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from request_models.json_values import JsonValue
from request_models.value_types import ObjectType, ValueType


class EffectClass(StrEnum):
    """What repeating an action means; declared by the connector, never guessed from a name (invariant 4)."""

    READ_ONLY = "read-only"
    IDEMPOTENT = "idempotent"
    TAKES_TOKEN = "takes-token"
    HAS_PROBE = "has-probe"
    NOT_REPEATABLE = "not-repeatable"


class Outcome(StrEnum):
    """What a successful call did to the world; undo touches only `made` and restores `changed` (invariant 5)."""

    MADE = "made"
    CHANGED = "changed"
    ALREADY_SO = "already_so"
    READ = "read"


class ErrorClass(StrEnum):
    """What an unsuccessful call says about trying again.

    `transient`: no effect, the same call may succeed later. `permanent`: no effect, it never will.
    `rejected`: the system refused the content of the call. `unknown`: whether it had an effect cannot be told.
    """

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ActionSpec:
    """One action's interface.

    `contract` changes when arguments or result change incompatibly; a request pins it. `content_digest` is the SHA-256
    (hex) of the runbook and roles the action runs, None for actions that carry no content. `token_lifetime` is how long
    the system remembers an idempotency token (only with `TAKES_TOKEN`). `target` types what a model may say under
    `target.SYSTEM`, where SYSTEM is `system`; None where there is nothing to choose. `takes_hosts` says that the step
    needs `hosts:`.
    """

    name: str
    title: str
    arguments: ObjectType
    result: ValueType
    effect: EffectClass = EffectClass.NOT_REPEATABLE
    contract: str = "1"
    system: str | None = None
    target: ObjectType | None = None
    takes_hosts: bool = False
    content_digest: str | None = None
    token_lifetime: timedelta | None = None
    documentation: str = ""


@dataclass(frozen=True)
class ActionCall:
    """One call of an action, everything rendered and every secret revealed; it is never stored or logged as it is.

    `token` is the idempotency token of the effect, the same for each resend (invariant 3). `hosts` are inventory group
    or host names. `content` is the pinned archive of the runbook (invariant: a retry reruns what was accepted), None
    for actions without content. `progress` is what the previous attempt left in `ActionFailed.progress` (hosts that are
    done stay done). `log` takes one plain line for the operator; secrets in it are masked by the caller of the action.
    `cancelled` turns true when the call should stop. `timeout_seconds` is None for no limit of the step's own.
    """

    action: str
    arguments: Mapping[str, JsonValue]
    token: UUID
    request_id: str
    step_path: str
    attempt: int = 1
    target: Mapping[str, JsonValue] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    content: bytes | None = None
    progress: JsonValue = None
    log: Callable[[str], None] = lambda line: None
    cancelled: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class ActionResult:
    """The answer of a successful call: JSON, typed by the spec's `result`; `before` is what a change replaced."""

    outcome: Outcome
    result: JsonValue = None
    before: JsonValue = None


class ActionFailed(Exception):
    """A call did not succeed.

    The message is for a person: what, where, why, what to do; it holds no secret. `code` is the system's own
    error code (`NoSuchBucket`, `unreachable`, `HTTP 503`). `progress` is JSON handed to the next attempt.
    """

    def __init__(self, message: str, *, error_class: ErrorClass, code: str, progress: JsonValue = None) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.code = code
        self.progress = progress


class ActionBroken(Exception):
    """An action that is there but cannot be offered, because its own definition is wrong (a runbook's meta, say).

    The message says where, what is wrong and what to do. It concerns the models that use the action, and no others.
    """


class Action(Protocol):
    """An action that can be called. `run` raises `ActionFailed` and nothing else for what the world does wrong."""

    @property
    def spec(self) -> ActionSpec: ...

    def run(self, call: ActionCall) -> ActionResult: ...


class Connector(Protocol):
    """A system's actions. `find` is called with full names (`aws.s3.create_bucket`) and may make actions lazily.

    It raises ActionBroken for an action that is there but cannot be offered.

    `content` gives the archive of a `content_digest` that `find` just reported, to be pinned by the records.
    """

    @property
    def name(self) -> str: ...

    def find(self, name: str) -> Action | None: ...

    def names(self) -> Iterable[str]: ...

    def content(self, digest: str) -> bytes | None: ...

    def close(self) -> None: ...


class ActionCatalogue(Protocol):
    """What the compiler needs of a registry. `spec` raises ActionBroken."""

    def spec(self, name: str) -> ActionSpec | None: ...

    def suggestions(self, name: str) -> list[str]: ...

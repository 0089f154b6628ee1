"""What a connector offers a step: the spec known at compile time, the call made at run time, and its answer.

Connectors implement `Action` and `Connector`; the compiler reads only `ActionSpec`, so a model is typed without
touching the system it will act on (design section 1, dependency law).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from request_models.durations import parse_duration
from request_models.json_values import JsonValue
from request_models.value_types import ObjectType, ValueType


class EffectClass(StrEnum):
    """What repeating an action means; declared by the connector, never guessed from a name (invariant 4)."""

    READ_ONLY = "read-only"
    IDEMPOTENT = "idempotent"
    TAKES_TOKEN = "takes-token"
    HAS_PROBE = "has-probe"
    NOT_REPEATABLE = "not-repeatable"


REPEATABLE = frozenset({EffectClass.READ_ONLY, EffectClass.IDEMPOTENT, EffectClass.TAKES_TOKEN})
"""Classes whose calls may be sent again, exactly as they were, when nobody knows whether the first one arrived."""


class Presence(StrEnum):
    """What a probe says of an effect whose outcome is unknown; only what is `ours` is adopted (invariant 4)."""

    OURS = "ours"
    ABSENT = "absent"
    FOREIGN = "foreign"
    CANNOT_TELL = "cannot tell"


class Outcome(StrEnum):
    """What a successful call did to the world; undo touches only `made` and restores `changed` (invariant 5)."""

    MADE = "made"
    CHANGED = "changed"
    ALREADY_SO = "already_so"
    READ = "read"


class ErrorClass(StrEnum):
    """What an unsuccessful call says about trying again.

    `transient`: no effect, the same call may succeed later. `permanent`: no effect, it never will.
    `rejected`: the system refused the content of the call. `unknown`: whether it had an effect cannot be told. That is
    said whatever the effect class: execution knows which calls may be sent again exactly, and which must not.
    """

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class HazardKind(StrEnum):
    """What would become of an argument's text in the action's own content.

    The first four concern texts that somebody may choose freely, `logged` secrets, and `unread` any value.
    """

    COMMAND = "command"
    """It becomes part of a command or a query: it could be a command itself."""
    SPLIT = "split"
    """Its spaces and quotes make several arguments of it."""
    EXPANDED = "expanded"
    """`$NAME` and `~` in it are replaced."""
    STEERS = "steers"
    """It chooses where, or as whom, something is done."""
    LOGGED = "logged"
    """It is written into a log, of the host it acts on say."""
    UNREAD = "unread"
    """Nothing reads it."""


@dataclass(frozen=True)
class Hazard:
    """What makes an argument more than data. `where` is `FILE:LINE` of the content, `hint` what to write there."""

    kind: HazardKind
    where: str
    hint: str


@dataclass(frozen=True)
class ActionSpec:
    """One action's interface.

    `contract` changes when arguments or result change incompatibly; a request pins it. `content_digest` is the SHA-256
    (hex) of the runbook and roles the action runs, None for actions that carry no content. `token_lifetime` is how long
    the system remembers an idempotency token (only with `TAKES_TOKEN`). `target` types what a model may say under
    `target.SYSTEM`, where SYSTEM is `system`; None where there is nothing to choose. `takes_hosts` says that the step
    needs `hosts:`. `lifetime_argument` names an argument that, when given, makes a call take a token: the duration for
    which the system promises to honour it (`per_call`).

    `reads_before`, `probes`, `restores`: the action is `ReadsBefore`, `Probes`, `Restores`. An absence that a probe
    sees earlier than `settles` after the call ended is no proof: the call may still be under way, or not be seen yet.

    The rest is for the compiler only, and may change while the interface stays the same: `hazards` are those of
    arguments, by name; `known_hosts` the hosts and groups there are, None when that cannot be told without asking other
    systems; `secret_hint` says how an argument is declared secret, with `{name}` for the argument's name; `removes` are
    the arguments that together name a thing which is gone after a call; `makes` says that a call may make the thing
    that its arguments name, so that it need not be there.
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
    lifetime_argument: str | None = None
    reads_before: bool = False
    probes: bool = False
    restores: bool = False
    settles: timedelta = timedelta(0)
    hazards: Mapping[str, tuple[Hazard, ...]] = field(default_factory=dict, compare=False)
    known_hosts: frozenset[str] | None = field(default=None, compare=False)
    secret_hint: str = field(default="", compare=False)
    removes: tuple[str, ...] = field(default=(), compare=False)
    makes: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if self.effect is EffectClass.HAS_PROBE and not self.probes:
            raise ValueError(f"{self.name} is said to have a probe, and has none")

    def per_call(self, arguments: Mapping[str, JsonValue]) -> "Repeating":
        """What repeating a call with these arguments means. Raises DurationError for a lifetime that is none."""
        given = None if self.lifetime_argument is None else arguments.get(self.lifetime_argument)
        if given is None:
            return Repeating(self.effect, self.token_lifetime)
        return Repeating(EffectClass.TAKES_TOKEN, parse_duration(str(given)))


@dataclass(frozen=True)
class Repeating:
    """What repeating one call means; `token_lifetime` is how long its token is honoured, with `TAKES_TOKEN` only."""

    effect: EffectClass
    token_lifetime: timedelta | None = None


@dataclass(frozen=True)
class ActionCall:
    """One call of an action, everything rendered and every secret revealed; it is never stored or logged as it is.

    `token` is the idempotency token of the effect, the same for each resend (invariant 3). `hosts` are inventory group
    or host names. `content` is the pinned archive of the runbook (invariant: a retry reruns what was accepted), None
    for actions without content. `progress` is what the previous attempt left in `ActionFailed.progress` (hosts that are
    done stay done). `pre_read` is what `read_before` gave and was recorded before the effect's first call; None where
    nothing was read. `resent`: an earlier call of this very effect may have arrived. `log` takes one plain line for the
    operator; secrets in it are masked by the caller of the action. `cancelled` turns true when the call should stop.
    `timeout_seconds` is None for no limit of the step's own.
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
    pre_read: JsonValue = None
    resent: bool = False
    log: Callable[[str], None] = lambda line: None
    cancelled: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class ActionResult:
    """The answer of a successful call: JSON, typed by the spec's `result`; `before` is what a change replaced."""

    outcome: Outcome
    result: JsonValue = None
    before: JsonValue = None


@dataclass(frozen=True)
class Finding:
    """What a probe found. With `OURS`, `answer` is what the call would have answered; `seen` is for a person."""

    presence: Presence
    seen: str
    answer: ActionResult | None = None

    def __post_init__(self) -> None:
        if (self.answer is None) is (self.presence is Presence.OURS):
            raise ValueError("what is ours has an answer, and nothing else has one")


class ActionFailed(Exception):
    """A call did not succeed.

    The message is for a person: what, where, why, what to do; it holds no secret. `code` is the system's own
    error code (`NoSuchBucket`, `unreachable`, `HTTP 503`). `progress` is JSON handed to the next attempt. `partly`:
    whatever its class, a part of what was to be done may have been done, so that the effect is not proved absent.
    """

    def __init__(
        self, message: str, *, error_class: ErrorClass, code: str, progress: JsonValue = None, partly: bool = False
    ) -> None:
        super().__init__(message)
        self.partly = partly
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


@runtime_checkable
class ReadsBefore(Protocol):
    """An action whose spec says `reads_before`."""

    def read_before(self, call: ActionCall) -> JsonValue:
        """What is there now, as this action needs it later; recorded with the intent, before the call is made.

        It changes nothing. Raises ActionFailed: then the call is not made.
        """


@runtime_checkable
class Probes(Protocol):
    """An action whose spec says `probes`."""

    def probe(self, call: ActionCall) -> Finding:
        """Look whether the effect of a call that may have arrived is there, by its token, its mark, or `call.pre_read`.

        It changes nothing. Raises ActionFailed when it cannot look.
        """


@runtime_checkable
class Restores(Protocol):
    """An action whose spec says `restores`: what it changed, or made where nothing was, can be put back as it was."""

    def restore(self, call: ActionCall, before: JsonValue) -> ActionResult:
        """Put back what was there before a call with these arguments, None where nothing was there.

        `before` is what the call's own answer said of it. Sent again exactly, it must be harmless. Raises ActionFailed.
        """


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

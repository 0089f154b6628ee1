"""The compiled Plan: frozen, with a JSON round trip and a content digest; a request pins the one it was accepted with.

Values that are rendered at run time are trees of nodes (`Literal`, `Expression`, `Text`, `ListOf`, `MapOf`), so that
nothing is ever parsed for templates twice: a literal stays a literal whatever braces it holds.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import Any, ClassVar, cast, get_args, get_origin, get_type_hints

from request_models.actions import EffectClass, ErrorClass
from request_models.errors import PlanFormatError
from request_models.json_values import JsonValue, canonical_json

PLAN_FORMAT = 1
"""Raised when the JSON of a plan changes its shape; older plans are read by upcasting."""


@dataclass(frozen=True)
class Literal:
    """A JSON value that is taken as it is."""

    kind: ClassVar[str] = "literal"
    value: JsonValue


@dataclass(frozen=True)
class Expression:
    """One expression of the published Jinja2 subset, without braces; its value keeps its type.

    `reads` are the dotted references it uses (`inputs.region`, `steps.create.result.Location`), sorted. `secret` says
    that a secret may flow into its value.
    """

    kind: ClassVar[str] = "expression"
    source: str
    reads: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True)
class Text:
    """A template that renders to text; `reads` and `secret` as in `Expression`."""

    kind: ClassVar[str] = "text"
    source: str
    reads: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True)
class ListOf:
    """A list of nodes."""

    kind: ClassVar[str] = "list"
    items: tuple["Node", ...]


@dataclass(frozen=True)
class MapOf:
    """A map of nodes; keys are literal."""

    kind: ClassVar[str] = "map"
    members: Mapping[str, "Node"]


Node = Literal | Expression | Text | ListOf | MapOf


@dataclass(frozen=True)
class Retry:
    """Attempts (the first included), the first delay in seconds, its growth, and the classes of error retried."""

    attempts: int = 1
    delay_seconds: float = 0.0
    factor: float = 1.0
    errors: tuple[ErrorClass, ...] = (ErrorClass.TRANSIENT,)


@dataclass(frozen=True)
class Polling:
    """A read-only call is repeated `every_seconds` until `until` holds, at most `within_seconds` altogether.

    Errors whose code is in `not_yet` are outlived; `fails` ends it as failed.
    """

    until: Expression
    every_seconds: float
    within_seconds: float
    not_yet: tuple[str, ...] = ()
    fails: Expression | None = None


@dataclass(frozen=True)
class Call:
    """A call of an action: everything that is rendered for it, and what its answer must be like."""

    uses: str
    contract: str
    effect: EffectClass
    arguments: MapOf
    target: Mapping[str, Node] = field(default_factory=dict)
    hosts: Node | None = None
    expect: Expression | None = None
    otherwise: Node | None = None
    retry: Retry = field(default_factory=Retry)
    polling: Polling | None = None
    timeout_seconds: float | None = None
    content_digest: str | None = None
    secret_results: tuple[str, ...] = ()
    """JSON pointers into the result, `*` for any index or key, whose values are secret by the action's result type."""


def call_fields(call: Call) -> dict[str, Any]:
    """What makes a call, by name, to make a call of another kind of it."""
    return {of.name: getattr(call, of.name) for of in fields(Call)}


@dataclass(frozen=True)
class UndoAction(Call):
    """One action that takes an effect back; its values may read `args`, `result` and `item` of the forward call."""

    when: Expression | None = None


@dataclass(frozen=True)
class Undo:
    """How a step is undone: by actions, by undoing another step (`covered_by`), or not at all and why (`none`)."""

    actions: tuple[UndoAction, ...] = ()
    covered_by: str | None = None
    none: str | None = None


class OnFailure(StrEnum):
    """What a failure does: hold the request, take its effects back and hold, or go on without it."""

    HOLD = "hold"
    UNDO = "undo"
    CONTINUE = "continue"


@dataclass(frozen=True)
class Loop:
    """Done once for each item of a list; `key` names an item (None: its digest), `concurrency` items at once."""

    items: Expression
    key: Expression | None = None
    concurrency: int = 1


@dataclass(frozen=True)
class Step(Call):
    """One step. `path` is its id, unique in the plan; results are bound to it and to item keys, never to an index.

    `returns` is the JSON Schema of what comes back of a step of the engine (`human.task`, `wait.event`).
    """

    kind: ClassVar[str] = "step"
    path: str = ""
    title: Mapping[str, str] = field(default_factory=dict)
    when: Expression | None = None
    loop: Loop | None = None
    on_failure: OnFailure = OnFailure.HOLD
    undo: Undo | None = None
    returns: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True)
class Group:
    """Blocks that share a condition, a loop, or what their failure means. `path` is the group's id, or empty."""

    kind: ClassVar[str] = "group"
    blocks: tuple["Block", ...]
    path: str = ""
    title: Mapping[str, str] = field(default_factory=dict)
    when: Expression | None = None
    alternative: tuple["Block", ...] = ()
    loop: Loop | None = None
    on_failure: OnFailure = OnFailure.HOLD


@dataclass(frozen=True)
class Parallel:
    """Branches that run at the same time; all reach an outcome. `path` is the block's id, or empty."""

    kind: ClassVar[str] = "parallel"
    branches: tuple["Block", ...]
    path: str = ""
    title: Mapping[str, str] = field(default_factory=dict)
    when: Expression | None = None
    on_failure: OnFailure = OnFailure.HOLD


Block = Step | Group | Parallel


@dataclass(frozen=True)
class Read(Call):
    """A prerequisite or a look of `verify`: read-only. `path` is `prerequisites.ID` or `verify.N`.

    A prerequisite without an action has an empty `uses`: only its condition is looked at.
    """

    path: str = ""


@dataclass(frozen=True)
class Approval:
    """A decision of other people. `by` and `escalate` render to texts such as `group:NAME`, or lists of them."""

    id: str
    by: tuple[Node, ...]
    when: Expression | None = None
    quorum: int = 1
    in_turn: bool = False
    within_seconds: float | None = None
    remind_seconds: float | None = None
    escalate: tuple[Node, ...] = ()
    if_silent: str = "reject"
    before: str | None = None
    message: Node | None = None


@dataclass(frozen=True)
class Supplier:
    """A third party; `allowance` is the share of breaches that was agreed to, `steps` are its part."""

    name: str
    agreement: str
    within_seconds: float | None = None
    allowance: float = 0.0
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Eligible:
    """Who may order and for whom: conditions on `requester` and `user`."""

    requester: Expression | None = None
    user: Expression | None = None
    otherwise: Node | None = None


@dataclass(frozen=True)
class Starts:
    """When a request may start: not before `at`, and only in the open hours of a calendar."""

    at: Node | None = None
    window: str | None = None


@dataclass(frozen=True)
class Notice:
    """Who is told what when the request comes into one of the states."""

    states: tuple[str, ...]
    to: tuple[Node, ...]
    text: Node
    subject: Node | None = None


@dataclass(frozen=True)
class Question:
    """A question asked at the end; its text is outside the digest."""

    id: str
    ask: Mapping[str, str]


@dataclass(frozen=True)
class Trigger:
    """An event from `source` orders this model as `requester`, with inputs made of the event."""

    source: str
    requester: str
    inputs: MapOf
    when: Expression | None = None


@dataclass(frozen=True)
class Lease:
    """What was granted ends after `lasts_seconds`, or at the moment `ends`; then `model` is ordered to take it back."""

    model: str
    inputs: MapOf
    lasts_seconds: float | None = None
    ends: Node | None = None


@dataclass(frozen=True)
class Choices(Call):
    """What an input may be: `select` makes the list of choices from the answer of a read."""

    select: Expression = Expression("[]")


@dataclass(frozen=True)
class InputRule:
    """What the language adds to an input's JSON Schema: asked only `when`, chosen from `choices`, `shown_to` whom.

    `optional`: it may be left out though it is asked.
    """

    when: Expression | None = None
    optional: bool = False
    choices: Choices | None = None
    shown_to: str | None = None


@dataclass(frozen=True)
class Owners:
    """RACI: exactly one accountable."""

    accountable: str
    responsible: tuple[str, ...] = ()
    consulted: tuple[str, ...] = ()
    informed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Due:
    """By when: seconds of the calendar's time; the clock stops in the states named."""

    within_seconds: float
    calendar: str = "always"
    stops_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedValue:
    """One of the model's `values`: computed once when the request is accepted, then frozen."""

    name: str
    value: Node


@dataclass(frozen=True)
class Output:
    """What the requester gets at the end."""

    name: str
    value: Node
    title: Mapping[str, str] = field(default_factory=dict)
    url: Node | None = None
    secret: bool = False
    once: bool = False
    to: str | None = None


@dataclass(frozen=True)
class Plan:
    """A model, compiled. Texts (`title`, `summary`, titles of steps and outputs, questions) are outside the digest."""

    model: str
    title: Mapping[str, str]
    kind: str
    service: str
    summary: Mapping[str, str]
    owners: Owners
    inputs: Mapping[str, JsonValue]
    """JSON Schema (2020-12) of the inputs, an object; secret ones carry `"writeOnly": true`.

    A title in several languages is one `title` (English, or the first) and all of them under `x-titles`.
    """
    due: Due
    blocks: tuple[Block, ...]
    """What is done, in order; `steps` has all steps in it, whatever they are nested in."""
    input_order: tuple[str, ...] = ()
    """Names of the inputs as the model lists them: the order of the form, outside the digest."""
    values: tuple[NamedValue, ...] = ()
    """In an order in which each reads only those before it."""
    outputs: tuple[Output, ...] = ()
    input_rules: Mapping[str, InputRule] = field(default_factory=dict)
    suppliers: tuple[Supplier, ...] = ()
    eligible: Eligible | None = None
    prerequisites: tuple[Read, ...] = ()
    approvals: tuple[Approval, ...] = ()
    starts: Starts | None = None
    locks: tuple[Node, ...] = ()
    on_failure: OnFailure = OnFailure.HOLD
    verify: tuple[Read, ...] = ()
    notify: tuple[Notice, ...] = ()
    questions: tuple[Question, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    lease: Lease | None = None
    calendars: Mapping[str, JsonValue] = field(default_factory=dict)
    """The calendars it names, as they were when it was compiled."""
    plan_format: int = PLAN_FORMAT

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in the order written."""
        return tuple(steps_of(self.blocks))

    def supplier_of(self, step: str) -> str | None:
        """The third party whose part a step is."""
        return next((supplier.name for supplier in self.suppliers if step in supplier.steps), None)

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """Every call of an action, undo, prerequisites, `verify` and choices included."""
        undos = [action for step in self.steps if step.undo is not None for action in step.undo.actions]
        choices = [rule.choices for rule in self.input_rules.values() if rule.choices is not None]
        return (*self.steps, *undos, *self.prerequisites, *self.verify, *choices)

    @cached_property
    def secret_inputs(self) -> tuple[str, ...]:
        """Names of the inputs whose values are secret, sorted."""
        properties = cast(Mapping[str, Any], self.inputs.get("properties", {}))
        return tuple(sorted(name for name, schema in properties.items() if schema.get("writeOnly") is True))

    @cached_property
    def optional_inputs(self) -> frozenset[str]:
        """Names of the inputs that may be left out, whatever the others are."""
        properties = cast(Mapping[str, Any], self.inputs.get("properties", {}))
        required = cast(list[str], self.inputs.get("required", []))
        conditional = {name for name, rule in self.input_rules.items() if rule.when is not None and not rule.optional}
        return frozenset(properties.keys() - set(required) - conditional)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the plan does; the same model gives the same digest on any machine."""
        return hashlib.sha256(canonical_json(self.without_texts())).hexdigest()

    @cached_property
    def content_digests(self) -> tuple[str, ...]:
        """Digests of the runbooks this plan runs, undo included, sorted."""
        return tuple(sorted({call.content_digest for call in self.calls if call.content_digest is not None}))

    def to_json(self) -> dict[str, JsonValue]:
        """The plan as JSON; `plan_from_json` reads it back to an equal plan."""
        return cast(dict[str, JsonValue], part_to_json(self))

    def without_texts(self) -> dict[str, JsonValue]:
        """What the digest is made of: the plan as JSON without the texts that people read in the catalogue."""
        return _without_texts(self.to_json())


def steps_of(blocks: Iterable[Block]) -> Iterator[Step]:
    """Every step of some blocks, in the order written; those of an alternative after those it stands for."""
    for block in blocks:
        match block:
            case Step():
                yield block
            case Group(blocks=inner, alternative=alternative):
                yield from steps_of(inner)
                yield from steps_of(alternative)
            case Parallel(branches=branches):
                yield from steps_of(branches)


def step_of(read: Read) -> Step:
    """A look as a step, to be run and recorded as one."""
    call = {item.name: getattr(read, item.name) for item in fields(Call)}
    return Step(**call, path=read.path, title={"en": read.path})


def plan_from_json(written: Mapping[str, JsonValue]) -> Plan:
    """Read a plan back: the exact inverse of `Plan.to_json`.

    Raises PlanFormatError for a format this version does not know, and for what is no plan at all.
    """
    if written.get("plan_format") != PLAN_FORMAT:
        raise PlanFormatError(
            f"The stored plan has format {written.get('plan_format')!r}, this version of Orderly reads {PLAN_FORMAT}. "
            "Run it with the version that wrote it, or a newer one."
        )
    try:
        return cast(Plan, _read(Plan, written))
    except (KeyError, TypeError, ValueError) as error:
        raise PlanFormatError(f"What is stored is no plan: {type(error).__name__}: {error}") from error


_NODES: Mapping[str, type] = {node.kind: node for node in (Literal, Expression, Text, ListOf, MapOf)}
_BLOCKS: Mapping[str, type] = {block.kind: block for block in (Step, Group, Parallel)}


def _read(wanted: Any, written: Any) -> Any:
    """A value of the type `wanted` from its JSON."""
    options = set(get_args(wanted)) - {type(None)}
    for kinds in (_NODES, _BLOCKS):
        if options == set(kinds.values()):
            return None if written is None else _read_dataclass(kinds[written["kind"]], written)
    if isinstance(wanted, type) and is_dataclass(wanted):
        return _read_dataclass(wanted, written)
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return wanted(written)
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        return tuple(_read(parts[0], item) for item in written)
    if origin is Mapping:
        return {key: _read(parts[1], value) for key, value in written.items()}
    if type(None) in parts and len(options) == 1:
        return None if written is None else _read(options.pop(), written)
    return written


def _read_dataclass(wanted: type, written: Mapping[str, Any]) -> Any:
    hints = _hints(wanted)
    if wanted is Literal:
        return Literal(written["value"])
    return wanted(**{name: _read(hints[name], written[name]) for name in hints if name in written})


@cache
def _hints(wanted: type) -> Mapping[str, Any]:
    known = get_type_hints(wanted)
    return {item.name: known[item.name] for item in fields(wanted)}


_KINDED = (*_NODES.values(), *_BLOCKS.values())


def part_to_json(part: object) -> JsonValue:
    """Any part of a plan as JSON, as it stands in `Plan.to_json`."""
    return cast(JsonValue, _to_json(part))


def _to_json(part: object) -> object:
    if is_dataclass(part) and not isinstance(part, type):
        if isinstance(part, Literal):
            return {"kind": part.kind, "value": part.value}
        # What is as by default is left out, so that a plan keeps its digest when a later version knows more of plans.
        written = {
            item.name: _to_json(getattr(part, item.name)) for item in fields(part) if not _by_default(part, item)
        }
        kind = getattr(part, "kind", None)
        return {"kind": kind, **written} if isinstance(part, _KINDED) else written
    if isinstance(part, Mapping):
        return {str(key): _to_json(value) for key, value in part.items()}
    if isinstance(part, tuple | list):
        return [_to_json(item) for item in part]
    return part


def _by_default(part: object, item: Field[Any]) -> bool:
    if item.name == "plan_format":
        return False
    default = item.default_factory() if item.default_factory is not MISSING else item.default
    return default is not MISSING and getattr(part, item.name) == default


def _without_texts(plan: dict[str, JsonValue]) -> dict[str, JsonValue]:
    kept = {key: value for key, value in plan.items() if key not in {"title", "summary", "input_order"}}
    inputs = cast(dict[str, JsonValue], plan["inputs"])
    schemas = cast(dict[str, dict[str, JsonValue]], inputs.get("properties", {}))
    properties: dict[str, JsonValue] = {
        name: {key: value for key, value in schema.items() if key not in {"title", "x-titles"}}
        for name, schema in schemas.items()
    }
    # `required` is a set, and stands in the order of the form.
    required = cast(list[JsonValue], sorted(cast(list[str], inputs.get("required", []))))
    kept["inputs"] = {**inputs, "properties": properties, "required": required}
    kept["blocks"] = [_without_titles(block) for block in cast(list[dict[str, JsonValue]], plan["blocks"])]
    for part, text in (("outputs", "title"), ("questions", "ask")):
        parts = cast(list[dict[str, JsonValue]], plan.get(part, []))
        if parts:
            kept[part] = [{key: value for key, value in one.items() if key != text} for one in parts]
    for named in ("values", "outputs"):  # maps in the model: which comes first says nothing
        if named in kept:
            kept[named] = sorted(cast(list[JsonValue], kept[named]), key=canonical_json)
    return kept


def _without_titles(block: dict[str, JsonValue]) -> dict[str, JsonValue]:
    kept = {key: value for key, value in block.items() if key != "title"}
    for inner in ("blocks", "alternative", "branches"):
        if inner in kept:
            kept[inner] = [_without_titles(part) for part in cast(list[dict[str, JsonValue]], kept[inner])]
    return kept

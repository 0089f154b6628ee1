"""The compiled Plan: frozen, with a JSON round trip and a content digest; a request pins the one it was accepted with.

Values that are rendered at run time are trees of nodes (`Literal`, `Expression`, `Text`, `ListOf`, `MapOf`), so that
nothing is ever parsed for templates twice: a literal stays a literal whatever braces it holds.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
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
class UndoAction:
    """One action that takes an effect back; its arguments may read `args`, `result` and `item` of the forward call."""

    uses: str
    contract: str
    effect: EffectClass
    arguments: MapOf
    target: Mapping[str, Node] = field(default_factory=dict)
    hosts: Node | None = None
    timeout_seconds: float | None = None
    content_digest: str | None = None


@dataclass(frozen=True)
class Undo:
    """How a step is undone: by actions, by undoing another step (`covered_by`), or not at all and why (`none`)."""

    actions: tuple[UndoAction, ...] = ()
    covered_by: str | None = None
    none: str | None = None


@dataclass(frozen=True)
class Step:
    """One step. `path` is its stable place in the plan (`create`); results are bound to it, never to an index."""

    path: str
    title: Mapping[str, str]
    uses: str
    contract: str
    effect: EffectClass
    arguments: MapOf
    target: Mapping[str, Node] = field(default_factory=dict)
    when: Expression | None = None
    expect: Expression | None = None
    otherwise: Node | None = None
    hosts: Node | None = None
    retry: Retry = field(default_factory=Retry)
    timeout_seconds: float | None = None
    undo: Undo | None = None
    content_digest: str | None = None
    secret_results: tuple[str, ...] = ()
    """JSON pointers into the result, `*` for any index or key, whose values are secret by the action's result type."""


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


@dataclass(frozen=True)
class Plan:
    """A model, compiled. Texts (`title`, `summary`, step and output titles) are outside the digest."""

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
    steps: tuple[Step, ...]
    input_order: tuple[str, ...] = ()
    """Names of the inputs as the model lists them: the order of the form, outside the digest."""
    values: tuple[NamedValue, ...] = ()
    """In an order in which each reads only those before it."""
    outputs: tuple[Output, ...] = ()
    plan_format: int = PLAN_FORMAT

    @cached_property
    def secret_inputs(self) -> tuple[str, ...]:
        """Names of the inputs whose values are secret, sorted."""
        properties = cast(Mapping[str, Any], self.inputs.get("properties", {}))
        return tuple(sorted(name for name, schema in properties.items() if schema.get("writeOnly") is True))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the plan does; the same model gives the same digest on any machine."""
        return hashlib.sha256(canonical_json(_without_texts(self.to_json()))).hexdigest()

    @cached_property
    def content_digests(self) -> tuple[str, ...]:
        """Digests of the runbooks this plan runs, undo included, sorted."""
        return tuple(sorted({digest for digest in _content_digests(self.steps) if digest is not None}))

    def to_json(self) -> dict[str, JsonValue]:
        """The plan as JSON; `plan_from_json` reads it back to an equal plan."""
        return cast(dict[str, JsonValue], _to_json(self))


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


def _read(wanted: Any, written: Any) -> Any:
    """A value of the type `wanted` from its JSON."""
    options = set(get_args(wanted)) - {type(None)}
    if options == set(_NODES.values()):
        return None if written is None else _read_dataclass(_NODES[written["kind"]], written)
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


def _content_digests(steps: tuple[Step, ...]) -> Iterator[str | None]:
    for step in steps:
        yield step.content_digest
        if step.undo is not None:
            for action in step.undo.actions:
                yield action.content_digest


def _to_json(part: object) -> object:
    if is_dataclass(part) and not isinstance(part, type):
        if isinstance(part, Literal):
            return {"kind": part.kind, "value": part.value}
        written = {item.name: _to_json(getattr(part, item.name)) for item in fields(part)}
        kind = getattr(part, "kind", None)
        return {"kind": kind, **written} if isinstance(part, Expression | Text | ListOf | MapOf) else written
    if isinstance(part, Mapping):
        return {str(key): _to_json(value) for key, value in part.items()}
    if isinstance(part, tuple | list):
        return [_to_json(item) for item in part]
    return part


def _without_texts(plan: dict[str, JsonValue]) -> dict[str, JsonValue]:
    kept = {key: value for key, value in plan.items() if key not in {"title", "summary", "input_order"}}
    inputs = cast(dict[str, JsonValue], plan["inputs"])
    schemas = cast(dict[str, dict[str, JsonValue]], inputs.get("properties", {}))
    properties: dict[str, JsonValue] = {
        name: {key: value for key, value in schema.items() if key not in {"title", "x-titles"}}
        for name, schema in schemas.items()
    }
    kept["inputs"] = {**inputs, "properties": properties}
    for titled in ("steps", "outputs"):
        parts = cast(list[dict[str, JsonValue]], plan[titled])
        kept[titled] = [{key: value for key, value in part.items() if key != "title"} for part in parts]
    return kept

"""The stage `resolved`: expressions parsed, actions found, targets merged. What is not found is left to the checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from request_models.actions import ActionBroken, ActionCatalogue, ActionSpec
from request_models.errors import ExpressionSyntaxError
from request_models.expressions import expression_of, node_of
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.loading import ModelSource
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text
from request_models.schema import ModelDocument, StepDocument, UndoActionDocument
from request_models.yaml_source import Path


@dataclass(frozen=True)
class Targets:
    """What a step says about the system it acts on: each member's node, and where it is written."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class ResolvedUndo:
    """One action of an undo; `spec` is None when there is no such action. `hosts` and `target` may be the step's."""

    path: Path
    document: UndoActionDocument
    spec: ActionSpec | None
    arguments: MapOf
    target: Targets
    hosts: Node | None


@dataclass(frozen=True)
class ResolvedStep:
    """One step with its action's spec, None when there is no such action."""

    index: int
    path: Path
    document: StepDocument
    spec: ActionSpec | None
    arguments: MapOf
    target: Targets
    when: Expression | None
    expect: Expression | None
    otherwise: Node | None
    hosts: Node | None
    undo: tuple[ResolvedUndo, ...] = ()

    @property
    def id(self) -> str:
        """The step's id."""
        return self.document.id


@dataclass(frozen=True)
class ResolvedOutput:
    """One output."""

    path: Path
    name: str
    value: Node
    url: Node | None


@dataclass(frozen=True)
class Resolved:
    """A model whose parts are found. `broken` are places whose expressions could not be read, told in `findings`."""

    source: ModelSource
    actions: ActionCatalogue
    settings: Mapping[str, JsonValue]
    values: Mapping[str, Node]
    steps: tuple[ResolvedStep, ...]
    outputs: tuple[ResolvedOutput, ...]
    findings: tuple[Finding, ...] = ()
    broken: frozenset[Path] = frozenset()

    @property
    def document(self) -> ModelDocument:
        """The document as loaded."""
        return self.source.document

    def step(self, identifier: str) -> ResolvedStep | None:
        """The first step of an id."""
        return next((step for step in self.steps if step.id == identifier), None)

    def to_json(self) -> dict[str, JsonValue]:
        """The stage `resolved`: each step's action, and what every expression reads."""
        return {
            "model": self.document.model,
            "steps": [
                {
                    "id": step.id,
                    "uses": step.document.uses,
                    "effect": None if step.spec is None else str(step.spec.effect),
                    "contract": None if step.spec is None else step.spec.contract,
                }
                for step in self.steps
            ],
            "reads": {"/".join(map(str, site.path)): [*site.node.reads] for site in sites(self) if site.node.reads},
        }


@dataclass(frozen=True)
class Site:
    """An expression or text, where it stands, and which names are in scope there besides those that always are.

    `before` is how many steps lie before it: it can read their results. `place` tells a person where it is.
    """

    path: Path
    node: Expression | Text
    before: int
    extra: frozenset[str] = frozenset()
    value: str | None = None


def resolve(source: ModelSource, actions: ActionCatalogue, settings: Mapping[str, JsonValue]) -> Resolved:
    """Resolve a loaded model; mistakes are in `findings`, nothing is raised for them."""
    reader = _Reader()
    document = source.document
    values = {name: reader.node(value, ("values", name)) for name, value in document.values.items()}
    steps = tuple(_Stepping(reader, actions, document, index).step() for index in range(len(document.steps)))
    outputs = tuple(
        ResolvedOutput(
            ("outputs", name),
            name,
            reader.node(output.value, ("outputs", name, "value")),
            None if output.url is None else reader.node(output.url, ("outputs", name, "url")),
        )
        for name, output in document.outputs.items()
    )
    findings, broken = tuple(reader.findings), frozenset(reader.broken)
    return Resolved(source, actions, settings, values, steps, outputs, findings, broken)


def sites(resolved: Resolved) -> Iterator[Site]:
    """Every expression and text of the model."""
    for name, node in resolved.values.items():
        yield from _sites(node, ("values", name), 0, value=name)
    for step in resolved.steps:
        yield from _step_sites(step)
    for output in resolved.outputs:
        yield from _sites(output.value, (*output.path, "value"), len(resolved.steps))
        if output.url is not None:
            yield from _sites(output.url, (*output.path, "url"), len(resolved.steps))


_ANSWERED = frozenset({"args", "result"})


def _step_sites(step: ResolvedStep) -> Iterator[Site]:
    path, index = step.path, step.index
    yield from _sites(step.arguments, (*path, "with"), index)
    for name, node in step.target.nodes.items():
        yield from _sites(node, step.target.paths[name], index)
    for key, written in (("when", step.when), ("hosts", step.hosts)):
        if written is not None:
            yield from _sites(written, (*path, key), index)
    for key, written in (("expect", step.expect), ("otherwise", step.otherwise)):
        if written is not None:
            yield from _sites(written, (*path, key), index, _ANSWERED)
    for undo in step.undo:
        yield from _sites(undo.arguments, (*undo.path, "with"), index, _ANSWERED)
        for name, node in undo.target.nodes.items():
            yield from _sites(node, undo.target.paths[name], index, _ANSWERED)
        if undo.hosts is not None:
            yield from _sites(undo.hosts, (*undo.path, "hosts"), index, _ANSWERED)


def _sites(
    node: Node, path: Path, before: int, extra: frozenset[str] = frozenset(), value: str | None = None
) -> Iterator[Site]:
    match node:
        case Expression() | Text():
            yield Site(path, node, before, extra, value)
        case ListOf(items=items):
            for index, item in enumerate(items):
                yield from _sites(item, (*path, index), before, extra, value)
        case MapOf(members=members):
            for key, member in members.items():
                yield from _sites(member, (*path, key), before, extra, value)
        case Literal():
            pass


class _Reader:
    """Reads values of the document into nodes and gathers what is not in the language."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.broken: set[Path] = set()

    def node(self, value: JsonValue, path: Path) -> Node:
        match value:
            case list():
                items = tuple(self.node(item, (*path, index)) for index, item in enumerate(value))
                plain = all(isinstance(item, Literal) for item in items)
                return Literal(value) if plain and not self._broken_below(path) else ListOf(items)
            case dict():
                members = {key: self.node(item, (*path, key)) for key, item in value.items()}
                plain = all(isinstance(item, Literal) for item in members.values())
                return node_of(value) if plain and not self._broken_below(path) else MapOf(members)
            case _:
                return self._leaf(value, path)

    def arguments(self, value: Mapping[str, JsonValue], path: Path) -> MapOf:
        return MapOf({key: self.node(item, (*path, key)) for key, item in value.items()})

    def condition(self, source: str | None, path: Path) -> Expression | None:
        if source is None:
            return None
        try:
            return expression_of(source)
        except ExpressionSyntaxError as error:
            self._tell(error, path)
            return None

    def _leaf(self, value: JsonValue, path: Path) -> Node:
        try:
            return node_of(value)
        except ExpressionSyntaxError as error:
            self._tell(error, path)
            return Literal(None)

    def _broken_below(self, path: Path) -> bool:
        return any(place[: len(path)] == path for place in self.broken)

    def _tell(self, error: ExpressionSyntaxError, path: Path) -> None:
        self.broken.add(path)
        self.findings.append(Finding(path, "bad-expression", error.why, error.hint, at=error.part))


class _Stepping:
    """Resolves one step."""

    def __init__(self, reader: _Reader, actions: ActionCatalogue, document: ModelDocument, index: int) -> None:
        self._reader = reader
        self._actions = actions
        self._model = document
        self._document = document.steps[index]
        self._index = index
        self._path: Path = ("steps", index)

    def step(self) -> ResolvedStep:
        document, path, reader = self._document, self._path, self._reader
        spec = self._spec(document.uses)
        hosts = self._hosts(document.hosts, (*path, "hosts"))
        target = self._target(spec, document.target, (*path, "target"))
        return ResolvedStep(
            index=self._index,
            path=path,
            document=document,
            spec=spec,
            arguments=reader.arguments(document.arguments, (*path, "with")),
            target=target,
            when=reader.condition(document.when, (*path, "when")),
            expect=reader.condition(document.expect, (*path, "expect")),
            otherwise=None if document.otherwise is None else reader.node(document.otherwise, (*path, "otherwise")),
            hosts=hosts,
            undo=tuple(self._undo(number, spec, hosts) for number in range(self._undo_count())),
        )

    def _spec(self, name: str) -> ActionSpec | None:
        try:
            return self._actions.spec(name)
        except ActionBroken:
            return None  # the check of actions says why

    def _undo_count(self) -> int:
        return 0 if self._document.undo is None else len(self._document.undo.actions)

    def _undo(self, number: int, forward: ActionSpec | None, hosts: Node | None) -> ResolvedUndo:
        assert self._document.undo is not None
        document = self._document.undo.actions[number]
        path = (*self._path, "undo", "actions", number)
        spec = self._spec(document.uses)
        same_system = spec is not None and forward is not None and spec.system == forward.system
        inherited = self._document.target if same_system else {}
        own = self._hosts(document.hosts, (*path, "hosts"))
        return ResolvedUndo(
            path=path,
            document=document,
            spec=spec,
            arguments=self._reader.arguments(document.arguments, (*path, "with")),
            target=self._target(spec, document.target, (*path, "target"), inherited),
            hosts=own if own is not None else hosts if spec is not None and spec.takes_hosts else None,
        )

    def _hosts(self, hosts: JsonValue, path: Path) -> Node | None:
        return None if hosts is None else self._reader.node(hosts, path)

    def _target(
        self,
        spec: ActionSpec | None,
        own: Mapping[str, JsonValue],
        path: Path,
        inherited: Mapping[str, JsonValue] | None = None,
    ) -> Targets:
        """The model's target, overlaid by the step's, overlaid by its own (an undo's), member by member."""
        if spec is None or spec.system is None:
            return Targets()
        layers = [(self._model.target, ("target",)), (inherited or {}, (*self._path, "target")), (own, path)]
        nodes: dict[str, Node] = {}
        paths: dict[str, Path] = {}
        for layer, place in layers:
            part = layer.get(spec.system)
            for name, value in part.items() if isinstance(part, dict) else ():
                paths[name] = (*place, spec.system, name)
                nodes[name] = self._reader.node(value, paths[name])
        return Targets(nodes, paths)

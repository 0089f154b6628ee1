"""The stage `resolved`: expressions parsed, actions found, targets merged. What is not found is left to the checks."""

from collections.abc import Iterator, Mapping
from typing import Any

from request_models.actions import ActionBroken, ActionSpec
from request_models.engine_actions import ENGINE_SPECS, REQUEST_SUBMIT, submit_spec
from request_models.errors import ExpressionSyntaxError
from request_models.expressions import expression_of, node_of
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.loading import ModelSource
from request_models.plan import Expression, ListOf, Literal, MapOf, Node
from request_models.resolved import (
    Place,
    Resolved,
    ResolvedBlock,
    ResolvedChoices,
    ResolvedGroup,
    ResolvedInput,
    ResolvedLoop,
    ResolvedOutput,
    ResolvedParallel,
    ResolvedRead,
    ResolvedStep,
    ResolvedUndo,
    Targets,
)
from request_models.schema import ModelDocument
from request_models.step_documents import (
    CallDocument,
    ChoicesDocument,
    GroupDocument,
    LoopingDocument,
    ParallelDocument,
    PollingDocument,
    PrerequisiteDocument,
    StepDocument,
    UndoActionDocument,
    VerifyDocument,
)
from request_models.surroundings import Surroundings
from request_models.yaml_source import Path


def resolve(source: ModelSource, surroundings: Surroundings) -> Resolved:
    """Resolve a loaded model; mistakes are in `findings`, nothing is raised for them."""
    reader = _Reader()
    document = source.document
    calls = _Calls(reader, surroundings, document)
    blocks = _Blocks(reader, calls)
    inputs = {name: calls.input(name, schema) for name, schema in document.inputs.items()}
    values = {name: reader.node(value, ("values", name)) for name, value in document.values.items()}
    prerequisites = tuple(calls.read(read, ("prerequisites", n)) for n, read in enumerate(document.prerequisites))
    tree = tuple(blocks.block(block, ("steps", index)) for index, block in enumerate(document.steps))
    verify = tuple(calls.read(look, ("verify", n)) for n, look in enumerate(document.verify))
    outputs = tuple(_output(reader, name, output) for name, output in document.outputs.items())
    places = tuple(_places(reader, document))
    findings, broken = tuple(reader.findings), frozenset(reader.broken)
    return Resolved(
        source, surroundings, inputs, values, prerequisites, tree, verify, outputs, places, findings, broken
    )


def _output(reader: "_Reader", name: str, output: Any) -> ResolvedOutput:
    path: Path = ("outputs", name)
    url = None if output.url is None else reader.node(output.url, (*path, "url"))
    return ResolvedOutput(path, name, reader.node(output.value, (*path, "value")), url)


def _places(reader: "_Reader", document: ModelDocument) -> Iterator[Place]:
    """The values outside steps and outputs; conditions that cannot be read are left out."""
    conditions: list[tuple[Path, str | None]] = []
    written: list[tuple[Path, str, JsonValue]] = []
    if document.eligible is not None:
        conditions += [(("eligible", key), getattr(document.eligible, key)) for key in ("requester", "user")]
        written.append((("eligible", "otherwise"), "text", document.eligible.otherwise))
    for index, approval in enumerate(document.approvals):
        path: Path = ("approvals", index)
        conditions.append(((*path, "when"), approval.when))
        for key, people in (("by", approval.by), ("escalate", approval.escalate or ())):
            written += [((*path, key, number), "approvers", who) for number, who in enumerate(people)]
        written.append(((*path, "message"), "text", approval.message))
    if document.starts is not None:
        written.append((("starts", "at"), "moment", document.starts.at))
    written += [(("locks", index), "lock", lock) for index, lock in enumerate(document.locks)]
    for index, notice in enumerate(document.notify):
        written += [(("notify", index, "to", number), "recipient", who) for number, who in enumerate(notice.to)]
        written += [(("notify", index, key), "text", getattr(notice, key)) for key in ("text", "subject")]
    for index, trigger in enumerate(document.triggers):
        conditions.append((("triggers", index, "when"), trigger.when))
        written += [(("triggers", index, "inputs", name), "input", value) for name, value in trigger.inputs.items()]
    if document.lease is not None:
        written.append((("lease", "ends"), "moment", document.lease.ends))
        inputs = document.lease.retire.inputs.items()
        written += [(("lease", "retire", "inputs", name), "input", value) for name, value in inputs]
    for place, source in conditions:
        condition = reader.condition(source, place)
        if condition is not None:
            yield Place(place, "condition", condition)
    for place, role, value in written:
        if value is not None or role == "input":
            yield Place(place, role, reader.node(value, place))


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
                return node_of(value) if plain and not self._broken_below(path) else ListOf(items)
            case dict():
                members = {key: self.node(item, (*path, key)) for key, item in value.items()}
                plain = all(isinstance(item, Literal) for item in members.values())
                return node_of(value) if plain and not self._broken_below(path) else MapOf(members)
            case _:
                return self._leaf(value, path)

    def arguments(self, value: Mapping[str, JsonValue], path: Path) -> MapOf:
        return MapOf({key: self.node(item, (*path, key)) for key, item in value.items()})

    def condition(self, source: str | None, path: Path) -> Expression | None:
        """A bare expression; None when there is none, or it cannot be read."""
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


class _Calls:
    """Resolves calls of actions."""

    def __init__(self, reader: _Reader, surroundings: Surroundings, document: ModelDocument) -> None:
        self._reader = reader
        self._surroundings = surroundings
        self._model = document

    def step(
        self,
        document: StepDocument,
        path: Path,
        index: int,
        when: Expression | None,
        loop: ResolvedLoop | None,
    ) -> ResolvedStep:
        call = self._call(document, path)
        undo = () if document.undo is None else document.undo.actions
        undone = tuple(
            self._undo(action, (*path, "undo", "actions", number), document, call) for number, action in enumerate(undo)
        )
        return ResolvedStep(**call, document=document, index=index, when=when, loop=loop, undo=undone)

    def read(self, document: PrerequisiteDocument | VerifyDocument, path: Path) -> ResolvedRead:
        return ResolvedRead(**self._call(document, path), document=document)

    def input(self, name: str, schema: Mapping[str, Any]) -> ResolvedInput:
        path: Path = ("inputs", name)
        when, choices = schema.get("when"), schema.get("choices")
        condition = self._reader.condition(when, (*path, "when")) if isinstance(when, str) else None
        document = _choices(choices)
        if document is None:
            return ResolvedInput(path, condition)
        place = (*path, "choices")
        call = CallDocument.model_validate(
            {"uses": document.uses, "with": document.arguments, "target": document.target}
        )
        select = self._reader.condition(document.select, (*place, "select"))
        found = ResolvedChoices(**self._call(call, place), document=call, input=name, choices=document, select=select)
        return ResolvedInput(path, condition, found)

    def _undo(
        self, document: UndoActionDocument, path: Path, step: StepDocument, forward: Mapping[str, Any]
    ) -> ResolvedUndo:
        spec = self._spec(document)
        same_system = spec is not None and forward["spec"] is not None and spec.system == forward["spec"].system
        call = self._call(document, path, (step.target, (*forward["path"], "target")) if same_system else None)
        if call["hosts"] is None and spec is not None and spec.takes_hosts:
            call["hosts"] = forward["hosts"]
        when = self._reader.condition(document.when, (*path, "when"))
        return ResolvedUndo(**call, document=document, when=when)

    def _call(
        self, document: CallDocument, path: Path, inherited: tuple[Mapping[str, JsonValue], Path] | None = None
    ) -> dict[str, Any]:
        """The members of a `ResolvedCall` but its document."""
        reader = self._reader
        spec = self._spec(document)
        polling = document if isinstance(document, PollingDocument) else None
        return {
            "path": path,
            "spec": spec,
            "arguments": reader.arguments(document.arguments, (*path, "with")),
            "target": self._target(spec, document.target, (*path, "target"), inherited),
            "hosts": None if document.hosts is None else reader.node(document.hosts, (*path, "hosts")),
            "expect": reader.condition(document.expect, (*path, "expect")),
            "otherwise": None if document.otherwise is None else reader.node(document.otherwise, (*path, "otherwise")),
            "until": None if polling is None else reader.condition(polling.until, (*path, "until")),
            "fails": None if polling is None else reader.condition(polling.fails, (*path, "fails")),
        }

    def _spec(self, document: CallDocument) -> ActionSpec | None:
        if document.uses is None:
            return None
        if document.uses in ENGINE_SPECS:
            return self._engine_spec(document.uses, document.arguments.get("model"))
        try:
            return self._surroundings.actions.spec(document.uses)
        except ActionBroken:
            return None  # the check of actions says why

    def _engine_spec(self, name: str, model: object) -> ActionSpec:
        """An action of the engine; an order of another model is typed by that model."""
        known = self._surroundings.interface(model) if name == REQUEST_SUBMIT and isinstance(model, str) else None
        return ENGINE_SPECS[name] if known is None else submit_spec(known.inputs, known.outputs)

    def _target(
        self,
        spec: ActionSpec | None,
        own: Mapping[str, JsonValue],
        path: Path,
        inherited: tuple[Mapping[str, JsonValue], Path] | None,
    ) -> Targets:
        """The model's target, overlaid by the step's, overlaid by its own (an undo's), member by member."""
        if spec is None or spec.system is None:
            return Targets()
        layers = [(self._model.target, ("target",)), *([inherited] if inherited is not None else []), (own, path)]
        nodes: dict[str, Node] = {}
        paths: dict[str, Path] = {}
        for layer, place in layers:
            part = layer.get(spec.system)
            for name, value in part.items() if isinstance(part, dict) else ():
                paths[name] = (*place, spec.system, name)
                nodes[name] = self._reader.node(value, paths[name])
        return Targets(nodes, paths)


def _choices(written: object) -> ChoicesDocument | None:
    """The choices of an input, None when there are none or their shape is wrong, which the check of inputs tells."""
    try:
        return None if written is None else ChoicesDocument.model_validate(written)
    except ValueError:
        return None


class _Blocks:
    """Resolves the tree of blocks, counting steps as they come."""

    def __init__(self, reader: _Reader, calls: _Calls) -> None:
        self._reader = reader
        self._calls = calls
        self._steps = 0

    def block(self, document: StepDocument | GroupDocument | ParallelDocument, path: Path) -> ResolvedBlock:
        when = self._reader.condition(document.when, (*path, "when"))
        match document:
            case StepDocument():
                self._steps += 1
                return self._calls.step(document, path, self._steps - 1, when, self._loop(document, path))
            case GroupDocument():
                inner = self._blocks(document.steps, (*path, "steps"))
                alternative = self._blocks(document.alternative, (*path, "else"))
                return ResolvedGroup(path, document, when, self._loop(document, path), inner, alternative)
            case ParallelDocument():
                return ResolvedParallel(path, document, when, self._blocks(document.parallel, (*path, "parallel")))

    def _blocks(self, documents: tuple[Any, ...], path: Path) -> tuple[ResolvedBlock, ...]:
        return tuple(self.block(document, (*path, index)) for index, document in enumerate(documents))

    def _loop(self, document: LoopingDocument, path: Path) -> ResolvedLoop | None:
        if document.for_each is None:
            return None
        items = self._reader.condition(document.for_each, (*path, "for_each"))
        key = self._reader.condition(document.key, (*path, "key"))
        return ResolvedLoop(path, items, key, document.concurrency)

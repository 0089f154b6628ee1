"""The stage `typed`: every value of a resolved model with its type, where it stands, and what is wrong in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from request_models.errors import SchemaTranslationError
from request_models.expression_syntax import parse_expression, parse_text
from request_models.inference import (
    Facts,
    Problem,
    TypeScope,
    conjuncts,
    facts_if,
    infer,
    infer_text,
)
from request_models.json_schema import as_json, from_json_schema, in_scope
from request_models.json_values import JsonValue
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text
from request_models.resolving import Resolved, ResolvedStep, ResolvedUndo, Targets
from request_models.scope_types import PERSON, REQUEST, STEP_STATE
from request_models.type_algebra import any_secret, broad_type_of, join, options, say_type, type_of
from request_models.value_types import AnyType, ArrayType, Member, ObjectType, OmitType, ValueType
from request_models.yaml_source import Path


@dataclass(frozen=True)
class TypedNode:
    """A value of the model with its type. `members` and `items` are set for maps and lists that hold expressions."""

    path: Path
    node: Node
    type: ValueType
    problems: tuple[Problem, ...] = ()
    members: Mapping[str, "TypedNode"] | None = None
    items: tuple["TypedNode", ...] | None = None

    @property
    def may_be_omitted(self) -> bool:
        """Whether it may come out as `omit`."""
        return any(isinstance(option, OmitType) for option in options(self.type))

    @property
    def given_type(self) -> ValueType | None:
        """Its type when it is not omitted, as JSON; None when it always is."""
        kept = [option for option in options(self.type) if not isinstance(option, OmitType)]
        return as_json(join(kept)) if kept else None

    def walk(self) -> Iterator["TypedNode"]:
        """The node and all below it."""
        yield self
        for child in (*(self.members or {}).values(), *(self.items or ())):
            yield from child.walk()


@dataclass(frozen=True)
class TypedTargets:
    """The members of a step's target."""

    nodes: Mapping[str, TypedNode] = field(default_factory=dict)


@dataclass(frozen=True)
class TypedUndo:
    """One action of an undo, typed."""

    resolved: ResolvedUndo
    arguments: TypedNode
    target: TypedTargets
    hosts: TypedNode | None


@dataclass(frozen=True)
class TypedStep:
    """One step, typed."""

    resolved: ResolvedStep
    arguments: TypedNode
    target: TypedTargets
    when: TypedNode | None
    expect: TypedNode | None
    otherwise: TypedNode | None
    hosts: TypedNode | None
    undo: tuple[TypedUndo, ...]

    def nodes(self) -> Iterator[TypedNode]:
        """All typed values of the step, those of its undo included."""
        yield self.arguments
        yield from self.target.nodes.values()
        yield from (node for node in (self.when, self.expect, self.otherwise, self.hosts) if node is not None)
        for undo in self.undo:
            yield undo.arguments
            yield from undo.target.nodes.values()
            if undo.hosts is not None and undo.hosts is not self.hosts:
                yield undo.hosts


@dataclass(frozen=True)
class TypedOutput:
    """One output, typed."""

    name: str
    path: Path
    value: TypedNode
    url: TypedNode | None


@dataclass(frozen=True)
class Typed:
    """A model whose every value has a type. In `value_order` each value reads only those before it."""

    resolved: Resolved
    inputs: ObjectType
    values: Mapping[str, TypedNode]
    value_order: tuple[str, ...]
    steps: tuple[TypedStep, ...]
    outputs: tuple[TypedOutput, ...]

    def nodes(self) -> Iterator[TypedNode]:
        """All typed values of the model."""
        yield from self.values.values()
        for step in self.steps:
            yield from step.nodes()
        for output in self.outputs:
            yield output.value
            if output.url is not None:
                yield output.url

    def to_json(self) -> dict[str, JsonValue]:
        """The stage `typed`: for each place with an expression its source, type and secrecy."""
        leaves = [leaf for node in self.nodes() for leaf in node.walk() if isinstance(leaf.node, Expression | Text)]
        return {
            "model": self.resolved.document.model,
            "types": {
                "/".join(map(str, leaf.path)): {
                    "source": leaf.node.source if isinstance(leaf.node, Expression | Text) else "",
                    "type": say_type(leaf.type),
                    "secret": any_secret(leaf.type),
                }
                for leaf in leaves
            },
        }


def type_model(resolved: Resolved) -> Typed:
    """Give every value of a model its type; mistakes are problems of the nodes, nothing is raised."""
    return _Typing(resolved).typed()


def value_reads(node: Node) -> set[str]:
    """The names of the `values` a node reads."""
    match node:
        case Expression(reads=reads) | Text(reads=reads):
            return {read.split(".")[1] for read in reads if read.startswith("values.")}
        case ListOf(items=items):
            return {name for item in items for name in value_reads(item)}
        case MapOf(members=members):
            return {name for member in members.values() for name in value_reads(member)}
        case Literal():
            return set()


def order_of_values(values: Mapping[str, Node]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """An order in which each value reads only those before it, and the values of a cycle, if there is one."""
    sorter = TopologicalSorter({name: sorted(value_reads(node) & values.keys()) for name, node in values.items()})
    try:
        return tuple(sorter.static_order()), ()
    except CycleError as error:
        return tuple(values), tuple(dict.fromkeys(error.args[1]))


class _Typing:
    """Types one model."""

    def __init__(self, resolved: Resolved) -> None:
        self._resolved = resolved
        self._inputs = input_types(resolved)
        self._guards: dict[tuple[str, ...], frozenset[str] | None] = {
            ("inputs", name): None for name, member in self._inputs.members.items() if not member.required
        }
        self._names: dict[str, ValueType] = {
            "inputs": self._inputs,
            "values": ObjectType(),
            "requester": PERSON,
            "user": PERSON,
            "request": REQUEST,
            "settings": broad_type_of(dict(resolved.settings)),
            "steps": ObjectType(),
        }

    def typed(self) -> Typed:
        resolved = self._resolved
        order, _ = order_of_values(resolved.values)
        values = {name: self._value(name) for name in order}
        steps = tuple([self._step(step) for step in resolved.steps])
        outputs = tuple(self._outputs())
        return Typed(resolved, self._inputs, values, order, steps, outputs)

    @property
    def _scope(self) -> TypeScope:
        return TypeScope(dict(self._names), dict(self._guards))

    def _value(self, name: str) -> TypedNode:
        typed = self._node(self._resolved.values[name], ("values", name), self._scope)
        known = self._names["values"]
        assert isinstance(known, ObjectType)
        member = Member(type=typed.given_type or AnyType(), required=True)
        self._names["values"] = replace(known, members={**known.members, name: member})
        return typed

    def _step(self, step: ResolvedStep) -> TypedStep:
        before = self._scope
        path = step.path
        when = None if step.when is None else self._node(step.when, (*path, "when"), before)
        scope = before if step.when is None else before.knowing(_facts(step.when, before))
        arguments = self._node(step.arguments, (*path, "with"), scope)
        result = step.spec.result if step.spec is not None else AnyType()
        arguments_type = self._arguments_type(arguments)
        answered = scope.with_names({"result": result, "args": arguments_type})
        expect = None if step.expect is None else self._node(step.expect, (*path, "expect"), answered)
        hosts = None if step.hosts is None else self._node(step.hosts, (*path, "hosts"), scope)
        typed = TypedStep(
            resolved=step,
            arguments=arguments,
            target=self._targets(step.target, scope),
            when=when,
            expect=expect,
            otherwise=None if step.otherwise is None else self._node(step.otherwise, (*path, "otherwise"), answered),
            hosts=hosts,
            undo=tuple(self._undo(undo, step, hosts, answered, arguments_type) for undo in step.undo),
        )
        self._remember(step, result, arguments_type)
        return typed

    def _undo(
        self, undo: ResolvedUndo, step: ResolvedStep, hosts: TypedNode | None, scope: TypeScope, arguments: ObjectType
    ) -> TypedUndo:
        # A failed step's own undo runs too, and then there is no result.
        optional: dict[tuple[str, ...], frozenset[str] | None] = {
            ("args", name): None for name, member in arguments.members.items() if not member.required
        }
        scope = replace(scope, guards={**scope.guards, **optional, ("result",): None})
        own_hosts = undo.hosts is not None and undo.hosts is not step.hosts
        return TypedUndo(
            resolved=undo,
            arguments=self._node(undo.arguments, (*undo.path, "with"), scope),
            target=self._targets(undo.target, scope),
            hosts=self._node(undo.hosts, (*undo.path, "hosts"), scope) if own_hosts and undo.hosts else hosts,
        )

    def _outputs(self) -> Iterator[TypedOutput]:
        for output in self._resolved.outputs:
            value = self._node(output.value, (*output.path, "value"), self._scope)
            url = None if output.url is None else self._node(output.url, (*output.path, "url"), self._scope)
            yield TypedOutput(output.name, output.path, value, url)

    def _targets(self, target: Targets, scope: TypeScope) -> TypedTargets:
        return TypedTargets({name: self._node(node, target.paths[name], scope) for name, node in target.nodes.items()})

    def _arguments_type(self, arguments: TypedNode) -> ObjectType:
        """What `args` holds: the arguments as they were sent."""
        members = {
            name: Member(type=node.given_type or AnyType(), required=not node.may_be_omitted)
            for name, node in (arguments.members or {}).items()
        }
        return ObjectType(members=members)

    def _remember(self, step: ResolvedStep, result: ValueType, arguments: ObjectType) -> None:
        """Steps after this one may read it; its result, only where it is sure to have run."""
        known = self._names["steps"]
        assert isinstance(known, ObjectType)
        kinds: dict[str, ValueType] = {"state": STEP_STATE, "result": result, "args": arguments}
        members = {name: Member(type=kind, required=True) for name, kind in kinds.items()}
        entry = Member(type=ObjectType(members=members), required=True)
        self._names["steps"] = replace(known, members={**known.members, step.id: entry})
        if step.when is not None:
            needed = conjuncts(parse_expression(step.when.source))
            for name in ("result", "args"):
                self._guards["steps", step.id, name] = needed

    def _node(self, node: Node, path: Path, scope: TypeScope) -> TypedNode:
        if path in self._resolved.broken:
            return TypedNode(path, node, AnyType())
        match node:
            case Literal(value=value):
                return TypedNode(path, node, type_of(value))
            case Expression(source=source):
                found = infer(parse_expression(source), scope)
                return TypedNode(path, node, found.type, found.problems)
            case Text(source=source):
                found = infer_text(parse_text(source), scope)
                return TypedNode(path, node, found.type, found.problems)
            case ListOf(items=items):
                typed = tuple(self._node(item, (*path, index), scope) for index, item in enumerate(items))
                kinds = [item.given_type for item in typed]
                least = sum(not item.may_be_omitted for item in typed)
                kind = ArrayType(items=join(k for k in kinds if k), min_items=least, max_items=len(typed))
                return TypedNode(path, node, kind, items=typed)
            case MapOf(members=members):
                inner = {key: self._node(member, (*path, key), scope) for key, member in members.items()}
                return TypedNode(path, node, _map_type(inner), members=inner)


def _map_type(members: Mapping[str, TypedNode]) -> ObjectType:
    return ObjectType(
        members={
            key: Member(type=kind, required=not member.may_be_omitted)
            for key, member in members.items()
            if (kind := member.given_type) is not None
        }
    )


def _facts(when: Expression, scope: TypeScope) -> Facts:
    return facts_if(parse_expression(when.source), scope)


def input_types(resolved: Resolved) -> ObjectType:
    """The types of the inputs as expressions see them; of an input whose schema makes no sense, any."""
    members: dict[str, Member] = {}
    for name, schema in resolved.document.inputs.items():
        plain = {key: value for key, value in schema.items() if key not in {"required", "secret"}}
        try:
            kind = in_scope(from_json_schema(plain))
        except SchemaTranslationError:
            kind = AnyType()
        required = schema.get("required") is not False or "default" in schema
        members[name] = Member(type=replace(kind, secret=schema.get("secret") is True), required=required)
    return ObjectType(members=members)

"""From `resolved` to `typed`: gives every value of a model its type, in the scope of the place where it stands."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from request_models.engine_actions import HUMAN_TASK
from request_models.errors import SchemaTranslationError
from request_models.expression_syntax import parse_expression, parse_text
from request_models.inference import facts_if, infer, infer_text
from request_models.json_schema import from_json_schema, in_scope
from request_models.json_values import JsonValue
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text
from request_models.resolved import (
    Resolved,
    ResolvedBlock,
    ResolvedCall,
    ResolvedChoices,
    ResolvedGroup,
    ResolvedLoop,
    ResolvedParallel,
    ResolvedRead,
    ResolvedStep,
    ResolvedUndo,
    Targets,
    blocks_of,
)
from request_models.scope_types import NOTIFIED_REQUEST, PERSON, REQUEST, STEP_STATE
from request_models.type_algebra import broad_type_of, item_of, join, type_of
from request_models.type_scopes import Condition, Facts, TypeScope, conjuncts, negated
from request_models.typed import (
    Typed,
    TypedChoices,
    TypedLoop,
    TypedNode,
    TypedOutput,
    TypedPlace,
    TypedRead,
    TypedStep,
    TypedTargets,
    TypedUndo,
)
from request_models.value_types import AnyType, ArrayType, Member, ObjectType, ValueType
from request_models.yaml_source import Path

OWN_INPUT_KEYS = frozenset({"required", "secret", "when", "choices", "shown_to"})
"""The keys of an input that are the language's own, not JSON Schema's."""


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


def input_types(inputs: Mapping[str, Mapping[str, JsonValue]]) -> ObjectType:
    """The types of inputs as expressions see them; of an input whose schema makes no sense, any."""
    members: dict[str, Member] = {}
    for name, schema in inputs.items():
        given = schema.get("required") is not False or "default" in schema
        members[name] = Member(type=_input_type(schema, in_expressions=True), required=given and "when" not in schema)
    return ObjectType(members=members)


def order_types(inputs: Mapping[str, Mapping[str, JsonValue]]) -> ObjectType:
    """The types of inputs as an order gives them: JSON, and what has a default or a condition may be left out."""
    members: dict[str, Member] = {}
    for name, schema in inputs.items():
        needed = schema.get("required") is not False and not {"default", "when"} & schema.keys()
        members[name] = Member(type=_input_type(schema, in_expressions=False), required=needed)
    return ObjectType(members=members)


def _input_type(schema: Mapping[str, JsonValue], *, in_expressions: bool) -> ValueType:
    plain = {key: value for key, value in schema.items() if key not in OWN_INPUT_KEYS}
    try:
        kind = from_json_schema(plain)
    except SchemaTranslationError:
        kind = AnyType()
    return replace(in_scope(kind) if in_expressions else kind, secret=schema.get("secret") is True)


_ITEM = ("item",)
Guards = dict[tuple[str, ...], frozenset[Condition] | None]


class _Typing:
    """Types one model. The names in scope grow step by step; what is left behind with a loop leaves the scope again."""

    def __init__(self, resolved: Resolved) -> None:
        self._resolved = resolved
        self._inputs = input_types(resolved.document.inputs)
        self._guards: Guards = {}
        self._whens: dict[Path, TypedNode] = {}
        self._loops: dict[Path, TypedLoop] = {}
        self._steps: list[TypedStep] = []
        self._names: dict[str, ValueType] = {
            "inputs": self._inputs,
            "values": ObjectType(),
            "requester": PERSON,
            "user": PERSON,
            "request": REQUEST,
            "settings": broad_type_of(dict(resolved.settings)),
            "facts": ObjectType(),
            "steps": ObjectType(),
        }
        self._guard_inputs()

    def typed(self) -> Typed:
        resolved = self._resolved
        order, _ = order_of_values(resolved.values)
        asked = {
            name: self._node(one.when, (*one.path, "when"), self._scope)
            for name, one in resolved.inputs.items()
            if one.when is not None
        }
        choices = {name: self._choices(one.choices) for name, one in resolved.inputs.items() if one.choices is not None}
        values = {name: self._value(name) for name in order}
        prerequisites = tuple([self._prerequisite(read) for read in resolved.prerequisites])
        places = self._places(after_steps=False)
        self._blocks(resolved.blocks, Facts(), frozenset())
        places |= self._places(after_steps=True)
        verify = tuple(TypedRead(**self._call(look, self._scope), resolved=look) for look in resolved.verify)
        return Typed(
            resolved=resolved,
            inputs=self._inputs,
            asked=asked,
            choices=choices,
            values=values,
            value_order=order,
            prerequisites=prerequisites,
            places=places,
            steps=tuple(self._steps),
            whens=self._whens,
            loops=self._loops,
            verify=verify,
            outputs=tuple(self._outputs()),
        )

    @property
    def _scope(self) -> TypeScope:
        return TypeScope(dict(self._names), dict(self._guards))

    def _guard_inputs(self) -> None:
        """An input that may be absent needs a guard: its own condition, or `is defined`."""
        for name, member in self._inputs.members.items():
            if not member.required:
                asked, schema = self._resolved.inputs[name].when, self._resolved.document.inputs[name]
                always = schema.get("required") is not False or "default" in schema
                known = asked is not None and always
                self._guards["inputs", name] = conjuncts(parse_expression(asked.source)) if known and asked else None

    # outside steps

    def _value(self, name: str) -> TypedNode:
        typed = self._node(self._resolved.values[name], ("values", name), self._scope)
        self._add("values", name, typed.given_type or AnyType())
        return typed

    def _choices(self, choices: ResolvedChoices) -> TypedChoices:
        call = self._call(choices, self._scope)
        answered = self._answered(choices, call, self._scope)
        path = (*choices.path, "select")
        select = None if choices.select is None else self._node(choices.select, path, answered)
        return TypedChoices(**call, resolved=choices, select=select)

    def _prerequisite(self, read: ResolvedRead) -> TypedRead:
        call = self._call(read, self._scope)
        if read.id is not None and read.uses:
            self._add("facts", read.id, call["result"])
        return TypedRead(**call, resolved=read)

    def _places(self, *, after_steps: bool) -> dict[Path, TypedPlace]:
        scope = self._scope
        scopes = {
            "notify": scope.with_names({"request": NOTIFIED_REQUEST}),
            "triggers": scope.with_names({"event": AnyType()}),
        }
        return {
            place.path: TypedPlace(place, self._node(place.node, place.path, scopes.get(str(place.path[0]), scope)))
            for place in self._resolved.places
            if (place.path[0] == "lease") is after_steps
        }

    def _outputs(self) -> Iterator[TypedOutput]:
        for output in self._resolved.outputs:
            value = self._node(output.value, (*output.path, "value"), self._scope)
            url = None if output.url is None else self._node(output.url, (*output.path, "url"), self._scope)
            yield TypedOutput(output.name, output.path, value, url)

    # blocks: `needed` are the conditions that all hold where a block runs

    def _blocks(self, blocks: Iterable[ResolvedBlock], facts: Facts, needed: frozenset[Condition]) -> None:
        for block in blocks:
            match block:
                case ResolvedStep():
                    self._step(block, facts, needed)
                case ResolvedGroup():
                    self._group(block, facts, needed)
                case ResolvedParallel():
                    inside = self._inside(block, facts)
                    self._blocks(block.branches, facts | inside, needed | _conditions(block.when))
                    self._left(block)

    def _group(self, group: ResolvedGroup, facts: Facts, needed: frozenset[Condition]) -> None:
        inside = self._inside(group, facts)
        outside = dict(self._names)
        loop = self._loop(group.loop, group.path, facts)
        if loop is not None:
            facts, inside = facts.without(_ITEM), inside.without(_ITEM)
        self._blocks(group.blocks, facts | inside, needed | _conditions(group.when))
        otherwise = self._otherwise(group, facts)
        unmet = frozenset() if group.when is None else negated(parse_expression(group.when.source))
        self._blocks(group.alternative, facts | otherwise, needed | unmet)
        if loop is None:
            self._left(group)
            return
        known = self._names["steps"]
        assert isinstance(known, ObjectType)
        inner = [block.id for block in blocks_of((*group.blocks, *group.alternative)) if block.id is not None]
        steps = ObjectType(members={name: known.members[name] for name in inner if name in known.members})
        self._forget(inner)
        self._names = outside | {"steps": self._names["steps"]}
        if group.id is not None:
            self._add("steps", group.id, _loop_entry(loop, {"steps": steps}))

    def _inside(self, block: ResolvedGroup | ResolvedParallel, facts: Facts) -> Facts:
        """Types a block's condition; what is known inside it."""
        if block.when is None:
            return Facts()
        scope = self._scope.knowing(facts)
        self._whens[block.path] = self._node(block.when, (*block.path, "when"), scope)
        return self._known(block.when, (*block.path, "when"), scope, holds=True)

    def _otherwise(self, group: ResolvedGroup, facts: Facts) -> Facts:
        if group.when is None:
            return Facts()
        return self._known(group.when, (*group.path, "when"), self._scope.knowing(facts), holds=False)

    def _known(self, when: Expression, path: Path, scope: TypeScope, *, holds: bool) -> Facts:
        if path in self._resolved.broken:
            return Facts()
        return facts_if(parse_expression(when.source), scope, holds)

    def _loop(self, loop: ResolvedLoop | None, path: Path, facts: Facts) -> ValueType | None:
        """Types a loop and brings `item` into scope; the type of an item, None where there is no loop."""
        if loop is None:
            return None
        scope = self._scope.knowing(facts)
        items = None if loop.items is None else self._node(loop.items, (*path, "for_each"), scope)
        item = AnyType() if items is None else item_of(items.type) or AnyType()
        self._names["item"] = item
        within = self._scope.knowing(facts.without(_ITEM))
        key = None if loop.key is None else self._node(loop.key, (*path, "key"), within)
        self._loops[path] = TypedLoop(items, key)
        return item

    def _left(self, block: ResolvedGroup | ResolvedParallel) -> None:
        """A block is behind: its state can be read, and what may have failed in it needs a guard."""
        if block.document.on_failure == "continue":
            for inner in blocks_of((block,)):
                if inner.id is not None and inner is not block:
                    self._guard_step(inner.id, None)
        if block.id is not None:
            self._add("steps", block.id, _entry({}))

    def _step(self, step: ResolvedStep, facts: Facts, needed: frozenset[Condition]) -> None:
        outside = dict(self._names)
        item = self._loop(step.loop, step.path, facts)
        scope = self._scope.knowing(facts if item is None else facts.without(_ITEM))
        if step.when is not None:
            path = (*step.path, "when")
            self._whens[step.path] = self._node(step.when, path, scope)
            scope = scope.knowing(self._known(step.when, path, scope, holds=True))
        call = self._call(step, scope)
        answered = self._answered(step, call, scope)
        undo = tuple(self._undo(undo, step, call, answered) for undo in step.undo)
        self._steps.append(TypedStep(**call, resolved=step, undo=undo))
        self._names = outside
        parts: dict[str, ValueType] = {"result": call["result"], "args": _arguments_type(call["arguments"])}
        if item is not None:
            self._add("steps", step.id, _loop_entry(item, parts))
            return
        self._add("steps", step.id, _entry(parts))
        self._guards |= _result_guards(step, ("steps", step.id, "result"))
        if step.document.on_failure == "continue":
            self._guard_step(step.id, None)
        elif needed := needed | _conditions(step.when):
            self._guard_step(step.id, needed)

    def _undo(self, undo: ResolvedUndo, step: ResolvedStep, forward: Mapping[str, Any], scope: TypeScope) -> TypedUndo:
        # A failed step's own undo runs too, and then there is no result.
        scope = replace(scope, guards={**scope.guards, ("result",): None})
        conditions: dict[str, TypedNode] = {}
        if undo.when is not None:
            path = (*undo.path, "when")
            conditions["when"] = self._node(undo.when, path, scope)
            scope = scope.knowing(self._known(undo.when, path, scope, holds=True))
        own_hosts = undo.hosts is not None and undo.hosts is not step.hosts
        call = self._call(replace(undo, hosts=undo.hosts if own_hosts else None), scope)
        call["conditions"] = conditions | call["conditions"]
        return TypedUndo(**call, resolved=undo)

    def _call(self, call: ResolvedCall, scope: TypeScope) -> dict[str, Any]:
        """The members of a `TypedCall` but its `resolved`."""
        path = call.path
        arguments = self._node(call.arguments, (*path, "with"), scope)
        typed: dict[str, Any] = {
            "arguments": arguments,
            "target": self._targets(call.target, scope),
            "hosts": None if call.hosts is None else self._node(call.hosts, (*path, "hosts"), scope),
            "result": _result_type(call),
        }
        answered = self._answered(call, typed, scope)
        conditions = {"expect": call.expect, "until": call.until, "fails": call.fails}
        typed["conditions"] = {
            key: self._node(node, (*path, key), answered) for key, node in conditions.items() if node is not None
        }
        said = call.otherwise
        typed["otherwise"] = None if said is None else self._node(said, (*path, "otherwise"), answered)
        return typed

    def _answered(self, call: ResolvedCall, typed: Mapping[str, Any], scope: TypeScope) -> TypeScope:
        """The scope once an answer is there; where nothing is called there is none.

        In an undo, `args` stay those of the step: what an undo looks at again and again is judged by them.
        """
        if not call.uses:
            return scope
        names: dict[str, ValueType] = {"result": typed["result"]}
        guards = _result_guards(call, ("result",))
        if not isinstance(call, ResolvedUndo):
            arguments = names["args"] = _arguments_type(typed["arguments"])
            guards |= {("args", name): None for name, member in arguments.members.items() if not member.required}
        answered = scope.hiding(names)
        return replace(answered, guards={**answered.guards, **guards})

    def _targets(self, target: Targets, scope: TypeScope) -> TypedTargets:
        return TypedTargets({name: self._node(node, target.paths[name], scope) for name, node in target.nodes.items()})

    # names

    def _add(self, root: str, name: str, kind: ValueType) -> None:
        known = self._names[root]
        assert isinstance(known, ObjectType)
        self._names[root] = replace(known, members={**known.members, name: Member(type=kind, required=True)})

    def _guard_step(self, name: str, needed: frozenset[Condition] | None) -> None:
        for part in ("result", "args"):
            self._guards["steps", name, part] = needed

    def _forget(self, names: list[str]) -> None:
        known = self._names["steps"]
        assert isinstance(known, ObjectType)
        kept = {name: member for name, member in known.members.items() if name not in names}
        self._names["steps"] = replace(known, members=kept)
        gone = [path for path in self._guards if path[0] == "steps" and path[1] in names]
        for path in gone:
            del self._guards[path]

    # values

    def _node(self, node: Node, path: Path, scope: TypeScope) -> TypedNode:
        if path in self._resolved.broken:
            return TypedNode(path, node, AnyType())
        match node:
            case Literal(value=value):
                return TypedNode(path, node, type_of(value))
            case Expression(source=source):
                found = infer(parse_expression(source), scope)
                return TypedNode(path, node, found.type, found.problems, outcome=found.outcome)
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


def _conditions(when: Expression | None) -> frozenset[Condition]:
    return frozenset() if when is None else conjuncts(parse_expression(when.source))


def _entry(parts: Mapping[str, ValueType]) -> ObjectType:
    """What `steps.ID` holds."""
    kinds: dict[str, ValueType] = {"state": STEP_STATE, **parts}
    return ObjectType(members={name: Member(type=kind, required=True) for name, kind in kinds.items()})


def _loop_entry(item: ValueType, parts: Mapping[str, ValueType]) -> ObjectType:
    """What `steps.ID` holds of a loop: each item with what came of it. `result` may be absent, as in an answer."""
    each = _entry({"item": item, **parts})
    return _entry({"items": ArrayType(items=each)})


def _result_type(call: ResolvedCall) -> ValueType:
    returned = _returned(call)
    if returned is not None:
        return in_scope(returned)
    return call.spec.result if call.spec is not None else AnyType()


def _returned(call: ResolvedCall) -> ValueType | None:
    """The type that `returns` gives. A task's form has the fields it names and no others; an event may hold more."""
    returns = call.document.returns if isinstance(call, ResolvedStep) else None
    if returns is None:
        return None
    try:
        kind = from_json_schema(dict(returns))
    except SchemaTranslationError:
        return AnyType()  # the check of tasks says why
    closed = call.uses == HUMAN_TASK and isinstance(kind, ObjectType) and "additionalProperties" not in returns
    return replace(kind, others=None) if closed and isinstance(kind, ObjectType) else kind


def _result_guards(call: ResolvedCall, path: tuple[str, ...]) -> Guards:
    """What `returns` does not require may be absent."""
    returned = _returned(call)
    members = returned.members if isinstance(returned, ObjectType) else {}
    return {(*path, name): None for name, member in members.items() if not member.required}


def _arguments_type(arguments: TypedNode) -> ObjectType:
    """What `args` holds: the arguments as they were sent."""
    members = {
        name: Member(type=node.given_type or AnyType(), required=not node.may_be_omitted)
        for name, node in (arguments.members or {}).items()
    }
    return ObjectType(members=members)


def _map_type(members: Mapping[str, TypedNode]) -> ObjectType:
    return ObjectType(
        members={
            key: Member(type=kind, required=not member.may_be_omitted)
            for key, member in members.items()
            if (kind := member.given_type) is not None
        }
    )

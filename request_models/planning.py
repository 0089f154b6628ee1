"""The stage `planned`: a typed model without errors as a Plan, its secrets marked."""

from collections.abc import Iterator, Mapping

from request_models.actions import ErrorClass
from request_models.durations import parse_duration
from request_models.json_values import JsonValue, escape_pointer
from request_models.plan import (
    Due,
    Expression,
    ListOf,
    Literal,
    MapOf,
    NamedValue,
    Node,
    Output,
    Owners,
    Plan,
    Retry,
    Step,
    Text,
    Undo,
    UndoAction,
)
from request_models.schema import OwnersDocument, StepDocument
from request_models.type_algebra import DEEPEST, any_secret, item_of, member_of, options, resolved
from request_models.typed import Typed, TypedNode, TypedOutput, TypedStep, TypedUndo
from request_models.value_types import AnyType, ArrayType, ObjectType, ValueType


def plan_of(typed: Typed) -> Plan:
    """The plan of a model that no check found an error in."""
    document = typed.resolved.document
    return Plan(
        model=document.model,
        title=document.title,
        kind=document.kind,
        service=document.service,
        summary=document.summary or {},
        owners=_owners(document.owners),
        inputs=input_schema(document.inputs),
        input_order=tuple(document.inputs),
        due=Due(_seconds(document.due.within), document.due.calendar, tuple(document.due.stops_in)),
        values=tuple(NamedValue(name, _marked(typed.values[name], AnyType())) for name in typed.value_order),
        steps=tuple(_step(step) for step in typed.steps),
        outputs=tuple(_output(typed, output) for output in typed.outputs),
    )


def input_schema(inputs: Mapping[str, Mapping[str, JsonValue]]) -> dict[str, JsonValue]:
    """The inputs of a model as one JSON Schema; secret ones are `writeOnly`."""
    properties: dict[str, JsonValue] = {}
    for name, schema in inputs.items():
        plain = plain_schema(schema)
        properties[name] = {**plain, "writeOnly": True} if schema.get("secret") is True else plain
    needed: list[JsonValue] = [
        name for name, schema in inputs.items() if schema.get("required") is not False and "default" not in schema
    ]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def plain_schema(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """One input as JSON Schema alone: without the language's own keys, its title one text."""
    plain = {key: value for key, value in schema.items() if key not in {"required", "secret"}}
    titles = plain.get("title")
    if isinstance(titles, dict) and titles:
        plain |= {"title": titles.get("en", next(iter(titles.values()))), "x-titles": titles}
    return plain


def _owners(owners: OwnersDocument) -> Owners:
    return Owners(owners.accountable, tuple(owners.responsible), tuple(owners.consulted), tuple(owners.informed))


def _seconds(duration: str) -> float:
    return parse_duration(duration).total_seconds()


def _step(step: TypedStep) -> Step:
    source, document = step.resolved, step.resolved.document
    spec = source.spec
    assert spec is not None, "an unknown action is an error before planning"
    return Step(
        path=document.id,
        title=document.title or {"en": document.id},
        uses=document.uses,
        contract=spec.contract,
        effect=spec.effect,
        arguments=_arguments(step.arguments, spec.arguments),
        target={name: _marked(node, AnyType()) for name, node in step.target.nodes.items()},
        when=_condition(step.when),
        expect=_condition(step.expect),
        otherwise=None if step.otherwise is None else _marked(step.otherwise, AnyType()),
        hosts=None if step.hosts is None else _marked(step.hosts, AnyType()),
        retry=_retry(document),
        timeout_seconds=None if document.timeout is None else _seconds(document.timeout),
        undo=_undo(step),
        content_digest=spec.content_digest,
        secret_results=tuple(_secret_places(spec.result, "", 0)),
    )


def _retry(document: StepDocument) -> Retry:
    retry = document.retry
    return Retry(
        attempts=retry.attempts,
        delay_seconds=_seconds(retry.delay),
        factor=float(retry.factor),
        errors=tuple(ErrorClass(name) for name in retry.errors),
    )


def _undo(step: TypedStep) -> Undo | None:
    document = step.resolved.document.undo
    if document is None:
        return None
    actions = tuple(_undo_action(undo) for undo in step.undo)
    return Undo(actions=actions, covered_by=document.covered_by, none=document.none)


def _undo_action(undo: TypedUndo) -> UndoAction:
    document, spec = undo.resolved.document, undo.resolved.spec
    assert spec is not None, "an unknown action is an error before planning"
    return UndoAction(
        uses=document.uses,
        contract=spec.contract,
        effect=spec.effect,
        arguments=_arguments(undo.arguments, spec.arguments),
        target={name: _marked(node, AnyType()) for name, node in undo.target.nodes.items()},
        hosts=_marked(undo.hosts, AnyType()) if undo.hosts is not None and spec.takes_hosts else None,
        timeout_seconds=None if document.timeout is None else _seconds(document.timeout),
        content_digest=spec.content_digest,
    )


def _output(typed: Typed, output: TypedOutput) -> Output:
    document = typed.resolved.document.outputs[output.name]
    return Output(
        name=output.name,
        value=_marked(output.value, AnyType(secret=document.secret)),
        title=document.title or {},
        url=None if output.url is None else _marked(output.url, AnyType()),
        secret=document.secret,
    )


def _condition(node: TypedNode | None) -> Expression | None:
    marked = None if node is None else _marked(node, AnyType())
    assert marked is None or isinstance(marked, Expression)
    return marked


def _arguments(node: TypedNode, wanted: ObjectType) -> MapOf:
    return MapOf({key: _marked(part, _member(wanted, key)) for key, part in (node.members or {}).items()})


def _marked(node: TypedNode, wanted: ValueType) -> Node:
    """The node with every expression marked into which a secret flows, or whose value the action keeps secret."""
    match node.node:
        case Expression(source=source, reads=reads):
            return Expression(source, reads, secret=any_secret(node.type) or any_secret(wanted))
        case Text(source=source, reads=reads):
            return Text(source, reads, secret=any_secret(node.type) or any_secret(wanted))
        case ListOf():
            inner = item_of(wanted) or AnyType()
            return ListOf(tuple(_marked(item, inner) for item in node.items or ()))
        case MapOf():
            return MapOf({key: _marked(part, _member(wanted, key)) for key, part in (node.members or {}).items()})
        case Literal():
            return node.node


def _member(wanted: ValueType, key: str) -> ValueType:
    """The type of a member of arguments, by its name or another name of it."""
    for option in options(wanted):
        for member in option.members.values() if isinstance(option, ObjectType) else ():
            if key in member.aliases:
                return member.type
    found = member_of(wanted, key)
    return AnyType() if found is None else found.type


def _secret_places(found: ValueType, pointer: str, depth: int) -> Iterator[str]:
    """JSON pointers of the secret parts of a type, `*` for any index or key."""
    if found.secret:
        yield pointer
        return
    if depth > DEEPEST or not any_secret(found):
        return
    found = resolved(found)
    if found.secret:
        yield pointer
        return
    places: list[str] = []
    for option in options(found):
        match option:
            case ArrayType(items=items):
                places.extend(_secret_places(items, f"{pointer}/*", depth + 1))
            case ObjectType(members=members, others=others):
                for name, member in members.items():
                    places.extend(_secret_places(member.type, f"{pointer}/{escape_pointer(name)}", depth + 1))
                if others is not None:
                    places.extend(_secret_places(others, f"{pointer}/*", depth + 1))
            case ValueType(secret=True):
                places.append(pointer)
            case _:
                pass
    yield from dict.fromkeys(places)

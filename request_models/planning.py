"""The stage `planned`: a typed model without errors as a Plan, its secrets marked."""

from collections.abc import Iterator, Mapping
from typing import Any

from request_models.actions import EffectClass, ErrorClass
from request_models.document import Duration
from request_models.durations import parse_duration
from request_models.json_values import JsonValue, escape_pointer
from request_models.model_types import OWN_INPUT_KEYS
from request_models.plan import (
    Approval,
    Block,
    Choices,
    Due,
    Eligible,
    Expression,
    Group,
    InputRule,
    Lease,
    ListOf,
    Literal,
    Loop,
    MapOf,
    NamedValue,
    Node,
    Notice,
    OnFailure,
    Output,
    Owners,
    Parallel,
    Plan,
    Polling,
    Question,
    Read,
    Retry,
    Starts,
    Step,
    Supplier,
    Text,
    Trigger,
    Undo,
    UndoAction,
)
from request_models.resolved import ResolvedBlock, ResolvedGroup, ResolvedParallel, ResolvedStep
from request_models.schema import ApprovalDocument, OwnersDocument
from request_models.step_documents import PollingDocument, RetryDocument
from request_models.type_algebra import DEEPEST, any_secret, item_of, member_of, options, resolved
from request_models.typed import Typed, TypedCall, TypedNode, TypedOutput, TypedStep, TypedUndo
from request_models.value_types import AnyType, ArrayType, ObjectType, ValueType
from request_models.yaml_source import Path

EVERY = "PT10S"
"""The pause between two looks of a poll that says none."""


def plan_of(typed: Typed, calendars: Mapping[str, JsonValue] | None = None) -> Plan:
    """The plan of a model that no check found an error in. `calendars` are those it names, as JSON."""
    return _Planning(typed).plan(calendars or {})


def input_schema(inputs: Mapping[str, Mapping[str, JsonValue]]) -> dict[str, JsonValue]:
    """The inputs of a model as one JSON Schema; secret ones are `writeOnly`.

    Required are those that must be given whatever the others are: an input with `when` is not among them.
    """
    properties: dict[str, JsonValue] = {}
    for name, schema in inputs.items():
        plain = plain_schema(schema)
        properties[name] = {**plain, "writeOnly": True} if schema.get("secret") is True else plain
    needed: list[JsonValue] = [
        name
        for name, schema in inputs.items()
        if schema.get("required") is not False and not {"default", "when"} & schema.keys()
    ]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def plain_schema(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """One input as JSON Schema alone: without the language's own keys, its title one text."""
    plain = {key: value for key, value in schema.items() if key not in OWN_INPUT_KEYS}
    titles = plain.get("title")
    if isinstance(titles, dict) and titles:
        plain |= {"title": titles.get("en", next(iter(titles.values()))), "x-titles": titles}
    return plain


def _owners(owners: OwnersDocument) -> Owners:
    return Owners(owners.accountable, tuple(owners.responsible), tuple(owners.consulted), tuple(owners.informed))


def _seconds(duration: Duration) -> float:
    return parse_duration(duration).total_seconds()


def _seconds_or_none(duration: Duration | None) -> float | None:
    return None if duration is None else _seconds(duration)


class _Planning:
    """Makes the plan of one typed model."""

    def __init__(self, typed: Typed) -> None:
        self._typed = typed
        self._document = typed.resolved.document
        self._steps = {step.resolved.path: step for step in typed.steps}

    def plan(self, calendars: Mapping[str, JsonValue]) -> Plan:
        typed, document = self._typed, self._document
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
            blocks=tuple(self._block(block) for block in typed.resolved.blocks),
            outputs=tuple(_output(typed, output) for output in typed.outputs),
            input_rules=dict(self._input_rules()),
            suppliers=tuple(self._suppliers()),
            eligible=self._eligible(),
            prerequisites=tuple(
                Read(**_call(read), path=f"prerequisites.{read.resolved.id}") for read in typed.prerequisites
            ),
            approvals=tuple(self._approval(("approvals", n), one) for n, one in enumerate(document.approvals)),
            starts=None if document.starts is None else Starts(self._place("starts", "at"), document.starts.window),
            locks=tuple(self._required("locks", number) for number in range(len(document.locks))),
            on_failure=OnFailure(document.on_failure),
            verify=tuple(Read(**_call(look), path=f"verify.{n}") for n, look in enumerate(typed.verify, start=1)),
            notify=tuple(self._notices()),
            questions=()
            if document.feedback is None
            else tuple(Question(one.id, one.ask) for one in document.feedback.questions),
            triggers=tuple(self._triggers()),
            lease=self._lease(),
            calendars=calendars,
        )

    # blocks

    def _block(self, block: ResolvedBlock) -> Block:
        common: dict[str, Any] = {
            "path": block.id or "",
            "title": block.document.title or {},
            "when": self._when(block.path),
            "on_failure": OnFailure(block.document.on_failure),
        }
        match block:
            case ResolvedStep():
                common["title"] = block.document.title or {"en": block.id}
                return self._step(self._steps[block.path], common)
            case ResolvedGroup():
                inner = tuple(self._block(one) for one in block.blocks)
                alternative = tuple(self._block(one) for one in block.alternative)
                return Group(blocks=inner, alternative=alternative, loop=self._loop(block), **common)
            case ResolvedParallel():
                return Parallel(branches=tuple(self._block(branch) for branch in block.branches), **common)

    def _step(self, step: TypedStep, common: Mapping[str, Any]) -> Step:
        return Step(
            **_call(step),
            **common,
            loop=self._loop(step.resolved),
            undo=_undo(step),
            returns=step.resolved.document.returns,
        )

    def _when(self, path: Path) -> Expression | None:
        return _condition(self._typed.whens.get(path))

    def _loop(self, block: ResolvedStep | ResolvedGroup) -> Loop | None:
        loop = self._typed.loops.get(block.path)
        if loop is None or block.loop is None:
            return None
        items = _condition(loop.items)
        assert items is not None, "a loop that cannot be read is an error before planning"
        return Loop(items, _condition(loop.key), block.loop.concurrency)

    # what stands outside steps

    def _place(self, *path: str | int) -> Node | None:
        found = self._typed.places.get(path)
        return None if found is None else _marked(found.node, AnyType())

    def _required(self, *path: str | int) -> Node:
        node = self._place(*path)
        assert node is not None, "what is written has been read"
        return node

    def _conditional(self, *path: str | int) -> Expression | None:
        found = self._typed.places.get(path)
        return _condition(None if found is None else found.node)

    def _input_rules(self) -> Iterator[tuple[str, InputRule]]:
        for name, schema in self._document.inputs.items():
            choices = self._typed.choices.get(name)
            rule = InputRule(
                when=_condition(self._typed.asked.get(name)),
                choices=None if choices is None else Choices(**_call(choices), select=_expression(choices.select)),
                optional="when" in schema and (schema.get("required") is False or "default" in schema),
                shown_to=str(schema["shown_to"]) if "shown_to" in schema else None,
            )
            if rule != InputRule():
                yield name, rule

    def _suppliers(self) -> Iterator[Supplier]:
        for one in self._document.suppliers:
            yield Supplier(
                one.name, one.agreement, _seconds_or_none(one.within), float(one.allowance), tuple(one.steps)
            )

    def _eligible(self) -> Eligible | None:
        if self._document.eligible is None:
            return None
        requester, user = self._conditional("eligible", "requester"), self._conditional("eligible", "user")
        return Eligible(requester, user, self._place("eligible", "otherwise"))

    def _approval(self, path: Path, document: ApprovalDocument) -> Approval:
        return Approval(
            id=document.id,
            by=tuple(self._required(*path, "by", number) for number in range(len(document.by))),
            when=self._conditional(*path, "when"),
            quorum=document.quorum,
            in_turn=document.order == "written",
            within_seconds=_seconds_or_none(document.within),
            remind_seconds=_seconds_or_none(document.remind),
            escalate=tuple(self._required(*path, "escalate", n) for n in range(len(document.escalate or ()))),
            if_silent=document.if_silent,
            before=document.before,
            message=self._place(*path, "message"),
        )

    def _notices(self) -> Iterator[Notice]:
        for index, one in enumerate(self._document.notify):
            to = tuple(self._required("notify", index, "to", number) for number in range(len(one.to)))
            subject = self._place("notify", index, "subject")
            yield Notice(tuple(one.states), to, self._required("notify", index, "text"), subject)

    def _triggers(self) -> Iterator[Trigger]:
        for index, one in enumerate(self._document.triggers):
            inputs = {name: self._required("triggers", index, "inputs", name) for name in one.inputs}
            when = self._conditional("triggers", index, "when")
            yield Trigger(one.source, one.requester, MapOf(inputs), when)

    def _lease(self) -> Lease | None:
        lease = self._document.lease
        if lease is None:
            return None
        inputs = {name: self._required("lease", "retire", "inputs", name) for name in lease.retire.inputs}
        return Lease(lease.retire.model, MapOf(inputs), _seconds_or_none(lease.lasts), self._place("lease", "ends"))


def _call(call: TypedCall) -> dict[str, Any]:
    """The members of a plan's `Call`."""
    document, spec = call.resolved.document, call.resolved.spec
    wanted = ObjectType() if spec is None else spec.arguments
    takes_hosts = spec is not None and spec.takes_hosts
    return {
        "uses": document.uses or "",
        "contract": "" if spec is None else spec.contract,
        "effect": EffectClass.READ_ONLY if spec is None else spec.effect,
        "arguments": _arguments(call.arguments, wanted),
        "target": {name: _marked(node, AnyType()) for name, node in call.target.nodes.items()},
        "hosts": None if call.hosts is None or not takes_hosts else _marked(call.hosts, AnyType()),
        "expect": _condition(call.conditions.get("expect")),
        "otherwise": None if call.otherwise is None else _marked(call.otherwise, AnyType()),
        "retry": _retry(document.retry),
        "polling": _polling(call),
        "timeout_seconds": _seconds_or_none(document.timeout),
        "content_digest": None if spec is None else spec.content_digest,
        "secret_results": tuple(_secret_places(call.result, "", 0)),
    }


def _retry(retry: RetryDocument) -> Retry:
    return Retry(
        attempts=retry.attempts,
        delay_seconds=_seconds(retry.delay),
        factor=float(retry.factor),
        errors=tuple(ErrorClass(name) for name in retry.errors),
    )


def _polling(call: TypedCall) -> Polling | None:
    document, until = call.resolved.document, _condition(call.conditions.get("until"))
    if not isinstance(document, PollingDocument) or until is None:
        return None
    return Polling(
        until=until,
        every_seconds=_seconds(document.every or EVERY),
        within_seconds=_seconds(document.within or EVERY),
        not_yet=tuple(document.not_yet),
        fails=_condition(call.conditions.get("fails")),
    )


def _undo(step: TypedStep) -> Undo | None:
    document = step.resolved.document.undo
    if document is None:
        return None
    actions = tuple(_undo_action(undo, step) for undo in step.undo)
    return Undo(actions=actions, covered_by=document.covered_by, none=document.none)


def _undo_action(undo: TypedUndo, step: TypedStep) -> UndoAction:
    call = _call(undo)
    if undo.hosts is None and undo.resolved.spec is not None and undo.resolved.spec.takes_hosts:
        call["hosts"] = None if step.hosts is None else _marked(step.hosts, AnyType())
    return UndoAction(**call, when=_condition(undo.conditions.get("when")))


def _output(typed: Typed, output: TypedOutput) -> Output:
    document = typed.resolved.document.outputs[output.name]
    return Output(
        name=output.name,
        value=_marked(output.value, AnyType(secret=document.secret)),
        title=document.title or {},
        url=None if output.url is None else _marked(output.url, AnyType()),
        secret=document.secret,
        once=document.once,
        to=document.to,
    )


def _expression(node: TypedNode | None) -> Expression:
    found = _condition(node)
    assert found is not None, "an expression that cannot be read is an error before planning"
    return found


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

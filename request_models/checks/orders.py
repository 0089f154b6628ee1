"""Triggers, leases, notices: inputs that fit the model ordered, moments that are moments, people that can be told."""

import re
from collections.abc import Iterator, Mapping

from request_models.assignability import assignment
from request_models.findings import Finding
from request_models.model_types import order_types
from request_models.plan import Literal
from request_models.type_algebra import any_secret, is_any, say_type
from request_models.typed import Typed, TypedNode
from request_models.value_types import ObjectType, StringType, UnionType, ValueType, check_value
from request_models.yaml_source import Path

RECIPIENT = re.compile(r"requester|user|(?:person|group|chat|mail):\S.*")
"""How somebody who is told is written."""
_MOMENT = UnionType(options=(StringType(format="date-time"), StringType(format="date")))


def check(typed: Typed) -> Iterator[Finding]:
    """Inputs: `missing-argument`, `unknown-argument`, `argument-type`, `secret-in-argument`.

    Others: `moment-type`, `recipient-form`.
    """
    document = typed.resolved.document
    for index, trigger in enumerate(document.triggers):
        path: Path = ("triggers", index, "inputs")
        yield from _inputs(typed, path, trigger.inputs, order_types(document.inputs), "this model")
    if document.lease is not None:
        order = document.lease.retire
        known = typed.resolved.surroundings.interface(order.model)
        if known is not None:
            yield from _inputs(typed, ("lease", "retire", "inputs"), order.inputs, known.inputs, f"`{order.model}`")
    for place in typed.places.values():
        if place.place.role == "moment":
            yield from _moment(place.node)
        elif place.place.role == "recipient":
            yield from _recipient(place.node)


def _inputs(typed: Typed, path: Path, given: Mapping[str, object], wanted: ObjectType, model: str) -> Iterator[Finding]:
    for name, member in wanted.members.items():
        if member.required and name not in given:
            hint = f"write `{name}:` with {say_type(member.type)}"
            yield Finding(path, "missing-argument", f"{model} needs the input `{name}`", hint, on_key=True)
    for name in given:
        place = typed.places.get((*path, name))
        if place is None:
            continue
        if name not in wanted.members:
            hint = f"its inputs are {', '.join(sorted(wanted.members)) or 'none'}"
            yield Finding((*path, name), "unknown-argument", f"{model} has no input `{name}`", hint, on_key=True)
            continue
        yield from _fits(place.node, wanted.members[name].type, name)


def _fits(node: TypedNode, wanted: ValueType, name: str) -> Iterator[Finding]:
    kind = node.given_type
    if node.wrong or kind is None or is_any(kind):
        return
    for wrong in assignment(kind, wanted).mismatches[:3]:
        yield Finding(node.path, "argument-type", f"`{name}` {wrong.message}")
    if any_secret(kind) and not any_secret(wanted):
        message = f"a secret would be given to the input `{name}`, which is not secret"
        yield Finding(node.path, "secret-in-argument", message, "mark that input `secret: true` in its model")


def _moment(node: TypedNode) -> Iterator[Finding]:
    kind = node.given_type
    if node.wrong or kind is None or is_any(kind):
        return
    literal = node.node.value if isinstance(node.node, Literal) else None
    wrong = check_value(_MOMENT, literal) if literal is not None else assignment(kind, _MOMENT).mismatches
    if wrong:
        message = f"this is to be a moment, but it is {say_type(kind)}"
        yield Finding(node.path, "moment-type", message, "write 2026-11-05T22:00:00Z, or an expression that gives one")


def _recipient(node: TypedNode) -> Iterator[Finding]:
    if isinstance(node.node, Literal) and isinstance(node.node.value, str) and not RECIPIENT.fullmatch(node.node.value):
        hint = "write `requester`, `user`, `person:ID`, `group:NAME`, `mail:ADDRESS` or `chat:CHANNEL`"
        yield Finding(node.path, "recipient-form", f"`{node.node.value}` names nobody who could be told", hint)

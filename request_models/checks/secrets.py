"""A secret never flows where it would be shown or stored."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from request_models.actions import ActionSpec
from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.plan import Expression, Literal, Text
from request_models.type_algebra import any_secret, is_any, options, resolved
from request_models.typed import Typed, TypedNode
from request_models.value_types import ArrayType, ObjectType, ValueType


def check(typed: Typed) -> Iterator[Finding]:
    """`secret-shown`: in an output, address, message, host or target; `secret-in-argument`; `secret-in-model`."""
    for call in typed.calls:
        shown = {"`otherwise`": call.otherwise, "`hosts`": call.hosts}
        yield from _shown({name: node for name, node in shown.items() if node is not None})
        yield from _shown({f"target `{name}`": node for name, node in call.target.nodes.items()})
        yield from _call(call.resolved.spec, call.arguments)
    for loop in typed.loops.values():
        if loop.key is not None:
            yield from _shown({"the name of an item": loop.key}, "name items by something that is not secret")
    for found in typed.places.values():
        what = _SHOWN.get(found.place.role)
        if what is not None:
            yield from _shown({what: found.node})
    for output in typed.outputs:
        document = typed.resolved.document.outputs[output.name]
        if output.url is not None:
            yield from _shown({"an address": output.url})
        if not document.secret:
            hint = "mark the output `secret: true`, or leave the secret out of it"
            yield from _shown({f"output `{output.name}`": output.value}, hint)


_SHOWN = {
    "text": "a message",
    "approvers": "who approves",
    "recipient": "who is told",
    "lock": "the name of a lock",
    "moment": "a moment",
}
"""By the role of a value outside steps: what it would be shown in."""


def _shown(nodes: Mapping[str, TypedNode], hint: str = "") -> Iterator[Finding]:
    for name, node in nodes.items():
        for leaf in node.walk():
            if isinstance(leaf.node, Expression | Text) and any_secret(leaf.type):
                yield Finding(leaf.path, "secret-shown", f"a secret would be shown in {name}", hint)


def _call(spec: ActionSpec | None, arguments: TypedNode) -> Iterator[Finding]:
    for finding in () if spec is None else _taken(arguments, spec.arguments, f"`{spec.name}`"):
        if spec is not None and spec.secret_hint and finding.code == "secret-in-argument":
            name = str(finding.path[len(arguments.path)])
            yield replace(finding, hint=spec.secret_hint.format(name=name))
        else:
            yield finding


def _taken(node: TypedNode, wanted: ValueType, name: str) -> Iterator[Finding]:
    """Secrets go only where the action says that it keeps them; where it takes any value, that is its concern."""
    wanted = resolved(wanted)
    if is_any(wanted):
        return
    if wanted.secret or any(option.secret for option in options(wanted)):
        if isinstance(node.node, Literal) and node.node.value:
            hint = "take it from a secret input, or let the connector's settings hold it"
            message = f"{name} is secret, but its value stands in the model"
            yield Finding(node.path, "secret-in-model", message, hint, Severity.WARNING)
        return
    if node.members is not None:
        for key, member in node.members.items():
            yield from _taken(member, _member_type(wanted, key), f"`{key}`")
    elif node.items is not None:
        items = [option.items for option in options(wanted) if isinstance(option, ArrayType)]
        for item in node.items:
            yield from _taken(item, items[0] if items else wanted, name)
    elif isinstance(node.node, Expression | Text) and any_secret(node.type) and not any_secret(wanted):
        hint = "the action must declare this argument secret; otherwise it may show or log it"
        message = f"a secret would be given to {name}, which is not kept secret"
        yield Finding(node.path, "secret-in-argument", message, hint)


def _member_type(wanted: ValueType, key: str) -> ValueType:
    for option in options(wanted):
        if isinstance(option, ObjectType):
            if key in option.members:
                return option.members[key].type
            if option.others is not None:
                return option.others
    return wanted

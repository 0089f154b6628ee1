"""A step names hosts and groups that there are, one by one: never all, and no pattern."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from request_models.actions import ActionSpec
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.plan import Literal
from request_models.type_algebra import options
from request_models.typed import Typed, TypedNode
from request_models.value_types import ArrayType, ObjectType, StringType, ValueType

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check(typed: Typed) -> Iterator[Finding]:
    """`hosts-pattern`, `unknown-hosts`."""
    for call in typed.calls:
        spec = call.resolved.spec
        if spec is not None and spec.takes_hosts and call.hosts is not None and not _is_map(call.hosts):
            for leaf in call.hosts.walk():
                for name in dict.fromkeys(_names(leaf) if leaf.items is None else ()):
                    yield from _named(name, leaf, spec)


def _is_map(hosts: TypedNode) -> bool:
    """Whether they are hosts that were just made, which no inventory has yet."""
    return any(isinstance(option, ObjectType) for option in options(hosts.type))


def _names(leaf: TypedNode) -> Iterator[str]:
    """The names a part of `hosts` may be, as far as they are written in the model."""
    if isinstance(leaf.node, Literal):
        yield from _texts(leaf.node.value)
    else:
        yield from _listed(leaf.type)


def _texts(value: JsonValue) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item


def _listed(kind: ValueType) -> Iterator[str]:
    for option in options(kind):
        if isinstance(option, StringType):
            yield from option.enum or ()
        elif isinstance(option, ArrayType):
            yield from _listed(option.items)


def _named(name: str, leaf: TypedNode, spec: ActionSpec) -> Iterator[Finding]:
    known = spec.known_hosts
    if name in {"", "all"} or _NAME.fullmatch(name) is None:
        message = f"`{name}` is not the name of a group or host" if name else "a group or host without a name"
        hint = "write the name of one group, or a list of names: nothing is ever run on all hosts, or on a pattern"
        yield Finding(leaf.path, "hosts-pattern", message if name != "all" else "`all` stands for every host", hint)
    elif known is not None and name not in known:
        choices = sorted(known - {"all", "ungrouped"})
        near = get_close_matches(name, choices, n=1)
        shown = ", ".join(f"`{other}`" for other in choices[:10]) + (", ..." if len(choices) > 10 else "")
        hint = f"is `{near[0]}` meant?" if near else f"there are: {shown or 'none'}"
        yield Finding(leaf.path, "unknown-hosts", f"the inventory has no group or host named `{name}`", hint)

"""Where secrets may stand in what a node renders to, so that those places are stored encrypted and never shown."""

from collections.abc import Iterator

from request_models.json_values import JsonValue, escape_pointer
from request_models.plan import Expression, ListOf, MapOf, Node, Text


def secret_pointers(node: Node, pointer: str = "") -> Iterator[str]:
    """JSON pointers, below what the node renders to, of every value into which a secret may flow.

    `omit` shifts the items behind it, so a list in which one item may be secret is secret as a whole.
    """
    match node:
        case Expression(secret=True) | Text(secret=True):
            yield pointer
        case ListOf(items=items):
            if any(True for item in items for _ in secret_pointers(item)):
                yield pointer
        case MapOf(members=members):
            for key, member in members.items():
                yield from secret_pointers(member, f"{pointer}/{escape_pointer(key)}")
        case _:
            return


def matching_pointers(value: JsonValue, patterns: tuple[str, ...]) -> list[str]:
    """The JSON pointers into `value` that the patterns name; `*` in a pattern stands for any index or key."""
    return [pointer for pattern in patterns for pointer in _matching(value, pattern.split("/")[1:], "")]


def _matching(value: JsonValue, tokens: list[str], pointer: str) -> Iterator[str]:
    if not tokens:
        yield pointer
        return
    token, rest = tokens[0], tokens[1:]
    for key, member in _members(value):
        if token in {"*", key}:
            yield from _matching(member, rest, f"{pointer}/{key}")


def _members(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield escape_pointer(key), member
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield str(index), member

"""What the parts of a plan read, and how they are written in a picture."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from request_models.drawing.graph import Part
from request_models.json_values import canonical_json
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text

Port = tuple[str, tuple[str, ...]]
"""A line of a box, and the dotted references that what it says reads."""


@dataclass(frozen=True)
class Drawn:
    """A part and what it reads, by its ports; an empty port is the box itself."""

    part: Part
    reads: tuple[Port, ...] = ()


def reads_of(node: Node | None) -> tuple[str, ...]:
    """The dotted references that a node reads, sorted."""
    return tuple(sorted(set(_reads(node))))


def shown(node: Node) -> str:
    """A node in one line: templates as they are written, texts without quotes, lists and maps by what they are."""
    match node:
        case Expression(source=source) | Text(source=source):
            return " ".join(source.split())
        case Literal(value=str() as value):
            return value
        case Literal(value=value):
            return canonical_json(value).decode()
        case ListOf():
            return "a list"
        case MapOf():
            return "a map"


def several(nodes: tuple[Node, ...]) -> str:
    """Nodes one after the other."""
    return ", ".join(shown(node) for node in nodes)


def condition(words: str, expression: Expression | None) -> Iterator[Port]:
    """The port of a condition, if there is one."""
    if expression is not None:
        yield f"{words} {shown(expression)}", reads_of(expression)


def text_of(texts: Mapping[str, str]) -> str:
    """A text of the model in English, or the first language it is in; empty when there is none."""
    return texts.get("en") or next(iter(texts.values()), "")


def _reads(node: Node | None) -> Iterator[str]:
    match node:
        case Expression(reads=reads) | Text(reads=reads):
            yield from reads
        case ListOf(items=items):
            for item in items:
                yield from _reads(item)
        case MapOf(members=members):
            for member in members.values():
                yield from _reads(member)
        case Literal() | None:
            return

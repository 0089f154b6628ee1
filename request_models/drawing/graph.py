"""A picture of a plan as data: boxes, how they are nested, and the lines between them. `flow` makes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias


class PartKind(StrEnum):
    """What a box of the graph stands for."""

    INPUT = "input"
    CONTEXT = "context"
    """Who asks, the request, or the settings."""
    VALUE = "value"
    START = "start"
    """What orders it, and when it starts."""
    CHECK = "check"
    """What is looked at: who may order, prerequisites, `verify`."""
    APPROVAL = "approval"
    STEP = "step"
    GROUP = "group"
    """A frame around other boxes: a group, a loop, or what is done at the same time."""
    CHOICE = "choice"
    """Where a condition decides between two ways."""
    BAR = "bar"
    """Where branches part, or meet again."""
    UNDO = "undo"
    OUTPUT = "output"
    AFTER = "after"
    """What comes after: a lease, who is told, what is asked."""


class EdgeKind(StrEnum):
    """What a line says: this runs after that, this reads that, this takes that back."""

    ORDER = "order"
    DATA = "data"
    UNDO = "undo"


@dataclass(frozen=True)
class Part:
    """One box: a name, lines of text beneath it, and ports, each a line that data edges end at."""

    id: str
    kind: PartKind
    name: str
    lines: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """One line from the part `start` to the part `end`, at its `port` if it names one.

    The port of an edge of order is the way it is: `then` or `else`.
    """

    start: str
    end: str
    kind: EdgeKind
    port: str = ""


@dataclass(frozen=True)
class Column:
    """What is done one after the other. `label` names the way: `then`, `else`, or nothing."""

    items: tuple["Item", ...]
    label: str = ""


@dataclass(frozen=True)
class Frame:
    """A part of the kind GROUP with what stands in it: columns side by side.

    Several columns have an `opening`, the part where they part, and a `closing`, where they meet.
    """

    part: str
    columns: tuple[Column, ...]
    opening: str = ""
    closing: str = ""


Item: TypeAlias = str | Frame
"""A part by its id, or a frame of several."""


@dataclass(frozen=True)
class Graph:
    """The picture of a plan. `flow` is what happens, in order; parts that are not in it stand beside it.

    `about` says in one line what the model promises.
    """

    model: str
    title: str
    parts: tuple[Part, ...]
    edges: tuple[Edge, ...]
    flow: tuple[Item, ...]
    about: str = ""

    def part(self, part_id: str) -> Part:
        """The part of that id. Raises KeyError."""
        return {part.id: part for part in self.parts}[part_id]


def order_of(items: tuple[Item, ...]) -> Iterator[Edge]:
    """The edges of order in a flow: from each item to the next, and through the columns of frames."""
    for item in items:
        if isinstance(item, Frame):
            for column in item.columns:
                yield from _through(item, column)
    for before, after in pairwise(items):
        yield Edge(exit_of(before), entry_of(after), EdgeKind.ORDER)


def parts_in(items: tuple[Item, ...]) -> Iterator[str]:
    """The ids of all parts of a flow, those of frames included, in order."""
    for item in items:
        if isinstance(item, str):
            yield item
            continue
        yield from (item.part, *([item.opening] if item.opening else ()))
        for column in item.columns:
            yield from parts_in(column.items)
        yield from [item.closing] if item.closing else ()


def _through(frame: Frame, column: Column) -> Iterator[Edge]:
    yield from order_of(column.items)
    if not column.items and frame.opening:
        yield Edge(frame.opening, frame.closing, EdgeKind.ORDER, column.label)
    elif frame.opening:
        yield Edge(frame.opening, entry_of(column.items[0]), EdgeKind.ORDER, column.label)
        yield Edge(exit_of(column.items[-1]), frame.closing, EdgeKind.ORDER)


def entry_of(item: Item) -> str:
    """The part that comes first in an item."""
    if isinstance(item, str):
        return item
    return item.opening or entry_of(item.columns[0].items[0])


def exit_of(item: Item) -> str:
    """The part that comes last in an item."""
    if isinstance(item, str):
        return item
    return item.closing or exit_of(item.columns[0].items[-1])

"""Where stands what is given: inputs, who asks, then values by what they read, in columns left of the flow.

A line that passes a column goes through a free lane of its own in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from request_models.drawing.boxes import Box, box_of
from request_models.drawing.graph import Edge, EdgeKind, Graph, PartKind

GIVEN = (PartKind.INPUT, PartKind.CONTEXT, PartKind.VALUE)
GAP, ROOM = 18.0, 84.0
"""Pixels between two boxes, and between two columns."""


def lane(start: str, column: int) -> str:
    """The name of the lane in which the lines of a part pass a column."""
    return f"lane {column} {start}"


def place_given(graph: Graph, heights: Mapping[str, list[float]]) -> dict[str, Box]:
    """Boxes and lanes of what is given. `heights` are where the lines of each part go in the flow."""
    columns = _columns(graph)
    last = max(columns.values(), default=-1)
    boxes = {part.id: replace(box_of(part), column=columns[part.id]) for part in graph.parts if part.id in columns}
    reads = [edge for edge in graph.edges if edge.kind is EdgeKind.DATA and edge.end in columns]
    passing = dict.fromkeys((*_passing(reads, columns), *_leaving(heights, columns, last)))
    boxes |= {lane(start, column): Box(None, 0, 10, column=column) for start, column in passing}
    for column in reversed(range(last + 1)):
        boxes |= _stacked(boxes, _wishes(boxes, columns, reads, heights, column))
    return _side_by_side(boxes)


def _columns(graph: Graph) -> dict[str, int]:
    """The column of each part: what is read stands left of what reads it."""
    columns: dict[str, int] = {}
    for part in graph.parts:  # values stand in an order in which each reads only those before it
        if part.kind in GIVEN:
            read = [edge.start for edge in graph.edges if edge.kind is EdgeKind.DATA and edge.end == part.id]
            columns[part.id] = max((columns[start] + 1 for start in read if start in columns), default=0)
    return columns


def _passing(reads: list[Edge], columns: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    for edge in reads:
        for column in range(columns[edge.start] + 1, columns[edge.end]):
            yield edge.start, column


def _leaving(heights: Mapping[str, list[float]], columns: Mapping[str, int], last: int) -> Iterator[tuple[str, int]]:
    for start in heights:
        for column in range(columns[start] + 1, last + 1):
            yield start, column


def _wishes(
    boxes: Mapping[str, Box],
    columns: Mapping[str, int],
    reads: list[Edge],
    heights: Mapping[str, list[float]],
    column: int,
) -> dict[str, list[float]]:
    """The heights that each box of a column wants to be near: where its lines go in the next column."""
    wanted: dict[str, list[float]] = {name: [] for name, box in boxes.items() if box.column == column}
    for edge in reads:
        if columns[edge.start] <= column < columns[edge.end]:
            here = edge.start if columns[edge.start] == column else lane(edge.start, column)
            there = edge.end if columns[edge.end] == column + 1 else lane(edge.start, column + 1)
            wanted[here].append(boxes[there].port(edge.port))
    for start, ends in heights.items():
        if columns[start] == column or lane(start, column) in wanted:
            here = start if columns[start] == column else lane(start, column)
            there = lane(start, column + 1)
            wanted[here] += [boxes[there].middle] if there in boxes else ends
    return wanted


def _stacked(boxes: Mapping[str, Box], wanted: Mapping[str, list[float]]) -> dict[str, Box]:
    """One column in the order of what its boxes want, none over another, all as near to it as a common shift brings."""
    wish = {name: sum(heights) / len(heights) if heights else float("inf") for name, heights in wanted.items()}
    placed: dict[str, Box] = {}
    free = float("-inf")
    for name in sorted(wish, key=lambda name: wish[name]):
        height = boxes[name].height
        y = max(wish[name] - height / 2, free) if wish[name] != float("inf") else max(free, 0.0)
        placed[name] = replace(boxes[name], y=y)
        free = y + height + GAP
    late = [box.middle - wish[name] for name, box in placed.items() if wish[name] != float("inf")]
    shift = sum(late) / len(late) if late else 0.0
    return {name: replace(box, y=box.y - shift) for name, box in placed.items()}


def _side_by_side(boxes: dict[str, Box]) -> dict[str, Box]:
    """Columns side by side, each as wide as its widest box."""
    placed, x = dict(boxes), 0.0
    for column in sorted({box.column for box in boxes.values()}):
        inside = {name: box for name, box in boxes.items() if box.column == column}
        width = max(box.width for box in inside.values())
        placed |= {name: replace(box, x=x, width=width) for name, box in inside.items()}
        x += width + ROOM
    return placed

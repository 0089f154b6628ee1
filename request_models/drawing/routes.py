"""The lines of a drawing as SVG paths: order along spines, data through gutters and strips, undo beside its step."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from request_models.drawing.boxes import Box
from request_models.drawing.flow_layout import TRACK, Laid
from request_models.drawing.given_layout import lane
from request_models.drawing.graph import Edge, EdgeKind, Frame, Graph, Item, entry_of, exit_of
from request_models.drawing.nets import Nets, Path, common

_BESIDE = 12.0
"""Pixels from the boxes of a column to the first track of its gutter."""


@dataclass(frozen=True)
class Line:
    """One path; `arrow` says whether it ends in an arrow head."""

    path: str
    kind: str
    arrow: bool = True


@dataclass
class _Net:
    """What is drawn of one net: the heights that it touches in each gutter, and the lines across."""

    heights: dict[Path, list[float]] = field(default_factory=dict)
    across: dict[tuple[float, float, float], None] = field(default_factory=dict)
    """Each from x to x at y."""
    ends: dict[tuple[float, float, float], None] = field(default_factory=dict)

    def touch(self, path: Path, y: float) -> None:
        self.heights.setdefault(path, []).append(y)


class Routes:
    """The lines of one graph whose flow is laid out."""

    def __init__(self, graph: Graph, nets: Nets, laid: Laid) -> None:
        self._graph, self._nets, self._laid = graph, nets, laid
        self._routed = {start: self._route(start) for start in dict.fromkeys(self._starts())}

    def heights(self, start: str) -> list[float]:
        """Where the net of a part that is given touches the outermost gutter."""
        return self._routed[start].heights[()]

    @property
    def given(self) -> Iterator[str]:
        """The parts with a net that stand outside the flow."""
        yield from (start for start in self._routed if start not in self._nets.paths)

    def order(self, items: tuple[Item, ...]) -> Iterator[Line]:
        """The lines of order in a flow, from box to box along the spines."""
        drawn = {(edge.start, edge.end) for edge in self._graph.edges if edge.kind is EdgeKind.ORDER}
        for before, after in itertools.pairwise(items):
            if (exit_of(before), entry_of(after)) in drawn:
                x = self._laid.spines[_outer(after)]
                yield self._down(x, self._box(before).bottom, self._box(after).y)
        for item in items:
            if isinstance(item, Frame):
                for column in item.columns:
                    yield from self.order(column.items)
                    yield from self._branch(item, column.items)

    def data(self, sources: Mapping[str, Box]) -> Iterator[tuple[str, Line]]:
        """The lines of data in the flow with the part they start at; `sources` are the boxes that nets come from."""
        for start, net in self._routed.items():
            exits = sources.get(start)
            trunk = [f"M{x0:.1f},{y:.1f} H{x1:.1f}" for x0, x1, y in net.across]
            heights = {path: list(touched) for path, touched in net.heights.items()}
            if exits is not None:
                trunk.append(f"M{exits.right:.1f},{exits.middle:.1f} H{self._track((), start):.1f}")
                heights[()].append(exits.middle)
            for path, touched in heights.items():
                if max(touched) > min(touched):
                    trunk.append(f"M{self._track(path, start):.1f},{min(touched):.1f} V{max(touched):.1f}")
            yield start, Line(" ".join(trunk), "", arrow=False)
            for x0, x1, y in net.ends:
                yield start, Line(f"M{x0:.1f},{y:.1f} H{x1 - 2:.1f}", "")

    def undo(self) -> Iterator[Line]:
        """From each step to its undo; what another undo takes along joins it where no frame lies between."""
        boxes = self._laid.boxes
        for edge in self._graph.edges:
            if edge.kind is not EdgeKind.UNDO:
                continue
            start, end = boxes[edge.start], boxes[edge.end]
            if start.y == end.y:
                yield Line(f"M{start.right:.1f},{start.y + 16:.1f} H{end.x - 2:.1f}", "undo")
            elif start.right < end.x and not self._frames_between(edge):
                x, y = end.x - 14, end.bottom - 8
                yield Line(f"M{start.right:.1f},{start.y + 16:.1f} H{x:.1f} V{y:.1f} H{end.x - 2:.1f}", "undo")

    # data

    def _starts(self) -> Iterator[str]:
        for edge in self._graph.edges:
            if edge.kind is EdgeKind.DATA and edge.end in self._nets.paths:
                yield edge.start

    def _route(self, start: str) -> _Net:
        net = _Net()
        came = self._nets.paths.get(start)
        if came is not None:
            box = self._laid.boxes[start]
            net.across[self._track(came, start), box.x, box.bottom - 9] = None
            net.touch(came, box.bottom - 9)
        for edge in self._graph.edges:
            if edge.kind is EdgeKind.DATA and edge.start == start and edge.end in self._nets.paths:
                self._to(net, edge, came or ())
        return net

    def _to(self, net: _Net, edge: Edge, came: Path) -> None:
        goes = self._nets.paths[edge.end]
        meet = common(came, goes)
        for path, strips, names in (
            (came, self._laid.below, self._nets.below),
            (goes, self._laid.above, self._nets.above),
        ):
            for depth in range(len(meet), len(path)):
                frame = path[depth][0]
                y = strips[frame] + TRACK * names[frame].index(edge.start)
                inner, outer = path[: depth + 1], path[:depth]
                net.across[self._track(outer, edge.start), self._track(inner, edge.start), y] = None
                net.touch(inner, y)
                net.touch(outer, y)
        end = self._laid.boxes[edge.end]
        net.ends[self._track(goes, edge.start), end.x, end.port(edge.port)] = None
        net.touch(goes, end.port(edge.port))

    def _track(self, path: Path, start: str) -> float:
        return self._laid.columns[path] - _BESIDE - TRACK * self._nets.tracks[path].index(start)

    # order and undo

    def _box(self, item: Item) -> Box:
        return self._laid.boxes[_outer(item)]

    def _branch(self, frame: Frame, items: tuple[Item, ...]) -> Iterator[Line]:
        """From where the ways part to the first box of one, and from its last to where they meet."""
        if not frame.opening:
            return
        opening, closing = self._laid.boxes[frame.opening], self._laid.boxes[frame.closing]
        if not items:
            yield self._down(opening.right - 10, opening.bottom, closing.y)
            return
        x, first, last = self._laid.spines[_outer(items[0])], self._box(items[0]), self._box(items[-1])
        if x > opening.right:
            yield Line(f"M{opening.right:.1f},{opening.middle:.1f} H{x:.1f} V{first.y - 2:.1f}", "order")
        else:
            yield self._down(x, opening.bottom, first.y)
        yield self._down(x, last.bottom, closing.y)

    def _down(self, x: float, y0: float, y1: float) -> Line:
        return Line(f"M{x:.1f},{y0:.1f} V{y1 - 2:.1f}", "order")

    def _frames_between(self, edge: Edge) -> bool:
        step = self._laid.boxes[edge.start]
        undo = self._laid.boxes[edge.end]
        between = (
            box
            for name, box in self._laid.boxes.items()
            if name not in {edge.start, edge.end} and box.right > undo.x - 14 > box.x
        )
        return any(box.y < step.bottom and box.bottom > undo.bottom for box in between)


def _outer(item: Item) -> str:
    return item if isinstance(item, str) else item.part


def curve(x0: float, y0: float, x1: float, y1: float) -> str:
    """A line from left to right that leaves and arrives level."""
    middle = (x0 + x1) / 2
    return f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"


def given_lines(graph: Graph, boxes: Mapping[str, Box]) -> Iterator[tuple[str, Line]]:
    """The lines between what is given, from column to column, straight through their lanes."""
    for edge in graph.edges:
        if edge.kind is EdgeKind.DATA and edge.end in boxes and edge.start in boxes:
            end = boxes[edge.end]
            way = _through(edge.start, boxes, end.column)
            last = boxes[way[-1]]
            yield from ((edge.start, line) for line in _lanes(way, boxes))
            yield edge.start, Line(curve(last.right, last.middle, end.x - 2, end.port(edge.port)), "")


def leaving_lines(start: str, boxes: Mapping[str, Box]) -> tuple[Box, list[Line]]:
    """The lines of a part through the columns right of it, and the box or lane that they come out of."""
    last = max(box.column for box in boxes.values()) + 1
    way = _through(start, boxes, last)
    return boxes[way[-1]], list(_lanes(way, boxes))


def _through(start: str, boxes: Mapping[str, Box], column: int) -> list[str]:
    return [start, *(lane(start, passed) for passed in range(boxes[start].column + 1, column))]


def _lanes(way: list[str], boxes: Mapping[str, Box]) -> Iterator[Line]:
    for before, after in itertools.pairwise(way):
        come, go = boxes[before], boxes[after]
        path = f"{curve(come.right, come.middle, go.x, go.middle)} H{go.right:.1f}"
        yield Line(path, "", arrow=False)

"""Where the boxes of a flow stand: from top to bottom in their order, branches side by side, each undo at its step."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from request_models.drawing.boxes import Box, box_of
from request_models.drawing.graph import Frame, Graph, Item, Part
from request_models.drawing.nets import Nets, Path, column_path

TRACK, GUTTER = 7.0, 22.0
"""Pixels between two tracks, and those of a gutter beside its tracks."""
DOWN, UNDO_ROOM, FRAME_PAD, STRIP = 26.0, 40.0, 14.0, 12.0
SPINE = 78.0
"""How far right of a column's left edge its line of order runs."""


@dataclass(frozen=True)
class Laid:
    """A flow laid out: the boxes by part, and the places of the lines: spines, gutters, strips of frames."""

    boxes: dict[str, Box] = field(default_factory=dict)
    spines: dict[str, float] = field(default_factory=dict)
    """By part: where its line of order comes in and goes out."""
    columns: dict[Path, float] = field(default_factory=dict)
    """By column: the left edge of its boxes; its gutter ends there."""
    above: dict[str, float] = field(default_factory=dict)
    below: dict[str, float] = field(default_factory=dict)
    """By frame: the height at which its strips begin."""


def lay_out(graph: Graph, nets: Nets) -> Laid:
    """Lay a graph's flow out, its left upper corner at 0, 0."""
    laying = _Laying(graph, nets)
    laying.column(graph.flow, (), 0.0, 0.0, SPINE)
    return laying.laid


class _Laying:
    def __init__(self, graph: Graph, nets: Nets) -> None:
        self.laid = Laid()
        self._parts: Mapping[str, Part] = {part.id: part for part in graph.parts}
        self._nets = nets

    def column(self, items: tuple[Item, ...], path: Path, x: float, y: float, spine: float) -> tuple[float, float]:
        """Lay one column out at x, y; gives its right edge and its bottom."""
        self.laid.columns.setdefault(path, x)
        width = max([self._box(item).width for item in items if isinstance(item, str)] + [SPINE + 40])
        right = x + width
        for item in items:
            if isinstance(item, Frame):
                edge, y = self._frame(item, path, x, y, spine)
            else:
                edge, y = self._part(item, width, x, y, spine)
            right = max(right, edge)
            y += DOWN
        return right, y - DOWN if items else y

    def _part(self, part_id: str, width: float, x: float, y: float, spine: float) -> tuple[float, float]:
        box = replace(self._box(part_id), x=x, y=y, width=width)
        self._stands(part_id, box, spine)
        undo_id = f"undo.{part_id.removeprefix('steps.')}"
        if undo_id not in self._parts or not part_id.startswith("steps."):
            return box.right, box.bottom
        undo = replace(self._box(undo_id), x=box.right + UNDO_ROOM, y=y)
        self.laid.boxes[undo_id] = undo
        return undo.right, max(box.bottom, undo.bottom)

    def _frame(self, frame: Frame, path: Path, x: float, y: float, spine: float) -> tuple[float, float]:
        header = self._box(frame.part)
        inner, top = x + FRAME_PAD, y + header.height
        if frame.opening:
            opening = self._box(frame.opening)
            self._stands(frame.opening, replace(opening, x=inner, y=top), spine)
            top += opening.height
            self.laid.above[frame.part] = top + STRIP
            top += STRIP + TRACK * len(self._nets.above.get(frame.part, ())) + DOWN
        bottom, spines = top, []
        for number, column in enumerate(frame.columns):
            inside = column_path(frame, number, path)
            if number:
                inner += GUTTER + TRACK * len(self._nets.tracks.get(inside, ()))
            spines.append(inner + SPINE if number else max(spine, inner + 24))
            right, low = self.column(column.items, inside, inner, top, spines[-1])
            bottom, inner = max(bottom, low), right
        right = inner
        if frame.closing:
            self.laid.below[frame.part] = bottom + STRIP
            bottom += STRIP + TRACK * len(self._nets.below.get(frame.part, ())) + STRIP
            closing = replace(self._box(frame.closing), x=spine - 20, y=bottom, width=spines[-1] - spine + 40)
            self._stands(frame.closing, closing, spine)
            bottom = closing.bottom
            opening = self.laid.boxes[frame.opening]
            wide = spines[-1] - spine + 40
            if not opening.rows:
                self.laid.boxes[frame.opening] = replace(opening, x=spine - 20, width=wide)
            right = max(right, spines[-1] + 20, self.laid.boxes[frame.opening].right)
        width = max(header.width, right + FRAME_PAD - x)
        self._stands(frame.part, replace(header, x=x, y=y, width=width, height=bottom + FRAME_PAD - y), spine)
        return x + width, bottom + FRAME_PAD

    def _stands(self, part_id: str, box: Box, spine: float) -> None:
        self.laid.boxes[part_id] = box
        self.laid.spines[part_id] = spine

    def _box(self, item: str) -> Box:
        return box_of(self._parts[item])

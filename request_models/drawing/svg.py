"""A graph drawn as one SVG file that needs nothing else: no script, no font, no network; for light and dark screens.

The layout is layered: inputs, then values by what they read, then the steps from top to bottom in the order they run,
then how they are undone. A line that passes a column goes through a free lane of its own in it.
"""

import html
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from request_models.drawing.graph import Edge, EdgeKind, Graph, Part, PartKind

_MARGIN, _TOP, _GAP, _ROOM, _PAD = 28.0, 84.0, 18.0, 96.0, 12.0
_LINE, _NAME_SIZE, _TEXT_SIZE = 17.0, 13.0, 11.5
_WIDEST = 56
"""Columns of text in a box; the rest is cut, and shown when the pointer rests on the box."""
_GIVEN = (PartKind.INPUT, PartKind.CONTEXT, PartKind.VALUE)


@dataclass(frozen=True)
class _Box:
    """A part, or a lane (`part` is None), and where it stands."""

    part: Part | None
    column: int
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    def port(self, name: str) -> float:
        """The height at which an edge to that port ends: the middle of its line, or of the box."""
        if self.part is None or name not in self.part.ports:
            return self.middle
        row = 1 + len(self.part.lines) + self.part.ports.index(name)
        return self.y + _PAD + _LINE * (row + 0.5)


_Boxes = dict[str, _Box]


def to_svg(graph: Graph) -> str:
    """The graph as an SVG document. Nothing that somebody typed can be read as markup."""
    boxes = _layout(graph)
    width = max([box.right for box in boxes.values()] + [_text_width(graph.title, 18), 420]) + _MARGIN
    height = max([box.y + box.height for box in boxes.values()] + [_TOP]) + _MARGIN
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="orderly-graph" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" aria-label="{_text(graph.title)}">'
    )
    lines = [
        opening,
        f"<title>{_text(f'{graph.title} ({graph.model})')}</title>",
        f"<style>{_STYLE}</style>",
        f"<defs>{''.join(_arrow(name) for name in _ARROWS)}</defs>",
        '<rect class="ground" width="100%" height="100%"/>',
        f'<text class="title" x="{_MARGIN}" y="34">{_text(graph.title)}</text>',
        f'<text class="model" x="{_MARGIN}" y="54">{_text(graph.model)}</text>',
        *_edges(graph, boxes),
        *(_draw(box) for box in boxes.values() if box.part is not None),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


# --- the layout ------------------------------------------------------------------------------------------------------


def _layout(graph: Graph) -> _Boxes:
    columns = _columns(graph)
    steps = max([columns[part.id] for part in graph.parts if part.kind is PartKind.STEP], default=1)
    boxes: _Boxes = {part.id: _box(part, columns[part.id]) for part in graph.parts}
    boxes |= {_lane(edge.start, column): _Box(None, column, 0, 10) for edge, column in _passed(graph, columns)}
    boxes = _stack_steps(graph, boxes)
    for column in reversed(range(steps)):
        boxes |= _place(boxes, _targets(graph, columns, boxes, column))
    lowest = min(box.y for box in boxes.values())
    return _spread({name: replace(box, y=box.y + _TOP - lowest) for name, box in boxes.items()})


def _columns(graph: Graph) -> dict[str, int]:
    """The column of each part: what is read stands left of what reads it; steps and outputs share one."""
    columns = {part.id: 0 for part in graph.parts}
    kinds = {part.id: part.kind for part in graph.parts}
    reads = [edge for edge in graph.edges if edge.kind is EdgeKind.DATA and kinds[edge.end] is PartKind.VALUE]
    for part in graph.parts:  # values stand in an order in which each reads only those before it
        if part.kind is PartKind.VALUE:
            columns[part.id] = max((columns[edge.start] + 1 for edge in reads if edge.end == part.id), default=0)
    last = max((columns[part.id] for part in graph.parts if part.kind in _GIVEN), default=-1)
    after = {PartKind.STEP: last + 1, PartKind.OUTPUT: last + 1, PartKind.UNDO: last + 2}
    return columns | {part.id: after[part.kind] for part in graph.parts if part.kind in after}


def _box(part: Part, column: int) -> _Box:
    texts = [_text_width(_cut(text), _TEXT_SIZE) for text in (*part.lines, *part.ports)]
    width = max([_text_width(_cut(part.name), _NAME_SIZE) * 1.06, 96, *texts]) + 2 * _PAD
    return _Box(part, column, width, 2 * _PAD + _LINE * (1 + len(part.lines) + len(part.ports)))


def _lane(start: str, column: int) -> str:
    return f"lane {column} {start}"


def _passed(graph: Graph, columns: Mapping[str, int]) -> Iterator[tuple[Edge, int]]:
    """The columns that a data edge passes on its way; all edges of one part share a lane."""
    for edge in graph.edges:
        if edge.kind is EdgeKind.DATA:
            for column in range(columns[edge.start] + 1, columns[edge.end]):
                yield edge, column


def _stack_steps(graph: Graph, boxes: _Boxes) -> _Boxes:
    """Steps from top to bottom, each undo beside its step, the outputs below."""
    placed, y = dict(boxes), 0.0
    for part in graph.parts:
        if part.kind not in {PartKind.STEP, PartKind.OUTPUT}:
            continue
        if part.kind is PartKind.OUTPUT and graph.parts[graph.parts.index(part) - 1].kind is not PartKind.OUTPUT:
            y += _GAP
        undo = f"undo.{part.id.removeprefix('steps.')}" if part.kind is PartKind.STEP else ""
        placed[part.id] = replace(boxes[part.id], y=y)
        if undo in boxes:
            placed[undo] = replace(boxes[undo], y=y)
        y += max(boxes[part.id].height, boxes[undo].height if undo in boxes else 0) + _GAP * 1.6
    return placed


def _targets(graph: Graph, columns: Mapping[str, int], boxes: _Boxes, column: int) -> dict[str, list[float]]:
    """The heights that each box of a column wants to be near: where its lines go in the next column."""
    wanted: dict[str, list[float]] = {name: [] for name, box in boxes.items() if box.column == column}
    for edge in graph.edges:
        if edge.kind is EdgeKind.DATA and columns[edge.start] <= column < columns[edge.end]:
            here = edge.start if columns[edge.start] == column else _lane(edge.start, column)
            there = edge.end if columns[edge.end] == column + 1 else _lane(edge.start, column + 1)
            wanted[here].append(boxes[there].port(edge.port))
    return wanted


def _place(boxes: _Boxes, wanted: Mapping[str, list[float]]) -> _Boxes:
    """One column in the order of what its boxes want, none over another, all as near to it as a common shift brings."""
    wish = {name: sum(heights) / len(heights) if heights else float("inf") for name, heights in wanted.items()}
    placed: _Boxes = {}
    free = float("-inf")
    for name in sorted(wish, key=lambda name: wish[name]):
        height = boxes[name].height
        y = max(wish[name] - height / 2, free) if wish[name] != float("inf") else max(free, 0.0)
        placed[name] = replace(boxes[name], y=y)
        free = y + height + _GAP
    late = [box.middle - wish[name] for name, box in placed.items() if wish[name] != float("inf")]
    shift = sum(late) / len(late) if late else 0.0
    return {name: replace(box, y=box.y - shift) for name, box in placed.items()}


def _spread(boxes: _Boxes) -> _Boxes:
    """Columns side by side, each as wide as its widest box."""
    placed, x = dict(boxes), _MARGIN
    for column in sorted({box.column for box in boxes.values()}):
        inside = {name: box for name, box in boxes.items() if box.column == column}
        width = max(box.width for box in inside.values())
        placed |= {name: replace(box, x=x, width=width) for name, box in inside.items()}
        x += width + _ROOM
    return placed


# --- the drawing -----------------------------------------------------------------------------------------------------


def _edges(graph: Graph, boxes: _Boxes) -> Iterator[str]:
    kinds = {part.id: part.kind for part in graph.parts}
    bows: dict[str, int] = {}
    for edge in graph.edges:
        start, end = boxes[edge.start], boxes[edge.end]
        if edge.kind is EdgeKind.ORDER:
            middle = start.x + start.width / 2
            path = f"M{middle:.1f},{start.y + start.height:.1f} V{end.y - 2:.1f}"
            yield _line(path, "order")
        elif edge.kind is EdgeKind.UNDO:
            # What another step's undo takes along joins it from below.
            to = end.middle if end.y == start.y else end.y + end.height - 6
            yield _line(_curve(start.right, start.y + 16, end.x - 2, to), "undo")
        elif start.column == end.column:
            bow = bows.setdefault(edge.start, len(bows))
            out = 26 + 9 * (bow % 6)
            y0, y1 = start.y + 16, end.port(edge.port)
            path = f"M{start.x:.1f},{y0:.1f} C{start.x - out:.1f},{y0:.1f} {end.x - out:.1f},{y1:.1f} "
            yield _line(f"{path}{end.x - 2:.1f},{y1:.1f}", str(kinds[edge.start]))
        else:
            yield _line(_through(edge, boxes), str(kinds[edge.start]))


def _through(edge: Edge, boxes: _Boxes) -> str:
    """The way of a data edge from column to column, straight through its lanes."""
    start, end = boxes[edge.start], boxes[edge.end]
    path, x, y = "", start.right, start.middle
    for column in range(start.column + 1, end.column):
        lane = boxes[_lane(edge.start, column)]
        path += f"{_curve(x, y, lane.x, lane.middle)} H{lane.right:.1f} "
        x, y = lane.right, lane.middle
    return path + _curve(x, y, end.x - 2, end.port(edge.port))


def _curve(x0: float, y0: float, x1: float, y1: float) -> str:
    middle = (x0 + x1) / 2
    return f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"


def _line(path: str, kind: str) -> str:
    return f'<path class="edge {kind}" d="{path}" marker-end="url(#orderly-{kind})"/>'


def _draw(box: _Box) -> str:
    part = box.part
    assert part is not None, "lanes are not drawn"
    texts = [("name", part.name), *(("line", line) for line in part.lines), *(("port", port) for port in part.ports)]
    corner = 6 if part.kind in {PartKind.STEP, PartKind.UNDO} else 14
    drawn = [f'<g class="part {part.kind}"><title>{_text(chr(10).join(text for _, text in texts))}</title>']
    drawn.append(
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{corner}"/>'
    )
    for row, (kind, text) in enumerate(texts):
        y = box.y + _PAD + _LINE * (row + 0.5) + 4
        drawn.append(f'<text class="{kind}" x="{box.x + _PAD:.1f}" y="{y:.1f}">{_text(_cut(text))}</text>')
    return "".join([*drawn, "</g>"])


def _arrow(kind: str) -> str:
    return (
        f'<marker id="orderly-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="head {kind}" d="M0,0 L8,4 L0,8 z"/></marker>'
    )


def _cells(text: str) -> Iterator[int]:
    yield from (2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _text_width(text: str, size: float) -> float:
    """How wide a text will be, in pixels, without a font to measure it: a little too much rather than too little."""
    return sum(_cells(text)) * size * 0.58


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    used = 0
    for index, cells in enumerate(_cells(plain)):
        used += cells
        if used > _WIDEST:
            return f"{plain[: index - 1]}…"
    return plain


def _text(text: str) -> str:
    """Text between tags or in an attribute; characters that XML does not have are left out."""
    kept = (one for one in text if one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cs", "Cn"})
    return html.escape("".join(kept), quote=True)


_ARROWS = (*(str(kind) for kind in (*_GIVEN, PartKind.STEP)), "order", "undo")
_LIGHT: Mapping[str, tuple[str, str]] = {
    "input": ("#2f8f4e", "#eef9f1"),
    "context": ("#6b7480", "#f3f4f6"),
    "value": ("#a97a08", "#fff8e6"),
    "step": ("#3a6fd8", "#eef4ff"),
    "undo": ("#b3413c", "#fdf1f0"),
    "output": ("#7a4fc0", "#f5f0fd"),
    "order": ("#1b1f24", "none"),
}
_DARK: Mapping[str, tuple[str, str]] = {
    "input": ("#5cc47f", "#14271b"),
    "context": ("#98a2b0", "#22262c"),
    "value": ("#dcae46", "#2b2410"),
    "step": ("#7ba4f4", "#17233c"),
    "undo": ("#ea8a84", "#331a19"),
    "output": ("#b394ee", "#261c3a"),
    "order": ("#e8eaed", "none"),
}


def _colours(colours: Mapping[str, tuple[str, str]], ground: str, ink: str, faint: str) -> str:
    rules = [f".orderly-graph .ground{{fill:{ground}}}.orderly-graph text{{fill:{ink}}}"]
    rules.append(f".orderly-graph .model,.orderly-graph .line{{fill:{faint}}}")
    for kind, (stroke, fill) in colours.items():
        rules.append(f".orderly-graph .part.{kind} rect{{stroke:{stroke};fill:{fill}}}")
        rules.append(f".orderly-graph .edge.{kind}{{stroke:{stroke}}}.orderly-graph .head.{kind}{{fill:{stroke}}}")
    return "".join(rules)


_STYLE = "".join(
    [
        ".orderly-graph text{font-family:system-ui,sans-serif;font-size:11.5px}",
        ".orderly-graph .title{font-size:18px;font-weight:600}",
        ".orderly-graph .name{font-size:13px;font-weight:600}",
        ".orderly-graph .edge{fill:none;stroke-width:1.2;stroke-opacity:.75}",
        ".orderly-graph .edge.order{stroke-width:2.2;stroke-opacity:1}",
        ".orderly-graph .edge.undo,.orderly-graph .part.undo rect{stroke-dasharray:5 4}",
        ".orderly-graph rect{stroke-width:1.4}",
        _colours(_LIGHT, "#ffffff", "#1b1f24", "#57606a"),
        "@media (prefers-color-scheme:dark){",
        _colours(_DARK, "#0f1216", "#e8eaed", "#9aa4b0"),
        "}",
    ]
)

"""A graph drawn as one SVG file that needs nothing else: no script, no font, no network; for screens and paper."""

import html
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from request_models.drawing.boxes import LINE, PAD, Box, text_width
from request_models.drawing.flow_layout import GUTTER, TRACK, Laid, lay_out
from request_models.drawing.given_layout import place_given
from request_models.drawing.graph import Frame, Graph, Item, PartKind
from request_models.drawing.nets import nets_of
from request_models.drawing.routes import Line, Routes, given_lines, leaving_lines
from request_models.drawing.style import ARROWS, STYLE

_MARGIN, _TOP = 28.0, 84.0
_CORNERS = {PartKind.STEP: 6, PartKind.UNDO: 6, PartKind.GROUP: 8, PartKind.BAR: 3, PartKind.CHOICE: 3}


@dataclass(frozen=True)
class _Drawing:
    """Everything with its place: frames first, so that what stands in them is drawn over them."""

    boxes: dict[str, Box]
    lines: tuple[Line, ...]
    labels: tuple[tuple[float, float, str], ...]


def to_svg(graph: Graph) -> str:
    """The graph as an SVG document. Nothing that somebody typed can be read as markup."""
    drawing = _drawing(graph)
    seen = [box for box in drawing.boxes.values() if box.part is not None]
    width = max([box.right for box in seen] + [_MARGIN + text_width(graph.title, 18), 420]) + _MARGIN
    height = max([box.bottom for box in seen] + [_TOP]) + _MARGIN
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="orderly-graph" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" aria-label="{_text(graph.title)}">'
    )
    about = f"{graph.model} · {graph.about}" if graph.about else graph.model
    frames = [drawing.boxes[part.id] for part in graph.parts if part.kind is PartKind.GROUP]  # the outer ones first
    lines = [
        opening,
        f"<title>{_text(f'{graph.title} ({graph.model})')}</title>",
        f"<style>{STYLE}</style>",
        f"<defs>{''.join(_arrow(name) for name in ARROWS)}</defs>",
        '<rect class="ground" width="100%" height="100%"/>',
        f'<text class="title" x="{_MARGIN}" y="34">{_text(graph.title)}</text>',
        f'<text class="model" x="{_MARGIN}" y="54">{_text(about)}</text>',
        *(_draw(box) for box in frames),
        *(_line(line) for line in drawing.lines),
        *(f'<text class="line" x="{x:.1f}" y="{y:.1f}">{_text(label)}</text>' for x, y, label in drawing.labels),
        *(_draw(box) for box in seen if box not in frames),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _drawing(graph: Graph) -> _Drawing:
    nets = nets_of(graph)
    laid = lay_out(graph, nets)
    routes = Routes(graph, nets, laid)
    heights = {start: routes.heights(start) for start in routes.given}
    given = place_given(graph, heights)
    lowest = min([box.y for box in (*given.values(), *laid.boxes.values())], default=0.0)
    right = max([box.right for box in given.values()], default=0.0)
    gutter = GUTTER + TRACK * len(nets.tracks.get((), ())) + (24.0 if given else 0.0)
    given = {name: _shifted(box, _MARGIN, _TOP - lowest) for name, box in given.items()}
    laid = _moved(laid, _MARGIN + right + gutter, _TOP - lowest)
    routes = Routes(graph, nets, laid)
    kinds = {part.id: str(part.kind) for part in graph.parts}
    lines: list[Line] = [replace(line, kind=kinds[start]) for start, line in given_lines(graph, given)]
    sources: dict[str, Box] = {}
    for start in routes.given:
        sources[start], through = leaving_lines(start, given)
        lines += [replace(line, kind=kinds[start]) for line in through]
    lines += [replace(line, kind=kinds[start]) for start, line in routes.data(sources)]
    lines += [*routes.undo(), *routes.order(graph.flow)]
    return _Drawing({**given, **laid.boxes}, tuple(dict.fromkeys(lines)), tuple(_labels(graph.flow, laid)))


def _labels(items: Iterable[Item], laid: Laid) -> Iterator[tuple[float, float, str]]:
    """The names of ways, beside where they begin."""
    for item in items:
        if not isinstance(item, Frame):
            continue
        for column in item.columns:
            yield from _labels(column.items, laid)
            if column.label and column.items:
                first = column.items[0] if isinstance(column.items[0], str) else column.items[0].part
                yield laid.spines[first] + 6, laid.boxes[first].y - 8, column.label


def _moved(laid: Laid, x: float, y: float) -> Laid:
    return Laid(
        {name: _shifted(box, x, y) for name, box in laid.boxes.items()},
        {name: at + x for name, at in laid.spines.items()},
        {path: at + x for path, at in laid.columns.items()},
        {name: at + y for name, at in laid.above.items()},
        {name: at + y for name, at in laid.below.items()},
    )


def _shifted(box: Box, x: float, y: float) -> Box:
    return replace(box, x=box.x + x, y=box.y + y)


def _line(line: Line) -> str:
    arrow = f' marker-end="url(#orderly-{line.kind})"' if line.arrow else ""
    return f'<path class="edge {line.kind}" d="{line.path}"{arrow}/>'


def _draw(box: Box) -> str:
    part = box.part
    assert part is not None, "lanes are not drawn"
    whole = "\n".join((part.name, *part.lines, *part.ports))
    corner = _CORNERS.get(part.kind, 14)
    drawn = [
        f'<g class="part {part.kind}"><title>{_text(whole)}</title>',
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{corner}"/>',
    ]
    for number, row in enumerate(box.rows):
        y = box.y + PAD + LINE * (number + 0.5) + 4
        drawn.append(f'<text class="{row.kind}" x="{box.x + PAD:.1f}" y="{y:.1f}">{_text(row.text)}</text>')
    return "".join([*drawn, "</g>"])


def _arrow(kind: str) -> str:
    return (
        f'<marker id="orderly-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="head {kind}" d="M0,0 L8,4 L0,8 z"/></marker>'
    )


def _text(text: str) -> str:
    """Text between tags or in an attribute; characters that XML does not have are left out."""
    kept = (one for one in text if one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cs", "Cn"})
    return html.escape("".join(kept), quote=True)

"""A graph as a Mermaid flowchart. Nothing that somebody typed can be read as Mermaid or HTML."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from request_models.drawing.graph import Edge, EdgeKind, Frame, Graph, Item, Part, PartKind, entry_of, parts_in


def to_mermaid(graph: Graph) -> str:
    """The graph as Mermaid text: frames are subgraphs, parts of the flow are in their order.

    What a frame says and reads stands in a box of its own in it, its head: Mermaid draws long titles over boxes.
    """
    return "\n".join(_Writing(graph).lines()) + "\n"


class _Writing:
    """Writes one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._parts = {part.id: part for part in graph.parts}
        self._ids = {part.id: f"{part.kind}{number}" for number, part in enumerate(graph.parts, start=1)}
        touched = {end for edge in graph.edges if edge.kind is EdgeKind.DATA for end in (edge.start, edge.end)}
        self._heads: dict[str, list[str]] = {}
        """By part: the heads that come before it, the outermost first."""
        for frame in _frames(graph.flow):
            part = self._parts[frame.part]
            if part.lines or part.ports or part.id in touched:
                self._heads.setdefault(entry_of(frame), []).append(part.id)

    def lines(self) -> Iterator[str]:
        yield "flowchart TD"
        inside = set(parts_in(self._graph.flow))
        for part in self._graph.parts:
            if part.id not in inside:
                yield self._box(part.id, 1)
        for item in self._graph.flow:
            yield from self._item(item, 1)
        for edge in _merged(tuple(self._edges())):
            label = f'|"{_text(edge.port)}"|' if edge.port else ""
            yield f"  {self._ids[edge.start]} {_LINES[edge.kind]}{label} {self._ids[edge.end]}"
        yield from (f"  classDef {kind} {style}" for kind, style in _STYLES.items())
        yield "  classDef frame stroke:#8a94a6,fill:none"

    def _edges(self) -> Iterator[Edge]:
        """The graph's edges; those of order lead to the head of a frame, and from it to what comes first in it."""
        for edge in self._graph.edges:
            heads = self._heads.get(edge.end, []) if edge.kind is EdgeKind.ORDER else []
            yield Edge(edge.start, heads[0], edge.kind, edge.port) if heads else edge
        for entry, heads in self._heads.items():
            yield from (Edge(one, other, EdgeKind.ORDER) for one, other in pairwise([*heads, entry]))

    def _item(self, item: Item, depth: int) -> Iterator[str]:
        if isinstance(item, Frame):
            yield from self._frame(item, depth)
        else:
            yield self._box(item, depth)

    def _frame(self, frame: Frame, depth: int) -> Iterator[str]:
        edge = "  " * depth
        part, frame_id = self._parts[frame.part], f"frame{self._ids[frame.part]}"
        yield f'{edge}subgraph {frame_id}["{_text(part.name)}"]'
        if any(part.id in heads for heads in self._heads.values()):
            yield self._box(part.id, depth + 1)
        if frame.opening:
            yield self._box(frame.opening, depth + 1)
        for column in frame.columns:
            for item in column.items:
                yield from self._item(item, depth + 1)
        if frame.closing:
            yield self._box(frame.closing, depth + 1)
        yield f"{edge}end"
        yield f"{edge}class {frame_id} frame"

    def _box(self, part_id: str, depth: int) -> str:
        part = self._parts[part_id]
        opened, closed = _SHAPES[part.kind]
        return f'{"  " * depth}{self._ids[part_id]}{opened}"{_label(part)}"{closed}:::{part.kind}'


def _merged(edges: tuple[Edge, ...]) -> Iterator[Edge]:
    """One edge for all that one part reads of another, its ports in one label."""
    ports: dict[tuple[str, str, EdgeKind], list[str]] = {}
    for edge in edges:
        ports.setdefault((edge.start, edge.end, edge.kind), []).append(edge.port)
    for (start, end, kind), named in ports.items():
        yield Edge(start, end, kind, ", ".join(name for name in named if name))


def _frames(items: tuple[Item, ...]) -> Iterator[Frame]:
    for item in items:
        if isinstance(item, Frame):
            yield item
            for column in item.columns:
                yield from _frames(column.items)


def _label(part: Part) -> str:
    # Arguments are the labels of the edges here; a condition may read nothing, and stands in the box.
    name = () if part.kind is PartKind.GROUP and (part.lines or part.ports) else (part.name,)
    conditions = [port for port in part.ports if " " in port and not port.startswith("target ")]
    return "<br/>".join(_text(line) for line in (*name, *part.lines, *conditions)) or " "


def _text(text: str) -> str:
    """Text for a quoted label: letters and digits of any language stay, what could mean something is a character code.

    A full stop or a dash before a space would be taken for a list's.
    """
    written = []
    for index, character in enumerate(text):
        alone = not text[index + 1 : index + 2].strip()
        if not character.isprintable():
            written.append(" ")
        elif character.isalnum() or character in " _," or character in ":/=+" or (character in ".-" and not alone):
            written.append(character)
        else:
            written.append(f"#{ord(character)};")
    return "".join(written)


_LINES: Mapping[EdgeKind, str] = {EdgeKind.ORDER: "==>", EdgeKind.DATA: "-->", EdgeKind.UNDO: "-.->"}
_SHAPES: Mapping[PartKind, tuple[str, str]] = {
    PartKind.INPUT: ("([", "])"),
    PartKind.CONTEXT: ("([", "])"),
    PartKind.VALUE: ("(", ")"),
    PartKind.START: ("(", ")"),
    PartKind.CHECK: ("[/", "/]"),
    PartKind.APPROVAL: ("{{", "}}"),
    PartKind.STEP: ("[", "]"),
    PartKind.GROUP: ("[", "]"),
    PartKind.CHOICE: ("{", "}"),
    PartKind.BAR: ("((", "))"),
    PartKind.UNDO: ("[", "]"),
    PartKind.OUTPUT: ("([", "])"),
    PartKind.AFTER: ("(", ")"),
}
_STYLES: Mapping[PartKind, str] = {
    PartKind.INPUT: "stroke:#2f8f4e",
    PartKind.CONTEXT: "stroke:#6b7480",
    PartKind.VALUE: "stroke:#a97a08",
    PartKind.START: "stroke:#6b7480,stroke-width:2px",
    PartKind.CHECK: "stroke:#0f7f86",
    PartKind.APPROVAL: "stroke:#b4530a,stroke-width:2px",
    PartKind.STEP: "stroke:#3a6fd8,stroke-width:2px",
    PartKind.GROUP: "stroke:#8a94a6",
    PartKind.CHOICE: "stroke:#3a6fd8",
    PartKind.BAR: "stroke:#1b1f24",
    PartKind.UNDO: "stroke:#b3413c,stroke-dasharray:5 4",
    PartKind.OUTPUT: "stroke:#7a4fc0",
    PartKind.AFTER: "stroke:#6b7480",
}

"""The ways of data lines through a flow: one net from each part that is read to all that read it.

Each column of the flow has a gutter at its left, in which each net that has readers there has a track of its own.
A frame with several columns has a strip above and one below them, through which nets change columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from request_models.drawing.graph import EdgeKind, Frame, Graph, Item

Path = tuple[tuple[str, int], ...]
"""The columns that a part stands in, from the outermost: frame and number. The first column of a frame is its parent's:
nothing stands between its boxes and the gutter there."""


@dataclass(frozen=True)
class Nets:
    """Which nets need a track in which gutter, and in which strips. Nets are named by the part that is read."""

    paths: Mapping[str, Path]
    """Where each part of the flow stands; a part beside it has no path, and is reached from the outermost gutter."""
    tracks: Mapping[Path, tuple[str, ...]]
    above: Mapping[str, tuple[str, ...]]
    below: Mapping[str, tuple[str, ...]]


def nets_of(graph: Graph) -> Nets:
    """The nets of a graph."""
    building = _Building(dict(_paths(graph.flow, ())))
    for edge in graph.edges:
        if edge.kind is EdgeKind.DATA and edge.end in building.paths:
            building.add(edge.start, edge.end)
    return building.nets()


def common(one: Path, other: Path) -> Path:
    """The innermost column that two parts have in common."""
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return one[:shared]


def _paths(items: tuple[Item, ...], path: Path) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for item in items:
        if isinstance(item, str):
            found.append((item, path))
        else:
            found += [(part, path) for part in (item.part, item.opening, item.closing) if part]
            for number, column in enumerate(item.columns):
                found += _paths(column.items, column_path(item, number, path))
    return found


def column_path(frame: Frame, number: int, path: Path) -> Path:
    """The path of a column of a frame that stands at `path`."""
    return (*path, (frame.part, number)) if number else path


@dataclass
class _Building:
    paths: dict[str, Path]
    tracks: dict[Path, dict[str, None]] = field(default_factory=dict)
    above: dict[str, dict[str, None]] = field(default_factory=dict)
    below: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, start: str, end: str) -> None:
        came, goes = self.paths.get(start, ()), self.paths[end]
        meet = common(came, goes)
        for depth in range(len(meet), len(goes)):
            self.above.setdefault(goes[depth][0], {})[start] = None
        for depth in range(len(meet), len(came)):
            self.below.setdefault(came[depth][0], {})[start] = None
        for path in (came, goes):
            for depth in range(len(meet), len(path) + 1):
                self.tracks.setdefault(path[:depth], {})[start] = None

    def nets(self) -> Nets:
        return Nets(
            self.paths,
            {path: tuple(names) for path, names in self.tracks.items()},
            {frame: tuple(names) for frame, names in self.above.items()},
            {frame: tuple(names) for frame, names in self.below.items()},
        )

"""Boxes of a drawing: what stands in them, how large they are, and where they stand, in pixels."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from request_models.drawing.graph import Part, PartKind

PAD, LINE = 12.0, 17.0
NAME_SIZE, TEXT_SIZE = 13.0, 11.5
WIDEST, MOST_ROWS = 44, 3
"""Columns of text in a row and rows of one text; the rest is cut, and shown when the pointer rests on the box."""
BAR_HEIGHT = 6.0


@dataclass(frozen=True)
class Row:
    """One row of text in a box; `port` is the port that begins in it."""

    kind: str
    text: str
    port: str | None = None


@dataclass(frozen=True)
class Box:
    """A part, or a lane for lines that pass a column (`part` is None), and where it stands."""

    part: Part | None
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    column: int = 0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows of text, from top to bottom."""
        return () if self.part is None else tuple(rows_of(self.part))

    def port(self, name: str) -> float:
        """The height at which an edge to that port ends: the middle of its first row, or of the box."""
        for number, row in enumerate(self.rows):
            if row.port is not None and row.port == name:
                return self.y + PAD + LINE * (number + 0.5)
        return self.y + PAD + LINE / 2 if self.part and self.part.kind is PartKind.GROUP else self.middle


def box_of(part: Part) -> Box:
    """A box as large as what stands in it."""
    if part.kind is PartKind.BAR:
        return Box(part, 40, BAR_HEIGHT)
    rows = list(rows_of(part))
    widths = [text_width(row.text, NAME_SIZE * 1.06 if row.kind == "name" else TEXT_SIZE) for row in rows]
    return Box(part, max([128, *widths]) + 2 * PAD, 2 * PAD + LINE * len(rows))


def rows_of(part: Part) -> Iterator[Row]:
    """What stands in a box: its name, its lines, its ports, each in as many rows as it needs."""
    if part.kind is PartKind.BAR:
        return
    yield from (Row("name", text) for text in _wrapped(part.name))
    for line in part.lines:
        yield from (Row("line", text) for text in _wrapped(line))
    for port in part.ports:
        for number, text in enumerate(_wrapped(port)):
            yield Row("port", text, None if number else port)


def text_width(text: str, size: float) -> float:
    """How wide a text will be, in pixels, without a font to measure it: a little too much rather than too little."""
    return sum(_cells(character) for character in text) * size * 0.58


def _cells(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _wrapped(text: str) -> Iterator[str]:
    """The text in rows, broken at spaces where there are any; what is too long ends in an ellipsis."""
    left = " ".join(text.split())
    for number in range(MOST_ROWS):
        row = _head(left)
        if len(row) == len(left):
            yield left
            return
        if number == MOST_ROWS - 1:
            yield f"{row[:-1]}…"
            return
        space = row.rfind(" ")
        row = row[:space] if space > len(row) // 2 else row
        yield row
        left = left[len(row) :].lstrip()


def _head(text: str) -> str:
    used = 0
    for index, character in enumerate(text):
        used += _cells(character)
        if used > WIDEST:
            return text[:index]
    return text

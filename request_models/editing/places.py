"""Where the cursor is: in a key or in a value, of which part of the model, and in which expression."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from request_models.editing.entries import Entry, Span
from request_models.editing.outline import MARK, outline
from request_models.yaml_source import MAX_BYTES, Path

CONDITIONS = frozenset({"when", "expect", "until", "fails", "for_each", "key", "select"})
"""Keys whose text is an expression without braces."""
_OPEN = re.compile(r"\{\{|\{%")
_CLOSE = re.compile(r"\}\}|%\}")


class Role(StrEnum):
    """What is being typed: the key of a map, or a value (which may turn out to be the first key of a map)."""

    KEY = "key"
    VALUE = "value"


@dataclass(frozen=True)
class Place:
    """A cursor in a model.

    `path` is where the value, or the map of the key, stands. `typed` is what stands before the cursor, `rest` what
    stands behind it of the same key or text; `span` is both in the text, without quotes. `root` is the outline with the
    cursor's mark in it: only its paths and texts are to be used. `own_line` is false of a value beside its key.
    """

    root: Entry
    path: Path
    role: Role
    typed: str
    rest: str
    span: Span
    entry: Entry
    style: str = ""
    own_line: bool = True

    @property
    def name(self) -> str:
        """The whole key or text at the cursor."""
        return self.typed + self.rest

    @property
    def in_flow(self) -> bool:
        """Whether it stands within braces: keys are then not on lines of their own."""
        parent = self.root.find(self.path if self.role is Role.KEY else self.path[:-1])
        return parent is not None and parent.members is not None and parent.flow

    @property
    def arguments(self) -> tuple[Path, Path] | None:
        """Within the arguments of an action: the path of the step (what has `uses`), and the path within its `with`."""
        for index, part in enumerate(self.path):
            if part == "with":
                return self.path[:index], self.path[index + 1 :]
        return None

    @property
    def expression(self) -> str | None:
        """What stands before the cursor of the expression it is in; None outside of expressions."""
        if self.role is Role.KEY:
            return None
        opened = [match.end() for match in _OPEN.finditer(self.typed)]
        if opened:
            inner = self.typed[opened[-1] :]
            return None if _CLOSE.search(inner) else inner
        return self.typed if self._is_condition() else None

    def _is_condition(self) -> bool:
        names = [part for part in self.path if isinstance(part, str)]
        if not names or "with" in names:
            return False
        if names[0] == "inputs" and names[-1] not in {"when", "select"}:
            return False
        return names[-1] in CONDITIONS or (names[0] == "eligible" and len(names) == 2)


def locate(text: str, offset: int) -> Place | None:
    """The place of an offset (in characters); None in comments, between things, and in texts too large for a model."""
    if len(text) > MAX_BYTES or not 0 <= offset <= len(text):
        return None
    text = text.replace(MARK, "?")
    root = outline(f"{text[:offset]}{MARK}{text[offset:]}")
    for entry in root.walk():
        if entry.key is not None and MARK in str(entry.path[-1]):
            typed, _, rest = str(entry.path[-1]).partition(MARK)
            span = Span(offset - len(typed), offset + len(rest))
            return Place(root, entry.path[:-1], Role.KEY, typed, rest, span, entry)
        if entry.text is not None and MARK in entry.text:
            return _in_value(root, entry, text, offset)
    return None


def _in_value(root: Entry, entry: Entry, text: str, offset: int) -> Place:
    """The span of an entry that holds the mark is one longer than what stands in the text."""
    start, end = entry.span.start, entry.span.end - 1
    if entry.style in {"'", '"'}:
        start += 1
        if end > start and end > offset and text[end - 1] == entry.style:
            end -= 1
    span = Span(min(start, offset), max(end, offset))
    place = Place(root, entry.path, Role.VALUE, text[span.start : offset], text[offset : span.end], span, entry)
    own_line = entry.key is None or "\n" in text[entry.key.end : span.start]
    return replace(place, style=entry.style, own_line=own_line)

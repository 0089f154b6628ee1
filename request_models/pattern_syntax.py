"""ECMA-262 patterns (Unicode mode) as trees, for judging how they behave. The engine has refused what is not valid."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

MAX_LENGTH = 4000
MAX_DEPTH = 60


@dataclass(frozen=True)
class Characters:
    """One character of a set; `source` is the pattern of the set, of which the engine says what is in it."""

    source: str


@dataclass(frozen=True)
class Sequence:
    """One after another; none at all is the empty text."""

    parts: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Choice:
    """One of several."""

    options: tuple["Node", ...]


@dataclass(frozen=True)
class Repeat:
    """A number of times; `most` is None where there is no limit."""

    body: "Node"
    least: int
    most: int | None


@dataclass(frozen=True)
class Edge:
    """An assertion that takes no character: a start, an end, a border of words or none."""

    source: str


@dataclass(frozen=True)
class Look:
    """A look ahead or behind: it takes no character, and is matched by itself."""

    body: "Node"
    behind: bool


Node: TypeAlias = Characters | Sequence | Choice | Repeat | Edge | Look

EMPTY = Sequence()


class NotJudged(Exception):
    """The pattern is too long, too deep, or holds what is not known here."""


@lru_cache(maxsize=8192)
def parse_pattern(pattern: str) -> Node:
    """The tree of a valid pattern; a back reference stands as a copy of its group. Raises NotJudged."""
    if len(pattern) > MAX_LENGTH:
        raise NotJudged("it is too long")
    parser = _Parser(pattern)
    node = parser.choice(0)
    if parser.at < len(pattern):
        raise NotJudged("it holds a form that is not known here")
    return node


class _Parser:
    """Reads a pattern from the left. `flags` are those of `(?i:...)` around the place, kept in each set's source."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0
        self.groups: dict[str, Node] = {}
        self.opened = 0
        self.flags: tuple[str, ...] = ()

    def choice(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise NotJudged("it is nested too deeply")
        options = [self._sequence(depth)]
        while self._takes("|"):
            options.append(self._sequence(depth))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._quantified(self._atom(depth)))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _quantified(self, atom: Node) -> Node:
        if self._takes("*"):
            least, most = 0, None
        elif self._takes("+"):
            least, most = 1, None
        elif self._takes("?"):
            least, most = 0, 1
        elif self._takes("{"):
            least, most = self._counts()
        else:
            return atom
        self._takes("?")  # a lazy quantifier tries the same ways in another order
        return Repeat(atom, least, most)

    def _counts(self) -> tuple[int, int | None]:
        end = self.pattern.index("}", self.at)
        first, comma, last = self.pattern[self.at : end].partition(",")
        self.at = end + 1
        least = int(first)
        return least, (int(last) if last else None) if comma else least

    def _atom(self, depth: int) -> Node:
        if self._takes("("):
            return self._group(depth)
        if self.pattern[self.at] in "^$":
            self.at += 1
            return Edge(self.pattern[self.at - 1])
        start = self.at
        if self._takes("["):
            self._skip_set()
        elif self._takes("\\"):
            if self.pattern[self.at] in "bB":
                self.at += 1
                return Edge(self.pattern[start : self.at])
            if self.pattern[self.at] in "k123456789":
                return self._reference()
            self._skip_escape()
        else:
            self.at += 1
        return self._set(self.pattern[start : self.at])

    def _set(self, source: str) -> Node:
        for flags in reversed(self.flags):
            source = f"(?{flags}:{source})"
        return Characters(source)

    def _group(self, depth: int) -> Node:
        for start, behind in (("?=", False), ("?!", False), ("?<=", True), ("?<!", True)):
            if self._takes(start):
                return Look(self._rest_of_group(depth), behind)
        if self._takes("?<"):
            end = self.pattern.index(">", self.at)
            name, self.at = self.pattern[self.at : end], end + 1
            return self._captured(depth, name)
        if self._takes("?"):
            end = self.pattern.index(":", self.at)
            flags, self.at = self.pattern[self.at : end], end + 1
            outer, self.flags = self.flags, (*self.flags, flags) if flags else self.flags
            body = self._rest_of_group(depth)
            self.flags = outer
            return body
        return self._captured(depth)

    def _captured(self, depth: int, name: str = "") -> Node:
        self.opened += 1
        number = str(self.opened)
        body = self._rest_of_group(depth)
        self.groups[number] = body
        if name:
            self.groups[name] = body
        return body

    def _rest_of_group(self, depth: int) -> Node:
        body = self.choice(depth + 1)
        if not self._takes(")"):
            raise NotJudged("it holds a form that is not known here")
        return body

    def _reference(self) -> Node:
        start = self.at
        if self._takes("k<"):
            end = self.pattern.index(">", self.at)
            name, self.at = self.pattern[start + 2 : end], end + 1
        else:
            while self.at < len(self.pattern) and self.pattern[self.at] in "0123456789":
                self.at += 1
            name = self.pattern[start : self.at]
        # One to a group that is still open, or comes later, stands for the empty text.
        return self.groups.get(name, EMPTY)

    def _skip_set(self) -> None:
        while not self._takes("]"):
            if self._takes("\\"):
                self._skip_escape()
            else:
                self.at += 1

    def _skip_escape(self) -> None:
        kind = self.pattern[self.at]
        self.at += 1
        if kind in "pP" or (kind == "u" and self.pattern[self.at] == "{"):
            self.at = self.pattern.index("}", self.at) + 1
        elif kind == "u":
            high = self.pattern[self.at : self.at + 4].lower()
            self.at += 4
            if "d800" <= high <= "dbff" and self._takes("\\u"):  # two escapes that are one character
                self.at += 4
        elif kind == "x":
            self.at += 2
        elif kind == "c":
            self.at += 1

    def _takes(self, text: str) -> bool:
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

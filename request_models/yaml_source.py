"""A YAML 1.2 file as plain values that know where they stand; hostile files get a diagnostic, in bounded time.

The values are made here from the parser's events, so that nothing of YAML 1.1 (`on` is text), no tag and no object of
Python comes in, keys given twice are seen, and aliases cannot blow up.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from request_models.diagnostics import Diagnostic, Severity
from request_models.json_values import JsonValue

MAX_BYTES = 1_048_576
"""Largest model file."""
MAX_DEPTH = 40
"""Deepest nesting of maps and lists in a model."""
MAX_NODES = 20_000
"""Most values in a model, aliases counted each time they are used."""

Path = tuple[str | int, ...]
"""Where a value stands in its document: keys and indexes from the top."""

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Scalar:
    """A text or number as it was written: without quotes (`plain`), or as a block under `|` or `>` (`block`).

    `after` is how the last line of a plain one goes on, so far as to tell a comment.
    """

    written: str
    plain: bool = False
    block: bool = False
    after: str = ""


@dataclass(frozen=True)
class YamlSource:
    """A file's text, its value, and where each part stands. `value` is None when the file could not be read."""

    file: str
    text: str
    value: JsonValue = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    scalars: dict[Path, "Scalar"] = field(default_factory=dict)

    def is_bare(self, mark: Mark) -> bool:
        """Whether what stands at a place is without quotes."""
        return self.text.split("\n")[mark.line - 1][mark.column - 1 : mark.column] not in {'"', "'"}

    def known(self, path: Path) -> Path:
        """The longest part of a path that stands in the file; parts the file leaves implicit are passed over."""
        found: Path = ()
        for part in path:
            longer = (*found, part)
            if longer in self.values:
                found = longer
        return found

    def diagnostic(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        hint: str = "",
        severity: Severity = Severity.ERROR,
        at: str = "",
        on_key: bool = False,
    ) -> Diagnostic:
        """A diagnostic at a value, at its key, or (`at`) at a text within the value."""
        known = self.known(path)
        mark = self.keys.get(known) if on_key else None
        mark = mark or self.values.get(known, Mark(1, 1))
        width = len(str(known[-1])) if on_key and known else 1
        if at:
            mark, width = self._within(mark, known, at)
        shown = self.excerpt(mark)
        return Diagnostic(code, message, self.file, mark.line, mark.column, hint, severity, shown, width)

    def excerpt(self, mark: Mark) -> str:
        """The line of a place, if it is of a length that can be looked at around it."""
        line = self._lines[mark.line - 1].rstrip("\r") if mark.line <= len(self._lines) else ""
        return line[: max(200, mark.column + 40)] if mark.column < 300 else ""

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        """The lines in which values start, in order."""
        return sorted({mark.line for mark in self.values.values()})

    def _within(self, mark: Mark, path: Path, text: str) -> tuple[Mark, int]:
        """Where `text` stands in the scalar that starts at `mark`; the scalar's start when it is not seen there."""
        after = bisect_right(self._starts, mark.line)
        end = self._starts[after] if after < len(self._starts) else mark.line + 200
        lines = self._lines[mark.line - 1 : end]
        whole_word = re.compile(rf"(?<![\w.]){re.escape(text)}(?!\w)")
        for offset, line in enumerate(lines):
            found = whole_word.search(line, mark.column - 1 if offset == 0 else 0)
            if found is not None:
                return Mark(mark.line + offset, found.start() + 1), len(text)
        return mark, 1


@dataclass
class _Node:
    """A value being read; `children` are pairs for maps, items for lists."""

    mark: Mark
    value: JsonValue = None
    items: "list[_Node] | None" = None
    pairs: "list[tuple[_Node, _Node]] | None" = None
    scalar: Scalar | None = None


class _Refused(Exception):
    """The file cannot be read on; the diagnostic says why."""

    def __init__(self, code: str, message: str, mark: Mark, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.mark, self.hint = code, message, mark, hint


def read_yaml(file: str, content: bytes) -> YamlSource:
    """Read one file; what is wrong with it is in `diagnostics`, and nothing is raised for a file's content."""
    try:
        text = _decoded(content)
    except _Refused as refused:
        return _refusal(file, content.decode(errors="replace")[:MAX_BYTES], refused)
    try:
        root = _Reader(text).document()
        source = YamlSource(file, text)
        return _Placing(source).placed(root)
    except _Refused as refused:
        return _refusal(file, text, refused)
    except MarkedYAMLError as error:
        return _refusal(file, text, _syntax_error(error, text))
    except (YAMLError, ValueError) as error:
        return _refusal(file, text, _Refused("yaml-syntax", f"this is not YAML: {str(error)[:200]}", Mark(1, 1)))


def _refusal(file: str, text: str, refused: _Refused) -> YamlSource:
    # What is missing at the end is missing in the last line, not in one after it.
    lines = text.rstrip("\n").split("\n")
    mark = refused.mark if refused.mark.line <= len(lines) else Mark(len(lines), len(lines[-1]) + 1)
    shown = YamlSource(file, text).excerpt(mark)
    found = Diagnostic(refused.code, refused.message, file, mark.line, mark.column, refused.hint, excerpt=shown)
    return YamlSource(file, text, diagnostics=(found,))


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _Refused("too-large", f"a model may have {MAX_BYTES // 1024} KiB at most", Mark(1, 1))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        hint = "save the file as UTF-8"
        raise _Refused("not-utf8", "this file is not UTF-8 text", Mark(line, column), hint) from None


_BARE_BRACES = re.compile(r"[ \t]*(?:-[ \t]+)*(?:[\w-]+:[ \t]+)?(\{\{)")
_CUT = re.compile(r"[ \t]#\w")


def _syntax_error(error: Any, text: str) -> _Refused:
    mark = error.problem_mark or error.context_mark
    place = Mark(mark.line + 1, mark.column + 1) if mark is not None else Mark(1, 1)
    what = error.problem or error.context or "this cannot be read"
    lines = text.split("\n")
    for number in (place.line, place.line - 1):
        braces = _BARE_BRACES.match(lines[number - 1]) if 0 < number <= len(lines) else None
        if braces is not None:
            return _bare_braces(Mark(number, braces.start(1) + 1))
    if "did not find expected" in what and _CUT.search("\n".join(lines[max(0, place.line - 2) : place.line])):
        return _Refused("yaml-syntax", f"this is not YAML: {what}", place, "put text that holds ` #` in quotes")
    hint = "put text that holds a colon in quotes" if "unexpected ':'" in what else ""
    if "cannot start any token" in what:
        hint = "indent with spaces, not tabs; put text that starts with @, `, % or { in quotes"
    if "mapping values are not allowed" in what:
        hint = "put text that holds `: ` in quotes"
    return _Refused("yaml-syntax", f"this is not YAML: {what}", place, hint)


def _bare_braces(mark: Mark) -> _Refused:
    hint = 'put the whole value in quotes: "{{ ... }}"'
    return _Refused("yaml-braces", "without quotes, YAML takes `{{` for the start of a map", mark, hint)


class _Reader:
    """Reads the events of one document into nodes."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(YAML(typ="safe").parse(text))
        self._lines = text.split("\n")
        self._anchors: dict[str, _Node] = {}
        self._count = 0

    def document(self) -> _Node:
        root: _Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise _Refused("yaml-documents", "a file holds one model: this starts another document", _mark(event))
            if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent):
                root = self._node(event, 0)
        if root is None:
            raise _Refused("empty", "this file is empty", Mark(1, 1))
        return root

    def _node(self, event: Any, depth: int) -> _Node:
        self._count += 1
        mark = _mark(event)
        if depth > MAX_DEPTH:
            raise _Refused("too-deep", f"this is nested deeper than {MAX_DEPTH} levels", mark)
        if self._count > MAX_NODES:
            raise _Refused("too-large", f"a model may hold {MAX_NODES} values at most", mark)
        if isinstance(event, AliasEvent):
            return self._alias(event, mark)
        if event.tag is not None and event.tag != "!":
            hint = "quotes make text; other kinds need no tag"
            raise _Refused("yaml-tag", f"the tag `{str(event.tag)[:60]}` is not part of the language", mark, hint)
        node = self._read(event, mark, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent, mark: Mark) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise _Refused("yaml-alias", f"`*{event.anchor}` names nothing that is complete before it", mark)
        return _Node(mark, node.value, node.items, node.pairs, node.scalar)

    def _read(self, event: Any, mark: Mark, depth: int) -> _Node:
        if isinstance(event, ScalarEvent):
            plain = event.style in {None, ""} and event.tag is None
            scalar = Scalar(event.value, plain, event.style in {"|", ">"}, self._after(event) if plain else "")
            return _Node(mark, _plain_value(event.value, mark) if plain else event.value, scalar=scalar)
        if isinstance(event, SequenceStartEvent):
            items = [self._node(inner, depth + 1) for inner in self._until(SequenceEndEvent)]
            return _Node(mark, items=items)
        pairs = []
        for key in self._until(MappingEndEvent):
            key_node = self._node(key, depth + 1)
            pairs.append((key_node, self._node(next(self._events), depth + 1)))
        return _Node(mark, pairs=pairs)

    def _after(self, event: ScalarEvent) -> str:
        end = event.end_mark
        return self._lines[end.line][end.column : end.column + 80] if end.line < len(self._lines) else ""

    def _until(self, end: type[Any]) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event


class _Placing:
    """Turns nodes into plain values and notes where each stands."""

    def __init__(self, source: YamlSource) -> None:
        self._source = source
        self._lines = source.text.split("\n")
        self._found: list[Diagnostic] = []
        self._count = 0

    def placed(self, root: _Node) -> YamlSource:
        value = self._value(root, ())
        source = self._source
        return replace(source, value=value, diagnostics=tuple(self._found))

    def _value(self, node: _Node, path: Path) -> JsonValue:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            why = "this holds too many values, or is nested too deeply, once its aliases are followed"
            raise _Refused("too-large", why, node.mark)
        self._source.values[path] = node.mark
        if node.items is not None:
            return [self._value(item, (*path, index)) for index, item in enumerate(node.items)]
        if node.pairs is not None:
            return self._members(node.pairs, path)
        if node.scalar is not None:
            self._source.scalars[path] = node.scalar
        return node.value

    def _members(self, pairs: list[tuple[_Node, _Node]], path: Path) -> JsonValue:
        members: dict[str, JsonValue] = {}
        for key_node, value_node in pairs:
            key = key_node.value
            if self._is_in_braces(key_node):
                raise _bare_braces(Mark(key_node.mark.line, key_node.mark.column - 1))
            if not isinstance(key, str) or key_node.items is not None or key_node.pairs is not None:
                raise _Refused("yaml-key", "the keys of a model are text", key_node.mark, "put the key in quotes")
            place = (*path, key)
            if key in members:
                self._twice(place, key, key_node)
                continue
            self._source.keys[place] = key_node.mark
            members[key] = self._value(value_node, place)
        return members

    def _is_in_braces(self, node: _Node) -> bool:
        """Whether this is the inner map of `{{ ... }}`, which YAML takes for the key of a map."""
        return (
            node.pairs is not None
            and self._lines[node.mark.line - 1][max(0, node.mark.column - 2) : node.mark.column] == "{{"
        )

    def _twice(self, path: Path, key: str, node: _Node) -> None:
        first = self._source.keys[path]
        message = f"the key `{key}` stands here again; it was given in line {first.line}"
        place, hint = node.mark, "keep one of the two"
        shown = self._source.excerpt(place)
        self._found.append(
            Diagnostic(
                "duplicate-key",
                message,
                self._source.file,
                place.line,
                place.column,
                hint,
                excerpt=shown,
                width=len(key),
            )
        )


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _plain_value(text: str, mark: Mark) -> JsonValue:
    """A scalar without quotes, by the core schema of YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _SPECIAL.fullmatch(text):
        raise _Refused("yaml-number", f"`{text}` is not a number of JSON", mark, "put it in quotes if it is text")
    if len(text) <= 400 and _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise _Refused("yaml-number", "this number is too large", mark, "put it in quotes if it is text")
        return number
    return text

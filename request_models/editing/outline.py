"""The outline of a model that may not be YAML yet: maps, lists and texts by indentation, each with where it stands.

`yaml_source` reads what is whole and refuses the rest. This reads what is being typed: a key without its colon, a quote
or a brace that is not closed yet, a value that is missing. It never fails, and it reads each character a few times at
most, whatever the text.
"""

import re
from dataclasses import dataclass, field

from request_models.editing.entries import Entry, Span
from request_models.yaml_source import MAX_DEPTH, Path

_PLAIN_KEY = r"[^\s#\-?:,\[\]{}&*!|>'\"%@`](?:(?!\s#)[^\n])*?"
_QUOTED_KEY = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\n]|\'\')*\''
_KEY = re.compile(rf"(?P<key>{_QUOTED_KEY}|-(?=\S){_PLAIN_KEY}|{_PLAIN_KEY})[ \t]*:(?=\s|$)")
_FLOW_KEY = re.compile(rf"(?P<key>{_QUOTED_KEY}|[^\s#?:,\[\]{{}}&*!|>'\"%@`][^\n,\[\]{{}}:]*?)[ \t]*:(?=[\s,\]}}]|$)")
_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*[ \t]+")
_BLOCK_TEXT = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\n]*)?(?=\n|$)")
_NEXT_LINE = re.compile(r"(?:\n[ \t]*(?:#[^\n]*)?(?=\n))*\n(?P<indent>[ ]*)")
_COMMENT = re.compile(r"(?:^|\s)#")


def outline(text: str) -> Entry:
    """The outline of a text; one with nothing in it is a text without characters."""
    return _Scanner(text).document()


@dataclass
class _Scanner:
    """Reads one text from its start to its end; `at` never goes back."""

    source: str
    at: int = 0
    _depth: int = field(default=0, init=False)

    def document(self) -> Entry:
        self._skip()
        if self.source.startswith("---", self.at):
            self.at += 3
            self._skip()
        root = self._block((), -1)
        while root.members is not None and self.at < len(self.source):
            # A line that fits nowhere (an odd indentation while typing) hides nothing after it.
            before = self.at
            self._members(root, 0)
            if self.at == before:
                self._skip_line()
        return root

    # where it stands

    def _column(self, at: int) -> int:
        return at - (self.source.rfind("\n", 0, at) + 1)

    def _line_end(self, at: int) -> int:
        end = self.source.find("\n", at)
        return len(self.source) if end < 0 else end

    def _skip(self) -> None:
        """To the next thing that is no space, no comment and no line break."""
        while self.at < len(self.source):
            character = self.source[self.at]
            if character == "#" and (self.at == 0 or self.source[self.at - 1].isspace()):
                self.at = self._line_end(self.at)
            elif character.isspace():
                self.at += 1
            else:
                return

    def _skip_line(self) -> None:
        self.at = self._line_end(self.at)
        self._skip()

    def _starts_item(self) -> bool:
        return self.source.startswith("-", self.at) and (
            self.at + 1 >= len(self.source) or self.source[self.at + 1].isspace()
        )

    # blocks

    def _block(self, path: Path, parent: int) -> Entry:
        """What stands here, on a line of its own or behind a dash; `parent` is the column it belongs under."""
        if self.at >= len(self.source):
            return Entry(path, Span(self.at, self.at), text="")
        column = self._column(self.at)
        self._depth += 1
        try:
            if self._depth > 4 * MAX_DEPTH:
                return self._text(path, parent)
            if self._starts_item():
                return self._list(path, column, parent)
            if self.source[self.at] not in "{[" and self._starts_map(column):
                entry = Entry(path, Span(self.at, self.at), members={})
                self._members(entry, column)
                return entry
            return self._value(path, parent)
        finally:
            self._depth -= 1

    def _starts_map(self, column: int) -> bool:
        """Whether this line, or one at its column behind it, has a key: the first may still be being typed."""
        if _KEY.match(self.source, self.at):
            return True
        line = _NEXT_LINE.match(self.source, self._line_end(self.at))
        if self.source[self.at] in "'\"|>" or line is None or len(line["indent"]) != column:
            return False
        return _KEY.match(self.source, line.end()) is not None

    def _list(self, path: Path, column: int, parent: int) -> Entry:
        entry = Entry(path, Span(self.at, self.at), items=[])
        assert entry.items is not None
        # A dash that is still to come is missed only where nothing else can stand: left of it there is a key.
        nested = column > parent
        while self.at < len(self.source) and self._column(self.at) == column:
            start = self.at
            inner: Path = (*path, len(entry.items))
            if self._starts_item():
                self.at += 1
                self._skip()
                on_its_own = self.at >= len(self.source) or self._column(self.at) <= column
                item = Entry(inner, Span(start + 1, start + 1), text="") if on_its_own else self._block(inner, column)
            elif nested:
                item = self._text(inner, column)
            else:
                break
            entry.items.append(item)
            entry.span = Span(entry.span.start, max(item.span.end, start + 1))
            self._skip()
            self._pass_over(column)
        return entry

    def _pass_over(self, column: int) -> None:
        """Lines further in than what they should belong to, odd while one types: what follows them still counts."""
        while self.at < len(self.source) and self._column(self.at) > column:
            self._skip_line()

    def _members(self, entry: Entry, column: int) -> None:
        """The keys at a column, and what stands under them."""
        assert entry.members is not None
        while self.at < len(self.source) and self._column(self.at) == column and not self._starts_item():
            start = self.at
            match = _KEY.match(self.source, start)
            if match is None:
                self._half_key(entry)
                continue
            key = _unquoted(match["key"])
            self.at = match.end()
            child = self._under((*entry.path, key), column)
            child.key = Span(start, match.end("key"))
            # The first of two stands: the second is told of when the model is checked.
            entry.members.setdefault(key, child)
            entry.span = Span(entry.span.start, max(child.span.end, match.end()))
            self._skip()
            self._pass_over(column)

    def _half_key(self, entry: Entry) -> None:
        """A line that is no key yet."""
        assert entry.members is not None
        start, end = self.at, self._line_end(self.at)
        text = self.source[start:end].rstrip()
        span = Span(start, start + len(text))
        entry.members.setdefault(
            text, Entry((*entry.path, text), Span(span.end, span.end), key=span, keyed=False, text="")
        )
        entry.span = Span(entry.span.start, span.end)
        self.at = end
        self._skip()
        self._pass_over(self._column(start))

    def _under(self, path: Path, column: int) -> Entry:
        """The value of a key that stands at a column."""
        after = self.at
        end = self._line_end(after)
        self._skip()
        if self.at < end:
            return self._value(path, column)
        nothing = Entry(path, Span(after, after), text="")
        if self.at >= len(self.source):
            return nothing
        inner = self._column(self.at)
        if inner > column or (inner == column and self._starts_item()):
            return self._block(path, column)
        return nothing

    # values

    def _value(self, path: Path, parent: int) -> Entry:
        while match := _PROPERTY.match(self.source, self.at):
            self.at = match.end()
        if self.at >= len(self.source):
            return Entry(path, Span(self.at, self.at), text="")
        character = self.source[self.at]
        # Two braces are an expression whose quotes are still to come: YAML would see maps.
        if character in "{[" and not self.source.startswith("{{", self.at):
            return self._flow(path, parent)
        if character in "|>" and _BLOCK_TEXT.match(self.source, self.at):
            return self._block_text(path, parent)
        return self._text(path, parent)

    def _block_text(self, path: Path, parent: int) -> Entry:
        start, style = self.at, self.source[self.at]
        first = end = self._line_end(start)
        while end < len(self.source):
            line = self._line_end(end + 1)
            content = self.source[end + 1 : line]
            if content.strip() and len(content) - len(content.lstrip()) <= parent:
                break
            end = line
        self.at = end
        return Entry(path, Span(start, end), style=style, text=self.source[first:end].strip("\n"))

    def _text(self, path: Path, parent: int) -> Entry:
        start = self.at
        quote = self.source[start] if self.source[start] in "'\"" else ""
        end = self._quoted_end(start, quote, parent) if quote else self._plain_end(start, parent)
        written = self.source[start:end]
        self.at = end
        if quote:
            # What follows a closed quote on its line belongs to nothing.
            self.at = max(end, min(self._line_end(end), self._next_mark(end)))
            return Entry(path, Span(start, end), style=quote, text=_unquoted(written))
        return Entry(path, Span(start, end), text=" ".join(written.split()))

    def _next_mark(self, at: int) -> int:
        """Where a flow could go on behind a closed quote; only flows ask again from there."""
        match = re.compile(r"[,\]}:]|$", re.MULTILINE).search(self.source, at)
        return match.start() if match else at

    def _plain_end(self, start: int, parent: int) -> int:
        end = self._line_end(start)
        while end < len(self.source):
            comment = _COMMENT.search(self.source, max(start, self.source.rfind("\n", 0, end) + 1), end)
            line = self._line_end(end + 1)
            content = self.source[end + 1 : line]
            indent = len(content) - len(content.lstrip())
            continues = content.strip() and indent > parent and not _KEY.match(self.source, end + 1 + indent)
            if comment or not continues or content.lstrip().startswith(("#", "- ", MARK)):
                break
            end = line
        return self._before_comment(start, end)

    def _before_comment(self, start: int, end: int) -> int:
        line = max(start, self.source.rfind("\n", start, end) + 1)
        comment = _COMMENT.search(self.source, line, end)
        stop = comment.start() if comment else end
        return start + len(self.source[start:stop].rstrip())

    def _quoted_end(self, start: int, quote: str, parent: int) -> int:
        """Behind the closing quote; without one, the end of the last line that can belong to it."""
        at = start + 1
        while at < len(self.source):
            character = self.source[at]
            if character == "\\" and quote == '"':
                at += 2
            elif character == quote:
                if quote == "'" and self.source.startswith("''", at):
                    at += 2
                    continue
                return at + 1
            elif character == "\n" and not self._goes_on(at, parent):
                return at
            else:
                at += 1
        return len(self.source)

    def _goes_on(self, at: int, parent: int) -> bool:
        """Whether the line behind a line break can belong to a quote or a flow that is open at it."""
        line = self.source[at + 1 : self._line_end(at + 1)]
        if not line.strip():
            return True
        return len(line) - len(line.lstrip()) > parent

    # flows

    def _flow(self, path: Path, parent: int) -> Entry:
        self._depth += 1
        try:
            if self._depth > 4 * MAX_DEPTH:
                return self._text(path, parent)
            return self._flow_map(path, parent) if self.source[self.at] == "{" else self._flow_list(path, parent)
        finally:
            self._depth -= 1

    def _flow_skip(self, parent: int) -> bool:
        """To the next thing of the flow; false where the flow ends without being closed."""
        while self.at < len(self.source):
            character = self.source[self.at]
            if character == "\n":
                if not self._goes_on(self.at, parent):
                    return False
                self.at += 1
            elif character == "#" and self.source[self.at - 1].isspace():
                self.at = self._line_end(self.at)
            elif character.isspace():
                self.at += 1
            else:
                return True
        return False

    def _flow_map(self, path: Path, parent: int) -> Entry:
        start = self.at
        entry = Entry(path, Span(start, start + 1), flow=True, members={})
        assert entry.members is not None
        self.at += 1
        while self._flow_skip(parent):
            character = self.source[self.at]
            if character == "}":
                self.at += 1
                break
            if character in ",]:":
                self.at += 1
                continue
            child = self._flow_member(path, parent)
            entry.members.setdefault(str(child.path[-1]), child)
        entry.span = Span(start, self.at)
        return entry

    def _flow_member(self, path: Path, parent: int) -> Entry:
        match = _FLOW_KEY.match(self.source, self.at)
        if match is None:
            span = self._flow_word(parent)
            text = _unquoted(self.source[span.start : span.end])
            return Entry((*path, text), Span(span.end, span.end), key=span, keyed=False, text="")
        key = _unquoted(match["key"])
        span = Span(self.at, match.end("key"))
        self.at = match.end()
        child = self._flow_value((*path, key), parent)
        child.key = span
        return child

    def _flow_list(self, path: Path, parent: int) -> Entry:
        start = self.at
        entry = Entry(path, Span(start, start + 1), flow=True, items=[])
        assert entry.items is not None
        self.at += 1
        while self._flow_skip(parent):
            character = self.source[self.at]
            if character == "]":
                self.at += 1
                break
            if character in ",}:":
                self.at += 1
                continue
            entry.items.append(self._flow_value((*path, len(entry.items)), parent))
        entry.span = Span(start, self.at)
        return entry

    def _flow_value(self, path: Path, parent: int) -> Entry:
        after = self.at
        if not self._flow_skip(parent) or self.source[self.at] in ",]}":
            return Entry(path, Span(after, after), text="")
        if self.source[self.at] in "{[" and not self.source.startswith("{{", self.at):
            return self._flow(path, parent)
        span = self._flow_word(parent)
        written = self.source[span.start : span.end]
        style = written[:1] if written[:1] in {"'", '"'} else ""
        return Entry(path, span, style=style, text=_unquoted(written))

    def _flow_word(self, parent: int) -> Span:
        """A text within a flow, quoted or plain; always one character at least."""
        start = self.at
        if self.source[start] in "'\"":
            self.at = self._quoted_end(start, self.source[start], parent)
            return Span(start, self.at)
        closing = "}}" if self.source.startswith("{{", start) else ""
        if closing:
            found = self.source.find(closing, start, self._line_end(start))
            self.at = found + 2 if found >= 0 else self._line_end(start)
            return Span(start, self.at)
        match = re.compile(r"[^,\[\]{}\n]+").match(self.source, start)
        end = match.end() if match else start + 1
        comment = _COMMENT.search(self.source, start, end)
        self.at = comment.start() if comment and comment.start() > start else end
        return Span(start, start + max(1, len(self.source[start : self.at].rstrip())))


MARK = "\ue000"
"""Stands where the cursor is while a text is read; no key and no text begins or ends at it."""


def _unquoted(written: str) -> str:
    """The text within quotes that may not be closed yet; escapes stay as they are written but for quotes."""
    quote = written[:1]
    if quote not in {"'", '"'}:
        return written.strip()
    inner = written[1:-1] if len(written) > 1 and written.endswith(quote) else written[1:]
    return inner.replace("''", "'") if quote == "'" else inner.replace('\\"', '"').replace("\\\\", "\\")

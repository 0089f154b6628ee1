"""What an outline is made of: entries that know where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from request_models.json_values import JsonValue
from request_models.yaml_source import Path

_NUMBER = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_WORDS: dict[str, JsonValue] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True)
class Span:
    """A part of a text, by its offsets in characters; `end` is not in it."""

    start: int
    end: int

    def holds(self, offset: int) -> bool:
        """Whether the offset is in it, or just behind it."""
        return self.start <= offset <= self.end


@dataclass
class Entry:
    """One value. `key` is where its key stands, None for items of a list; `keyed` is false for a key without a colon.

    Of a text, `span` covers what was typed, quotes included. `style` is `'`, `"`, `|`, `>` or empty. `flow` is true of
    maps and lists in braces and brackets.
    """

    path: Path
    span: Span
    key: Span | None = None
    keyed: bool = True
    style: str = ""
    flow: bool = False
    text: str | None = None
    members: dict[str, "Entry"] | None = None
    items: list["Entry"] | None = None

    @property
    def children(self) -> Iterator["Entry"]:
        """What stands in it."""
        yield from (self.members or {}).values()
        yield from self.items or ()

    @property
    def whole(self) -> Span:
        """From its key to its end."""
        return Span(self.key.start if self.key is not None else self.span.start, self.span.end)

    def walk(self) -> Iterator["Entry"]:
        """The entry and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: Path) -> "Entry | None":
        """What stands at a path below this; None when nothing does."""
        found: Entry | None = self
        for part in path:
            if found is None:
                return None
            if isinstance(part, int):
                found = found.items[part] if found.items is not None and part < len(found.items) else None
            else:
                found = (found.members or {}).get(part)
        return found

    def word(self, key: str) -> str:
        """The text under a key, empty when there is none."""
        child = (self.members or {}).get(key)
        return (child.text or "").strip() if child is not None else ""

    def value(self) -> JsonValue:
        """The plain value, as far as it can be told."""
        if self.members is not None:
            return {name: child.value() for name, child in self.members.items() if child.keyed}
        if self.items is not None:
            return [child.value() for child in self.items]
        text = self.text or ""
        if self.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NUMBER.fullmatch(text):
            return float(text) if "." in text else int(text)
        return text

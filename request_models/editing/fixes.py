"""What a diagnostic's hint says is meant, as an edit of the text."""

import re
from dataclasses import dataclass

from request_models.diagnostics import Diagnostic
from request_models.editing.entries import Span

_MEANT = re.compile(r"\bis (?P<names>`[^`]+`(?: or `[^`]+`)*) meant\?")
_QUOTED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Fix:
    """Put `text` in place of what stands at `span`. The first of several is the likeliest."""

    title: str
    span: Span
    text: str


def span_of(diagnostic: Diagnostic, text: str) -> Span:
    """What a diagnostic means in a text; at least one character of its line, if the line has one."""
    lines = text.split("\n")
    if diagnostic.line > len(lines):
        return Span(len(text), len(text))
    before = sum(len(line) + 1 for line in lines[: diagnostic.line - 1])
    line = lines[diagnostic.line - 1].rstrip("\r")
    start = min(diagnostic.column - 1, len(line))
    width = max(diagnostic.width, _faulty_width(diagnostic, line[start:]))
    return Span(before + start, before + min(len(line), start + width))


def fixes(diagnostic: Diagnostic, text: str) -> tuple[Fix, ...]:
    """What may be written instead; empty when the hint names nothing."""
    meant = _MEANT.search(diagnostic.hint)
    if meant is None:
        return ()
    span = span_of(diagnostic, text)
    here = text[span.start : span.end]
    wrong = _wrong_part(diagnostic, here)
    if wrong is None:
        return ()
    at = span.start + here.index(wrong)
    return tuple(
        Fix(f"Write {name}", Span(at, at + len(wrong)), _same_length_of_path(name, wrong))
        for name in _QUOTED.findall(meant["names"])
    )


def _same_length_of_path(name: str, wrong: str) -> str:
    """A hint may name the last part only (`Bucket`) of what stands there (`args.Bukcet`), or all of it."""
    head, dot, _ = wrong.rpartition(".")
    return f"{head}{dot}{name}" if dot and "." not in name else name


def _wrong_part(diagnostic: Diagnostic, here: str) -> str | None:
    """The name in the message that stands in the text; the longest, so that a part of it is not taken for the whole."""
    named = sorted(_QUOTED.findall(diagnostic.message), key=len, reverse=True)
    return next((name for name in named if name in here), None)


def _faulty_width(diagnostic: Diagnostic, line: str) -> int:
    """How much of a line is meant where only its start is known: a name in the message that begins it, or a word."""
    for name in sorted(_QUOTED.findall(diagnostic.message), key=len, reverse=True):
        found = line.find(name)
        if 0 <= found <= 1:
            return found + len(name)
    word = re.match(r"[\w.-]+|\S", line)
    return len(word[0]) if word else 1

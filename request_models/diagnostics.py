"""What is wrong with a model, and where: one diagnostic a mistake, as text with the line and a caret, or as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from request_models.json_values import JsonValue


class Severity(StrEnum):
    """An error refuses the model; a warning does not; a note only says what is left to run time."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Diagnostic:
    """One mistake. Line and column count from 1; `excerpt` is the source line, `width` how much of it is meant."""

    code: str
    message: str
    file: str
    line: int = 1
    column: int = 1
    hint: str = ""
    severity: Severity = Severity.ERROR
    excerpt: str = ""
    width: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message} [{self.code}]"

    def to_json(self) -> dict[str, JsonValue]:
        """The diagnostic for tools."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "width": self.width,
        }


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them is an error."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def as_errors(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The same, every warning an error."""
    return tuple(
        diagnostic if diagnostic.severity is Severity.NOTE else replace(diagnostic, severity=Severity.ERROR)
        for diagnostic in diagnostics
    )


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file and place, each once."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda one: (one.file, one.line, one.column, one.code, one.message)))


def render_text(diagnostics: Iterable[Diagnostic]) -> str:
    """All diagnostics for people: place and message, the line with a caret under what is meant, and the hint."""
    return "\n".join(_render(diagnostic) for diagnostic in diagnostics)


def _render(diagnostic: Diagnostic) -> str:
    lines = [str(diagnostic)]
    if diagnostic.excerpt.strip():
        # Tabs are kept before the caret, so that it stands under its column however wide they are shown.
        before = diagnostic.excerpt[: diagnostic.column - 1]
        indent = "".join("\t" if character == "\t" else " " for character in before)
        lines += [f"    {diagnostic.excerpt}", f"    {indent}{'^' * max(1, diagnostic.width)}"]
    if diagnostic.hint:
        lines.append(f"    hint: {diagnostic.hint}")
    return "\n".join(lines) + "\n"

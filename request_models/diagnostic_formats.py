"""Diagnostics as other tools read them: annotations of GitHub Actions, and SARIF 2.1.0."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from request_models.diagnostics import Diagnostic, Severity
from request_models.json_values import JsonValue

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_github(diagnostics: Iterable[Diagnostic], base: Path) -> str:
    """A workflow command a line, as GitHub Actions shows beside the code; files are named relative to `base`.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    return "".join(f"{_workflow_command(diagnostic, base)}\n" for diagnostic in diagnostics)


def _workflow_command(diagnostic: Diagnostic, base: Path) -> str:
    properties = {
        "file": _relative(diagnostic.file, base).as_posix(),
        "line": str(diagnostic.line),
        "col": str(diagnostic.column),
        "endColumn": str(_end_column(diagnostic)),
        "title": f"Orderly: {diagnostic.code}",
    }
    written = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
    command = _COMMANDS[diagnostic.severity]
    return f"::{command} {written}::{_escape_data(_text(diagnostic))}"


_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


def sarif_log(
    diagnostics: Iterable[Diagnostic], base: Path, version: str, meanings: Mapping[str, str] | None = None
) -> dict[str, JsonValue]:
    """One run of SARIF 2.1.0 (OASIS); files under `base` are named relative to it, others by their address.

    `version` is Orderly's, `meanings` say in a sentence what a code stands for. Columns count characters, as ours do.
    """
    found = list(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Orderly",
                        "version": version,
                        "rules": [_rule(code, (meanings or {}).get(code, "")) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(diagnostic, codes.index(diagnostic.code), base) for diagnostic in found],
            }
        ],
    }


def _rule(code: str, meaning: str) -> dict[str, JsonValue]:
    return {"id": code, **({"shortDescription": {"text": meaning}} if meaning else {})}


def _result(diagnostic: Diagnostic, rule: int, base: Path) -> dict[str, JsonValue]:
    place = _relative(diagnostic.file, base)
    artifact: dict[str, JsonValue] = {"uri": place.as_uri()} if place.is_absolute() else _under_root(place)
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": str(diagnostic.severity),
        "message": {"text": _text(diagnostic)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": artifact,
                    "region": {
                        "startLine": diagnostic.line,
                        "startColumn": diagnostic.column,
                        "endLine": diagnostic.line,
                        "endColumn": _end_column(diagnostic),
                    },
                }
            }
        ],
    }


def _under_root(place: Path) -> dict[str, JsonValue]:
    # `as_uri` writes a path as an address, percent signs and all, but takes absolute paths only.
    return {"uri": Path("/", place).as_uri().removeprefix("file:///"), "uriBaseId": "%SRCROOT%"}


def _relative(file: str, base: Path) -> Path:
    """The file relative to `base` where it lies under it, otherwise its absolute path."""
    absolute, root = Path(file).resolve(), base.resolve()
    return absolute.relative_to(root) if absolute.is_relative_to(root) else absolute


def _end_column(diagnostic: Diagnostic) -> int:
    """The column after the last one that is meant."""
    return diagnostic.column + max(1, diagnostic.width)


def _text(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.message}\nhint: {diagnostic.hint}" if diagnostic.hint else diagnostic.message

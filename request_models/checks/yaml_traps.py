"""What YAML reads otherwise than it looks: words, numbers, cut texts, line ends. We read YAML 1.2, many tools 1.1."""

import re
from collections.abc import Iterator

from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.loading import ModelSource
from request_models.yaml_source import Path, Scalar

_WORDS = re.compile(r"yes|no|on|off|y|n", re.IGNORECASE)
_OCTAL = re.compile(r"[-+]?0[0-9]+")
_SIXTIES = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*")
_SHORTENED = re.compile(r"[-+]?[0-9]+\.[0-9]+0")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_COMMENT = re.compile(r"[ \t]+#\w")
_EXPRESSION = re.compile(r"\{\{.*\}\}")
_EXACT = 2**53
_NUMBER_LENGTH = 300
"""A longer number is text (see `yaml_source`)."""
_PROSE = frozenset(
    {"title", "summary", "description", "instructions", "message", "text", "when", "expect", "otherwise"}
)


def check(source: ModelSource) -> Iterator[Finding]:
    """`yaml-leading-zero`, `yaml-ambiguous`, `yaml-comment`, `yaml-empty`, `yaml-final-newline`, `enum-type`."""
    for path, scalar in source.source.scalars.items():
        if scalar.plain:
            yield from _cut(path, scalar)
            yield from _plain(path, scalar.written, _expects_boolean(source, path))
        elif scalar.block:
            yield from _block(path, scalar)
    for path, mark in source.source.keys.items():
        if _WORDS.fullmatch(str(path[-1])) and source.source.is_bare(mark):
            yield _word(path, str(path[-1]), on_key=True)
    for name, schema in source.document.inputs.items():
        yield from _choices(schema, ("inputs", name))


def _plain(path: Path, text: str, expects_boolean: bool) -> Iterator[Finding]:
    if len(text) > _NUMBER_LENGTH:
        return
    if _OCTAL.fullmatch(text):
        octal = f", others take it for {str(int(text, 8))[:40]}" if not set(text) & {"8", "9"} else ""
        hint = "put it in quotes if it is text; without the zero it is a number"
        yield Finding(path, "yaml-leading-zero", f"`{text[:40]}` is the number {str(int(text))[:40]} here{octal}", hint)
    elif expects_boolean and _WORDS.fullmatch(text):
        yield _warning(path, "yaml-ambiguous", f"`{text}` is text", "true and false are written `true` and `false`")
    elif _WORDS.fullmatch(text):
        yield _word(path, text)
    elif _SIXTIES.fullmatch(text) or _UNDERSCORED.fullmatch(text):
        message = f"`{text[:40]}` is text here; other readers of YAML take it for a number"
        yield _warning(path, "yaml-ambiguous", message, "put it in quotes if it is text")
    elif _SHORTENED.fullmatch(text):
        message = f"`{text[:40]}` is the number {float(text)}"
        yield _warning(path, "yaml-ambiguous", message, "put it in quotes if it is text, such as a version")
    elif _WHOLE.fullmatch(text) and abs(int(text)) > _EXACT:
        message = f"`{text[:40]}` is a larger number than many programs keep exactly (2^53)"
        yield _warning(path, "yaml-ambiguous", message, "put it in quotes if it is a name")
    elif not text and path and isinstance(path[-1], str):
        message = f"nothing is written for `{path[-1]}`"
        yield _warning(path, "yaml-empty", message, "write its value, or leave the key out", on_key=True)


def _cut(path: Path, scalar: Scalar) -> Iterator[Finding]:
    if scalar.written and _COMMENT.match(scalar.after):
        message = f"the text ends at `{scalar.written[-30:]}`: what follows `#` is a comment"
        yield _warning(path, "yaml-comment", message, "put the text in quotes, or a space after the `#` of a comment")


def _block(path: Path, scalar: Scalar) -> Iterator[Finding]:
    line = scalar.written.removesuffix("\n")
    if line == scalar.written or "\n" in line or _PROSE & set(map(str, path)):
        return
    hint = "write `|-` or `>-`, or quotes"
    if _EXPRESSION.fullmatch(line.strip()):
        message = "this expression becomes a text that ends with a line end"
        yield Finding(path, "yaml-final-newline", message, hint)
    else:
        yield _warning(path, "yaml-final-newline", "this text of one line ends with a line end", hint)


def _choices(schema: JsonValue, path: Path) -> Iterator[Finding]:
    """Choices that can never be made: YAML took a text for something else."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from _choices(part, (*path, index))
    if not isinstance(schema, dict):
        return
    choices = schema.get("enum")
    for index, choice in enumerate(choices if isinstance(choices, list) else ()):
        if schema.get("type") == "string" and not isinstance(choice, str):
            message = f"this choice is {_say_kind(choice)}, but the input is text: nobody can choose it"
            yield Finding((*path, "enum", index), "enum-type", message, "put it in quotes if it is text")
    for key, part in schema.items():
        if key not in {"default", "enum", "const", "examples"}:
            yield from _choices(part, (*path, key))


def _say_kind(value: JsonValue) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case None:
            return "null"
        case _:
            return "a list or map"


def _expects_boolean(source: ModelSource, path: Path) -> bool:
    if len(path) != 3 or path[0] != "inputs" or path[2] != "default":
        return False
    return source.document.inputs.get(str(path[1]), {}).get("type") == "boolean"


def _word(path: Path, text: str, *, on_key: bool = False) -> Finding:
    taken = "true" if text.lower() in {"yes", "on", "y"} else "false"
    message = f"`{text}` is text here; other readers of YAML take it for {taken}"
    return _warning(path, "yaml-ambiguous", message, "put it in quotes", on_key=on_key)


def _warning(path: Path, code: str, message: str, hint: str, *, on_key: bool = False) -> Finding:
    return Finding(path, code, message, hint, Severity.WARNING, on_key=on_key)

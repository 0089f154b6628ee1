"""Texts that match a pattern, for calls made up by tests; printable ASCII, so that any file can hold them."""

import random
import re
import string
from collections.abc import Callable, Iterator
from functools import cache
from re import _constants as ops  # type: ignore[attr-defined]  # Python's own parser of patterns has no public name
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from request_models.formats import compiled_pattern, matches_pattern

_PRINTABLE = "".join(sorted(set(string.printable) - set("\t\n\r\x0b\x0c{}%#")))
"""Without what begins an expression in a model."""
_CLASSES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_NOT_DIGIT": lambda char: not char.isdigit(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda char: not char.isspace(),
    "CATEGORY_WORD": lambda char: char.isalnum() or char == "_",
    "CATEGORY_NOT_WORD": lambda char: not (char.isalnum() or char == "_"),
}
_USUAL = (
    "a", "A", "1", "12", "ab", "a-b", "a1", "True", "us-east-1", "123456789012", "a@example.org", "/a", "/a/", "a.b",
    "https://example.org", "https://example.org/", "s3://bucket/key", "arn:aws:iam::123456789012:role/r",
    "arn:aws:s3:::bucket", "12345678-1234-1234-1234-123456789012", "2026-01-31", "2026-01-31T12:00:00Z", "10.0.0.0/16",
    "10.0.0.1", "1.0.0", "$.a", "example.org", "[1]", "PT1M", "+15555550100", "arn:aws:iam::aws:policy/a", "00:00",
    "mon:00:00", "a=b",
    "arn:aws:fsx:us-east-1:123456789012:file-system/fs-1", "rate(1 minute)", "cron(0 0 * * ? *)", "urn:a:b", "*", "-",
)  # fmt: skip
_ATTEMPTS = 60
_LONGEST = 5000


@cache
def matching(pattern: str | None, least: int, most: int | None) -> str | None:
    """One text with a length in the bounds, the same each time; None when none is found."""
    return next(_candidates(pattern, least, most), None)


def _candidates(pattern: str | None, least: int, most: int | None) -> Iterator[str]:
    top = _LONGEST if most is None else most
    for text in (*_USUAL, *(char * least for char in "a1A")):
        if least <= len(text) <= top and (pattern is None or matches_pattern(pattern, text)):
            yield text
    if pattern is None or compiled_pattern(pattern) is None:
        return
    tree = _tree(pattern)
    if tree is None:
        return
    for attempt in range(_ATTEMPTS):
        more = (0, 1, least, 2, 3, least // 2, 4, 8, 12, 16, 24, least // 3)[attempt % 12]
        text = _Sampler(random.Random(attempt), more).text(tree)
        if least <= len(text) <= top and matches_pattern(pattern, text):
            yield text


def _tree(pattern: str) -> Any:
    plain = re.sub(r"\\p\{[^}]*\}", "a-zA-Z", pattern) if re.search(r"\[[^]]*\\p\{", pattern) else pattern
    plain = re.sub(r"\\[pP]\{[^}]*\}", "[a-zA-Z]", plain).replace("(?<", "(?P<").replace("(?P<!", "(?<!")
    plain = re.sub(r"\\u\{?([0-9A-Fa-f]{5,6})\}?", lambda found: "\\U" + found[1].zfill(8), plain)
    try:
        return parser.parse(plain.replace("(?P<=", "(?<=").replace("\\/", "/"))
    except (re.error, OverflowError):
        return None


class _Sampler:
    """Walks a parsed pattern; repeats `more` times over the least where it may. What it makes is checked after."""

    def __init__(self, chance: random.Random, more: int) -> None:
        self._chance = chance
        self._more = more
        self._groups: dict[int, str] = {}

    def text(self, tree: Any) -> str:
        return "".join(self._part(op, argument) for op, argument in tree)

    def _part(self, op: Any, argument: Any) -> str:  # noqa: PLR0911  # one line for each kind of part
        match op:
            case ops.LITERAL:
                return chr(argument)
            case ops.NOT_LITERAL:
                return self._one_of(char for char in _PRINTABLE if char != chr(argument))
            case ops.ANY:
                return "a"
            case ops.IN:
                return self._one_of(_members(argument))
            case ops.BRANCH:
                return self.text(self._chance.choice(argument[1]))
            case ops.SUBPATTERN:
                made = self.text(argument[3])
                self._groups[argument[0] or 0] = made
                return made
            case ops.GROUPREF:
                return self._groups.get(argument, "")
            case ops.MAX_REPEAT | ops.MIN_REPEAT | ops.POSSESSIVE_REPEAT:
                least, most, inner = argument
                times = min(least + self._more, most)
                return "".join(self.text(inner) for _ in range(min(times, _LONGEST)))
            case _:
                return ""  # anchors and looks around: whether they hold is seen afterwards

    def _one_of(self, chars: Iterator[str]) -> str:
        found = sorted(set(chars))
        plain = [char for char in found if char.isalnum()]
        return self._chance.choice(plain or found) if found else ""


def _members(items: list[tuple[Any, Any]]) -> Iterator[str]:
    negated = any(op is ops.NEGATE for op, _ in items)
    within = {char for char in _PRINTABLE if any(_is_in(char, op, argument) for op, argument in items)}
    yield from (char for char in _PRINTABLE if (char in within) != negated)


def _is_in(char: str, op: Any, argument: Any) -> bool:
    match op:
        case ops.LITERAL:
            return bool(ord(char) == argument)
        case ops.RANGE:
            return bool(argument[0] <= ord(char) <= argument[1])
        case ops.CATEGORY:
            return _CLASSES[str(argument)](char)
        case _:
            return False

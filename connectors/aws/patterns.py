"""Patterns of AWS shapes as ECMA-262, the dialect of our types (design section 3).

The shapes hold patterns of Java and of other dialects. What means something else in ECMA-262, or nothing, is left out:
a pattern too few refuses nothing that AWS would take, and AWS itself still checks.
"""

import re
from functools import cache

import regress

_JAVA_ONLY = re.compile(
    r"""
      &&              # intersection of character classes
    | \[\[?:\w+:\]    # POSIX classes
    | \\[QEGXhHRZ]    # quoting, and classes that ECMA-262 reads as plain letters or not at all
    | [*+?}]\+        # possessive quantifiers
    | \(\?>           # atomic groups
    | \(\?[a-z-]+\)   # flags for the rest of the pattern
    """,
    re.VERBOSE,
)
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_ANCHORS = {"A": "^", "z": "$"}


@cache
def ecma_pattern(pattern: str) -> str | None:
    """The pattern as ECMA-262 with the `u` flag; None when it cannot be had with the same meaning.

    Like Smithy's `pattern` trait it searches and is not anchored.
    """
    if _JAVA_ONLY.search(pattern):
        return None
    return next((candidate for candidate in (pattern, _with_plain_escapes(pattern)) if _is_ecma(candidate)), None)


def _is_ecma(pattern: str) -> bool:
    try:
        regress.Regex(pattern, "u")
    except regress.RegressError:
        return False
    return True


def _with_plain_escapes(pattern: str) -> str:
    r"""Without the needless escapes that the `u` flag refuses (`\_`, `\:`, `\-` outside of classes); `\A` as `^`."""
    written: list[str] = []
    in_class = False
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 < len(pattern):
            written.append(_plain_escape(pattern[position + 1], in_class))
            position += 2
            continue
        if char == "[" and not in_class:
            in_class = True
        elif char == "]":
            in_class = False
        written.append(char)
        position += 1
    return "".join(written)


def _plain_escape(char: str, in_class: bool) -> str:
    if not in_class and char in _ANCHORS:
        return _ANCHORS[char]
    needless = not char.isalnum() and char.isascii() and char not in _SYNTAX and not (char == "-" and in_class)
    return char if needless else f"\\{char}"

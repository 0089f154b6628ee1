"""Patterns of AWS shapes as ECMA-262."""

import pytest

from connectors.aws.patterns import ecma_pattern


@pytest.mark.parametrize("pattern", [r"^[a-z]+$", r"[\w+=,.@-]+", r"arn:aws[a-z-]*:iam::\d{12}:role/.+", r"(?=a)b"])
def test_what_means_the_same_is_kept(pattern: str) -> None:
    assert ecma_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        (r"^\w+\:\/\/.*$", r"^\w+:\/\/.*$"),
        (r"o-[0-9a-f]{8}\-[0-9a-f]{4}", r"o-[0-9a-f]{8}-[0-9a-f]{4}"),
        (r"[A-Za-z0-9\_\-\ ]+", r"[A-Za-z0-9_\- ]+"),
        (r"\Asnap-\d+\z", r"^snap-\d+$"),
    ],
)
def test_needless_escapes_are_dropped(pattern: str, kept: str) -> None:
    assert ecma_pattern(pattern) == kept


@pytest.mark.parametrize(
    "pattern",
    [
        r"\p{Print}+",
        r"[\p{L}&&[^|]]+",
        r"[[:alnum:]]+",
        r"(?s).*",
        r"(?i)^abc$",
        r"a++",
        r"(?>ab)",
        r"\Qa.b\E",
        r"^\h+$",
        r"^a\Z",
        r"(unclosed",
    ],
)
def test_what_means_something_else_or_nothing_is_left_out(pattern: str) -> None:
    assert ecma_pattern(pattern) is None

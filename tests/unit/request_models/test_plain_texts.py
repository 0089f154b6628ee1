"""Which types admit nothing that could be more than data."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from request_models.formats import compiled_pattern, matches_pattern
from request_models.plain_texts import PLAIN, is_listed, is_plain, pattern_is_plain
from request_models.value_types import AnyType, ArrayType, BooleanType, IntegerType, ObjectType, StringType


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z]+$",
        "^[a-z][a-z0-9_-]{0,30}$",
        "^[A-Za-z0-9._-]{1,20}$",
        r"^\d{4}-\d{2}$",
        r"^\w+(?:\.\w+)*$",
        "^(?:web|db)-[0-9]+$",
        "^/[A-Za-z0-9/_-]{1,60}$",
        r"^[\w.-]+@[a-z]+\.org$",
        "^$",
    ],
)
def test_a_pattern_of_plain_characters_is_plain(pattern: str) -> None:
    assert pattern_is_plain(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]+",  # not held at its ends
        "^[a-z]+",
        "[a-z]+$",
        r"^[a-z]+\$",
        "^a|b$",  # each held at one end only
        "^[^a-z]+$",
        "^.+$",
        r"^\S+$",
        r"^\w \w$",
        "^[A-z]+$",  # has [ \ ] ^ ` between
        "^[%-/]+$",  # has & ' ( ) * between
        "^[ -~]+$",
        r"^\p{L}+$",
        "^[a-z$]+$",
        "^a(?!;).+$",
        "^(a",
        "",
    ],
)
def test_any_other_is_not(pattern: str) -> None:
    assert not pattern_is_plain(pattern)


PARTS = st.lists(
    st.sampled_from(["^", "$", "[", "]", "(", "(?:", ")", "|", "a", "-", "%", "/", ".", r"\.", r"\w", r"\d", "+", "*",
                     "{2}", "?", " ", "&", "z", "A", "0", "9", "^[", "]$", "[^", "\\"]),
    max_size=12,
)  # fmt: skip
TEXTS = st.text(alphabet="aAzZ09-_.%/ &;$'\n`(é", max_size=4)


@given(parts=PARTS, text=TEXTS)
def test_what_matches_a_plain_pattern_is_plain(parts: list[str], text: str) -> None:
    pattern = "^" + "".join(parts) + "$"
    assume(pattern_is_plain(pattern))
    assume(compiled_pattern(pattern) is not None)
    assert not matches_pattern(pattern, text) or PLAIN.fullmatch(text)


@pytest.mark.parametrize(
    ("kind", "plain", "listed"),
    [
        (StringType(), False, False),
        (StringType(enum=("a b",)), True, True),
        (StringType(pattern="^[a-z]$"), True, False),
        (StringType(format="date"), True, False),
        (StringType(format="email"), False, False),
        (StringType(format="uri"), False, False),
        (BooleanType(), True, True),
        (IntegerType(), True, True),
        (ArrayType(items=StringType()), False, False),
        (ArrayType(items=StringType(enum=("a",))), True, True),
        (ObjectType(others=IntegerType()), False, False),  # its keys may be any text
        (AnyType(), False, False),
    ],
)
def test_types_are_judged_by_every_text_in_them(kind: StringType, plain: bool, listed: bool) -> None:
    assert (is_plain(kind), is_listed(kind)) == (plain, listed)

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.api.bodies import parse_json
from flows.api.problems import ApiProblem

_NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _refusal(body: bytes) -> ApiProblem:
    with pytest.raises(ApiProblem) as caught:
        parse_json(body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "Line 1, column 1", id="empty"),
        pytest.param(b"{", "column 2", id="cut off"),
        pytest.param(b"{} {}", "Extra data", id="two documents"),
        pytest.param(b"{'a': 1}", "column 2", id="single quotes"),
        pytest.param(b'{"a": NaN}', "NaN is not JSON", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "-Infinity is not JSON", id="infinity"),
        pytest.param(b'{"a": [1e999]}', "/a/0", id="a number beyond doubles"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "more than 300 digits", id="a number of 5000 digits"),
        pytest.param(b'{"a": "\\ud800"}', "/a: a lone surrogate", id="lone surrogate"),
        pytest.param(b'{"\\ud800": 1}', "lone surrogate", id="lone surrogate in a key"),
        pytest.param(b'{"a": "\xff"}', "Byte 7 is not valid UTF-8", id="invalid UTF-8"),
        pytest.param(b'{"a": 1, "a": 2}', "the same member twice", id="duplicate member"),
        pytest.param(b"[" * 66 + b"]" * 66, "deeper than 64", id="66 levels"),
        pytest.param(b'{"a":' * 100_000, "deeper than 64", id="100000 levels"),
        pytest.param("﻿{}".encode(), "", id="byte order mark"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(body: bytes, said: str) -> None:
    problem = _refusal(body)

    assert problem.status_code == 400
    assert said in problem.detail


def test_sixty_four_levels_are_read() -> None:
    value = parse_json(b"[" * 64 + b"]" * 64)

    assert json.dumps(value) == "[" * 64 + "]" * 64


@given(_JSON)
def test_every_json_value_is_read_exactly(value: object) -> None:
    read = parse_json(json.dumps(value, ensure_ascii=False).encode())

    assert read == value
    assert json.dumps(read) == json.dumps(value), "types are kept: 1 is not 1.0, and not true"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_never_crash(body: bytes) -> None:
    try:
        value = parse_json(body)
    except ApiProblem:
        return
    assert value == json.loads(body)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.api.pages import key_of, token_after
from flows.api.problems import ApiProblem


@given(st.text(min_size=1))
def test_a_token_gives_its_key_back(key: str) -> None:
    assert key_of(token_after(key)) == key


def test_no_token_is_the_first_page() -> None:
    assert key_of(None) is None


@pytest.mark.parametrize("token", ["!", "a", "====", "/w", "_w", "\x00"])
def test_what_is_no_token_is_refused_by_name(token: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        key_of(token)

    assert caught.value.status_code == 422
    assert caught.value.parts[0].parameter == "page_token"

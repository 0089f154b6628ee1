import pytest

from flows.api.languages import text_in

TEXTS = {"en": "Bucket", "zh": "存储桶", "de-CH": "Kübel"}


@pytest.mark.parametrize(
    ("accepted", "text"),
    [
        (None, "Bucket"),
        ("", "Bucket"),
        ("*", "Bucket"),
        ("zh", "存储桶"),
        ("zh-CN,en;q=0.5", "存储桶"),
        ("en;q=0.1, zh;q=0.9", "存储桶"),
        ("de", "Kübel"),
        ("fr, it", "Bucket"),
        ("zh;q=0", "Bucket"),
        ("zh;q=nonsense, de", "Kübel"),
    ],
)
def test_the_caller_gets_the_language_it_likes_best(accepted: str | None, text: str) -> None:
    assert text_in(TEXTS, accepted) == text


def test_without_english_the_first_text_is_taken_and_without_any_nothing() -> None:
    assert text_in({"zh": "存储桶"}, "fr") == "存储桶"
    assert text_in({}, "fr") == ""

"""Which of a text's languages a caller gets (RFC 9110, Accept-Language)."""

from collections.abc import Mapping

DEFAULT_LANGUAGE = "en"


def text_in(texts: Mapping[str, str], accept_language: str | None) -> str:
    """The text in the language the caller likes best; else English, else the first there is, else ''."""
    for language in _liked(accept_language or ""):
        for name, text in texts.items():
            if name.lower() == language or name.lower().partition("-")[0] == language.partition("-")[0]:
                return text
    return texts.get(DEFAULT_LANGUAGE) or next(iter(texts.values()), "")


def _liked(accept_language: str) -> list[str]:
    weighed = []
    for part in accept_language.lower().split(","):
        language, *parameters = (piece.strip() for piece in part.split(";"))
        if language and language != "*":
            weighed.append((-_weight(parameters), language))
    return [language for weight, language in sorted(weighed, key=lambda pair: pair[0]) if weight < 0]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0

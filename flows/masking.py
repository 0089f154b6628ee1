"""Keeping known secrets out of lines, messages and what is stored in clear, wherever they turn up.

Types say where a secret may flow; a system that repeats it in an answer knows nothing of types. So all that comes back
is also searched for the secrets the request has.
"""

from collections.abc import Iterable, Iterator

from request_models.json_values import JsonValue, escape_pointer

_SHORTEST = 4
"""Characters: masking shorter secrets would garble every line, and say what they are."""


def secret_texts(secrets: Iterable[JsonValue]) -> tuple[str, ...]:
    """Every text in the secrets that is long enough to be told from chance, longest first."""
    texts = {text for secret in secrets for text in _texts(secret) if len(text) >= _SHORTEST}
    return tuple(sorted(texts, key=len, reverse=True))


def masked(line: str, texts: Iterable[str]) -> str:
    """A line with every one of the texts in it replaced."""
    for text in texts:
        line = line.replace(text, "********")
    return line


def pointers_holding(value: JsonValue, texts: tuple[str, ...], pointer: str = "") -> Iterator[str]:
    """JSON pointers of the parts of `value` that hold one of the texts; a map with one in a key is named as a whole."""
    match value:
        case str():
            if any(text in value for text in texts):
                yield pointer
        case list():
            for index, item in enumerate(value):
                yield from pointers_holding(item, texts, f"{pointer}/{index}")
        case dict():
            if any(text in key for key in value for text in texts):
                yield pointer
                return
            for key, item in value.items():
                yield from pointers_holding(item, texts, f"{pointer}/{escape_pointer(key)}")
        case _:
            return


def _texts(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)
        case _:
            return

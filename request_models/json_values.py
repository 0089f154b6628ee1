"""JSON values, and the one canonical way to write them as bytes (records, digests and tokens stand on it)."""

import hashlib
import json
import math
from typing import TypeAlias

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"

MAX_DEPTH = 64


class NotJsonError(ValueError):
    """A value that has no canonical JSON form; `pointer` is the JSON pointer of the culprit."""

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(f"{pointer or '/'}: {why}")
        self.pointer = pointer
        self.why = why


def canonical_json(value: JsonValue) -> bytes:
    """Write a value as UTF-8 JSON with sorted keys and no spaces.

    Raises NotJsonError for NaN and infinities, lone surrogates, keys that are no strings, nesting over MAX_DEPTH, and
    Python values that JSON does not know: they are refused at the edge, so that they never reach a database.
    """
    refuse_what_is_not_json(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(value: JsonValue) -> str:
    """SHA-256 (hex) of the canonical JSON of a value. Raises NotJsonError."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def refuse_what_is_not_json(value: object, pointer: str = "", depth: int = 0) -> None:
    """Raise NotJsonError at the first part of `value` that has no canonical JSON form."""
    if depth > MAX_DEPTH:
        raise NotJsonError(pointer, f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case None | bool() | int():
            return
        case float():
            if not math.isfinite(value):
                raise NotJsonError(pointer, "NaN and infinities are not JSON")
        case str():
            _refuse_surrogates(value, pointer)
        case list():
            for index, item in enumerate(value):
                refuse_what_is_not_json(item, f"{pointer}/{index}", depth + 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise NotJsonError(pointer, f"the key {key!r} is not a string")
                _refuse_surrogates(key, pointer)
                refuse_what_is_not_json(item, f"{pointer}/{escape_pointer(key)}", depth + 1)
        case _:
            raise NotJsonError(pointer, f"a {type(value).__name__} is not JSON")


def escape_pointer(key: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _refuse_surrogates(text: str, pointer: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJsonError(pointer, "a lone surrogate is not valid Unicode") from None

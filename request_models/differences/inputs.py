"""What changed in the inputs of a model: whether an order that was valid may now be refused, keyword by keyword."""

from collections.abc import Iterator, Mapping
from typing import cast

from request_models.json_values import JsonValue, canonical_json

Schema = Mapping[str, JsonValue]
Found = tuple[str, str, bool]
"""Name of the input, what changed in words, and whether an order that was valid may be refused because of it."""


def inputs_changed(before: Schema, after: Schema) -> Iterator[Found]:
    """Compare the JSON Schemas of two plans' inputs. What cannot be judged counts as "may be refused"."""
    was, now = _members(before), _members(after)
    was_needed, needed = _needed(before), _needed(after)
    for name, schema in now.items():
        if name not in was:
            must = name in needed
            yield name, f"`{name}` is new: {'it must be given' if must else 'it may be left out'}", must
            continue
        yield from ((name, message, refuses) for message, refuses in _need(name, was_needed, needed))
        yield from ((name, f"`{name}` {message}", refuses) for message, refuses in _schema(was[name], schema, ""))
    for name in was:
        if name not in now:
            yield name, f"`{name}` is gone: an order that gives it is refused", True


def _members(schema: Schema) -> Mapping[str, Schema]:
    return cast(Mapping[str, Schema], schema.get("properties", {}))


def _needed(schema: Schema) -> set[str]:
    return set(cast(list[str], schema.get("required", [])))


def _need(name: str, was: set[str], now: set[str]) -> Iterator[tuple[str, bool]]:
    if (name in was) != (name in now):
        yield (f"`{name}` must be given now", True) if name in now else (f"`{name}` may be left out now", False)


def _schema(was: Schema, now: Schema, where: str) -> Iterator[tuple[str, bool]]:
    """What changed in one schema; `where` names the part of the input, empty for all of it."""
    for key in dict.fromkeys([*was, *now]):
        if (key in was) == (key in now) and _same(was.get(key), now.get(key)):
            continue
        for message, refuses in _keyword(key, was, now):
            yield f"{where}{message}", refuses


def _keyword(key: str, was: Schema, now: Schema) -> Iterator[tuple[str, bool]]:
    old, new = was.get(key), now.get(key)
    if key in _LOWEST or key in _HIGHEST:
        yield _bound(key, old, new)
    elif key in _TEXTS:
        yield f"has another {_TEXTS[key]}", False
    elif key in _SPECIAL:
        yield from _SPECIAL[key](old, new)
    elif key == "default":
        yield _default(key in was, key in now, new)
    elif key == "items" and isinstance(old, dict) and isinstance(new, dict):
        yield from _schema(old, new, "in each item ")
    elif key == "properties" and isinstance(old, dict) and isinstance(new, dict):
        yield from _inside(was, now)
    elif key == "required" and ("properties" in was or "properties" in now):
        if _same(was.get("properties"), now.get("properties")):
            yield from _inside(was, now)
    else:
        yield f"is described otherwise by `{key}`: {_say(new)}, no longer {_say(old)}", True


def _bound(key: str, old: JsonValue, new: JsonValue) -> tuple[str, bool]:
    words = (_LOWEST | _HIGHEST)[key]
    if new is None:
        return f"is no longer limited to {words.format(_say(old))}", False
    if old is None:
        return f"must be {words.format(_say(new))}", True
    assert isinstance(old, int | float)
    assert isinstance(new, int | float)
    tighter = new > old if key in _LOWEST else new < old
    return f"must be {words.format(_say(new))}, {'no longer' if tighter else 'before:'} {_say(old)}", tighter


def _enum(old: JsonValue, new: JsonValue) -> Iterator[tuple[str, bool]]:
    if not isinstance(new, list):
        yield "is no longer a choice: other values are taken too", False
        return
    if not isinstance(old, list):
        yield f"is a choice now: {_several(new)}", True
        return
    gone = [value for value in old if not any(_same(value, other) for other in new)]
    added = [value for value in new if not any(_same(value, other) for other in old)]
    if gone:
        yield f"can no longer be {_several(gone)}", True
    if added:
        yield f"can be {_several(added)} now", False
    if not gone and not added:
        yield "offers its choices in another order", False


def _type(old: JsonValue, new: JsonValue) -> Iterator[tuple[str, bool]]:
    was, now = _types(old), _types(new)
    wider = was <= now | ({"integer"} if "number" in now else set())
    yield f"is {_several_words(now)}, no longer {_several_words(was)}", not wider


def _types(kinds: JsonValue) -> set[str]:
    return {str(kind) for kind in kinds} if isinstance(kinds, list) else {"anything" if kinds is None else str(kinds)}


def _pattern(old: JsonValue, new: JsonValue) -> Iterator[tuple[str, bool]]:
    if new is None:
        yield f"need no longer match {_say(old)}", False
    else:
        yield f"must match {_say(new)}{'' if old is None else f', no longer {_say(old)}'}", True


def _format(old: JsonValue, new: JsonValue) -> Iterator[tuple[str, bool]]:
    if new is None:
        yield f"need no longer be a {old}", False
    else:
        yield f"must be a valid {new}{'' if old is None else f', no longer a {old}'}", True


def _unique(_old: JsonValue, new: JsonValue) -> Iterator[tuple[str, bool]]:
    yield ("must not hold an item twice", True) if new is True else ("may hold an item twice now", False)


def _multiple(old: JsonValue, new: JsonValue) -> Iterator[tuple[str, bool]]:
    if new is None:
        yield f"need no longer be a multiple of {_say(old)}", False
    else:
        finer = isinstance(old, int) and isinstance(new, int) and new > 0 and old % new == 0
        yield f"must be a multiple of {_say(new)}{'' if old is None else f', no longer {_say(old)}'}", not finer


def _secret(_old: JsonValue, new: JsonValue) -> Iterator[tuple[str, bool]]:
    yield ("is secret now", False) if new is True else ("is no longer secret: it is stored and shown in clear", False)


def _default(had: bool, has: bool, new: JsonValue) -> tuple[str, bool]:
    if not has:
        return "has no default any more", False  # whether it must be given then is said by `required`
    return f"is {_say(new)} when it is left out{'' if had else ' now'}", False


def _inside(was: Schema, now: Schema) -> Iterator[tuple[str, bool]]:
    """A map within an input. In one that takes members which are not named, naming one is asking more of it."""
    is_open = was.get("additionalProperties") is not False
    for name, message, refuses in inputs_changed(was, now):
        yield f"holds: {message}", refuses or (is_open and name not in _members(was))


def _same(one: JsonValue, other: JsonValue) -> bool:
    """As JSON has it: true is not 1."""
    return canonical_json(one) == canonical_json(other)


def _several(values: list[JsonValue]) -> str:
    shown = ", ".join(_say(value) for value in values[:8])
    return shown if len(values) <= 8 else f"{shown} and {len(values) - 8} more"


def _several_words(kinds: set[str]) -> str:
    return " or ".join(sorted(_KINDS.get(kind, kind) for kind in kinds))


def _say(value: JsonValue) -> str:
    text = value if isinstance(value, str) and value else canonical_json(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"


_LOWEST = {
    "minimum": "{} at least",
    "exclusiveMinimum": "greater than {}",
    "minLength": "{} characters at least",
    "minItems": "{} items at least",
    "minProperties": "{} members at least",
}
_HIGHEST = {
    "maximum": "{} at most",
    "exclusiveMaximum": "less than {}",
    "maxLength": "{} characters at most",
    "maxItems": "{} items at most",
    "maxProperties": "{} members at most",
}
_TEXTS = {"title": "title", "x-titles": "title in other languages", "description": "description", "examples": "example"}
_SPECIAL = {
    "enum": _enum,
    "type": _type,
    "pattern": _pattern,
    "format": _format,
    "uniqueItems": _unique,
    "multipleOf": _multiple,
    "writeOnly": _secret,
}
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}

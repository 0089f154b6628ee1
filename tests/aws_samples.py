"""Calls of AWS operations, made up from the operations' own shapes: valid ones, and ones with something broken.

Nothing here knows our value types: the shapes are read as botocore gives them, so that both verdicts can be compared.
"""

import base64
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from connectors.aws.patterns import ecma_pattern
from pattern_samples import matching
from request_models.json_values import JsonValue

DEEPEST = 12
"""Optional members are left out below this."""
_ODD: tuple[JsonValue, ...] = (
    "", "x", "x" * 5000, 0, 1, -1, 1.5, -0.5, 10**20, True, False, None, [], {}, [None], ["x"], [[]], {"Unknown": 1},
    {"": "x"}, "not base64!", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "0001-01-01T00:00:00+01:00",
    "2026-01-31t12:00:00z", "12", "é", "e\u0301" * 40,
)  # fmt: skip


class NoSample(Exception):
    """No text was found that fits a shape."""


def minimal(operation: OperationModel, *, without: frozenset[str] = frozenset()) -> dict[str, JsonValue]:
    """The least that fits: required members only, `without` those named. Raises NoSample."""
    shape = operation.input_shape
    if not isinstance(shape, StructureShape):
        return {}
    made = _Maker(random.Random(0), share=0).structure(shape, 0)
    return {name: value for name, value in made.items() if name not in without}


def valid(operation: OperationModel, chance: random.Random) -> dict[str, JsonValue]:
    """A call that fits its shape, with some of the members that may be left out. Raises NoSample."""
    shape = operation.input_shape
    share = chance.choice((0.1, 0.4, 0.8))
    return _Maker(chance, share=share).structure(shape, 0) if isinstance(shape, StructureShape) else {}


def broken(operation: OperationModel, call: dict[str, JsonValue], chance: random.Random) -> dict[str, JsonValue]:
    """The call with one to three parts of it changed; some changes make no difference to whether it fits."""
    shape = operation.input_shape
    value: JsonValue = call
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        value = _Breaker(chance).broken(shape, value)
    return value if isinstance(value, dict) else {}


class _Maker:
    """Makes values that fit."""

    def __init__(self, chance: random.Random, share: float) -> None:
        self._chance = chance
        self._share = share

    def structure(self, shape: StructureShape, depth: int) -> dict[str, JsonValue]:
        members = dict(shape.members)
        if shape.is_tagged_union:
            name = self._simplest(members) if depth > 4 or not self._share else self._chance.choice(sorted(members))
            return {name: self.of(members[name], depth + 1)}
        share = 0 if depth > DEEPEST else self._share / (depth + 1)
        made = {name: self.of(members[name], depth + 1) for name in shape.required_members if name in members}
        for name, member in members.items():
            if name not in made and self._chance.random() < share:
                with suppress(NoSample):
                    made[name] = self.of(member, depth + 1)
        return made

    def of(self, shape: Shape, depth: int) -> JsonValue:
        if depth > 60:
            raise NoSample(f"{shape.name} holds itself without end")
        match shape:
            case StructureShape() if shape.is_document_type:
                return {"any": [1, "x", None, True, 1.5]} if self._share else {}
            case StructureShape():
                return dict(self.structure(shape, depth))
            case ListShape():
                return [self.of(shape.member, depth + 1) for _ in range(self._length(shape, depth))]
            case MapShape():
                return self._map(shape, depth)
            case _:
                return self._scalar(shape)

    def _simplest(self, members: dict[str, Shape]) -> str:
        """A member that is no container, if there is one: unions are where shapes hold themselves."""
        return min(members, key=lambda name: members[name].type_name in {"structure", "list", "map"})

    def _length(self, shape: Shape, depth: int) -> int:
        least: int = shape.metadata.get("min", 0)
        most: int = shape.metadata.get("max", least + 2)
        more = self._chance.randrange(3) if self._share and depth < 4 else 0
        return min(least + more, most)

    def _map(self, shape: MapShape, depth: int) -> dict[str, JsonValue]:
        wanted = self._length(shape, depth)
        made: dict[str, JsonValue] = {}
        for key in _keys(shape.key):
            if len(made) >= wanted:
                break
            made[key] = self.of(shape.value, depth + 1)
        return made

    def _scalar(self, shape: Shape) -> JsonValue:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        match shape.type_name:
            case "integer" | "long":
                return self._number(int(least or 0), int(most if most is not None else (least or 0) + 5))
            case "float" | "double":
                return float(least if least is not None else 0.5 if most is None else most)
            case "boolean":
                return self._chance.random() < 0.5
            case "timestamp":
                return "2026-01-31T12:00:00Z"
            case "blob":
                return base64.b64encode(b"x" * self._chance.randrange(1, 9)).decode()
            case _:
                return self._text(shape)

    def _number(self, least: int, most: int) -> int:
        return self._chance.choice((least, most, (least + most) // 2)) if self._share else least

    def _text(self, shape: Shape) -> str:
        listed = shape.metadata.get("enum")
        if listed:
            return str(self._chance.choice(listed) if self._share else listed[0])
        return text(shape)


def text(shape: Shape) -> str:
    """A text that fits the shape's pattern and length. Raises NoSample."""
    pattern = shape.metadata.get("pattern")
    least = shape.metadata.get("min", 1 if shape.serialization.get("hostLabel") else 0)
    found = matching(ecma_pattern(pattern) if pattern else None, least, shape.metadata.get("max"))
    if found is None:
        raise NoSample(f"{shape.name}: no text found for {pattern!r} of {least} to {shape.metadata.get('max')}")
    return found


def _keys(shape: Shape) -> Iterator[str]:
    yield from shape.metadata.get("enum") or ()
    first = text(shape) if not shape.metadata.get("enum") else ""
    if first:
        yield first
        longer = [first + first[-1] * count for count in range(1, 4)]
        limit = shape.metadata.get("max")
        yield from (key for key in longer if limit is None or len(key) <= limit)


class _Breaker:
    """Changes one part of a value, at any depth, with the shape in sight."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def broken(self, shape: Shape | None, value: JsonValue) -> JsonValue:
        if isinstance(value, dict) and value and self._chance.random() < 0.75:
            return self._within_map(shape, value)
        if isinstance(value, list) and value and self._chance.random() < 0.75:
            return self._within_list(shape, value)
        return self._instead(shape)

    def _within_map(self, shape: Shape | None, value: dict[str, JsonValue]) -> JsonValue:
        name = self._chance.choice(sorted(value))
        rest = {key: item for key, item in value.items() if key != name}
        match self._chance.randrange(8):
            case 0:
                return rest
            case 1:
                return {**value, self._chance.choice(("Unknown", "", name.swapcase(), f"{name} ")): value[name]}
            case 2 if isinstance(shape, StructureShape) and shape.members:
                other = self._chance.choice(sorted(shape.members))
                return {**value, other: self._fitting(shape.members[other])}
            case _:
                return {**value, name: self.broken(_below(shape, name), value[name])}

    def _within_list(self, shape: Shape | None, value: list[JsonValue]) -> JsonValue:
        index = self._chance.randrange(len(value))
        match self._chance.randrange(6):
            case 0:
                return value[:index] + value[index + 1 :]
            case 1:
                most = shape.metadata.get("max", 2) if shape is not None else 2
                return (value * (most + 1))[: min(most + 1, 200)]
            case _:
                inner = shape.member if isinstance(shape, ListShape) else None
                return [*value[:index], self.broken(inner, value[index]), *value[index + 1 :]]

    def _instead(self, shape: Shape | None) -> JsonValue:
        least, most = (shape.metadata.get("min"), shape.metadata.get("max")) if shape is not None else (None, None)
        near: list[Any] = [bound + step for bound in (least, most) if bound is not None for step in (-1, 0, 1)]
        if shape is not None and shape.type_name == "string":
            near = ["a" * length for length in near if 0 <= length < 5000]
        if shape is not None and shape.type_name in {"timestamp", "blob"}:
            near = [value for value in _ODD if isinstance(value, str)]
        if near and self._chance.random() < 0.4:
            changed: JsonValue = self._chance.choice(near)
            return changed
        return self._chance.choice(_ODD)

    def _fitting(self, shape: Shape) -> JsonValue:
        try:
            return _Maker(self._chance, share=0.2).of(shape, 2)
        except NoSample:
            return "x"


def _below(shape: Shape | None, name: str) -> Shape | None:
    if isinstance(shape, StructureShape):
        found: Shape | None = shape.members.get(name)
        return found
    return shape.value if isinstance(shape, MapShape) else None

"""JSON to what botocore takes, and what botocore answers to JSON."""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol, cast

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.utils import is_json_value_header

from request_models.json_values import JsonValue


class ArgumentRefused(ValueError):
    """An argument that cannot be written as AWS wants it; `pointer` is its JSON pointer."""

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(f"{pointer}: {why}")
        self.pointer = pointer


class AnswerTooLong(ValueError):
    """A streamed answer of more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is longer than {limit} bytes")
        self.limit = limit


class _Stream(Protocol):
    def read(self, amt: int | None = None) -> bytes: ...

    def close(self) -> None: ...


def to_parameters(operation: OperationModel, arguments: Mapping[str, JsonValue]) -> dict[str, object]:
    """Arguments as botocore parameters: Base64 to bytes, ISO 8601 to datetimes. Raises ArgumentRefused.

    Members the shape does not know are handed on: botocore names them when it refuses the call.
    """
    shape = operation.input_shape
    if not isinstance(shape, StructureShape):
        return dict(arguments)
    return _structure_in(shape, arguments, "")


def _in(shape: Shape, value: JsonValue, pointer: str) -> object:
    if is_json_value_header(shape):
        return value
    match shape:
        case StructureShape() if shape.is_document_type:
            return value
        case StructureShape() if isinstance(value, dict):
            return _structure_in(shape, value, pointer)
        case ListShape() if isinstance(value, list):
            return [_in(shape.member, item, f"{pointer}/{index}") for index, item in enumerate(value)]
        case MapShape() if isinstance(value, dict):
            return {key: _in(shape.value, item, f"{pointer}/{key}") for key, item in value.items()}
    if isinstance(value, str) and shape.type_name == "blob":
        return _bytes(value, pointer)
    if isinstance(value, str) and shape.type_name == "timestamp":
        return _moment(value, pointer)
    return value


def _structure_in(shape: StructureShape, value: Mapping[str, JsonValue], pointer: str) -> dict[str, object]:
    members = shape.members
    return {
        name: _in(members[name], item, f"{pointer}/{name}") if name in members else item for name, item in value.items()
    }


def _bytes(text: str, pointer: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ArgumentRefused(pointer, f"bytes are given as Base64, and this is none ({error})") from None


def _moment(text: str, pointer: str) -> datetime:
    try:
        # RFC 3339 knows small letters too, Python does not.
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ArgumentRefused(pointer, f"'{text}' is no time of ISO 8601, such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ArgumentRefused(pointer, f"'{text}' names no time zone; end it with Z or an offset such as +01:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ArgumentRefused(pointer, f"'{text}' is before the year 1 or after 9999 in UTC") from None


def to_json(operation: OperationModel, answer: Mapping[str, object], *, max_bytes: int) -> dict[str, JsonValue]:
    """An answer as JSON, without ResponseMetadata. Streams are read to their end, and bounded. Raises AnswerTooLong."""
    shape = operation.output_shape
    members = shape.members if isinstance(shape, StructureShape) else {}
    return {
        name: _out(members.get(name), value, max_bytes)
        for name, value in answer.items()
        if name != "ResponseMetadata" and value is not None
    }


def _out(shape: Shape | None, value: object, max_bytes: int) -> JsonValue:
    if shape is not None and shape.serialization.get("eventstream"):
        return _events(shape, value, max_bytes)
    if isinstance(value, Mapping) and not _is_text(shape):
        return {str(key): _out(_member(shape, key), item, max_bytes) for key, item in value.items()}
    if isinstance(value, list | tuple) and not _is_text(shape):
        item_shape = shape.member if isinstance(shape, ListShape) else None
        return [_out(item_shape, item, max_bytes) for item in value]
    return _scalar_out(shape, value, max_bytes)


def _is_text(shape: Shape | None) -> bool:
    """IAM's policies are strings in the model, but botocore decodes them; their type here stays a string."""
    return shape is not None and shape.type_name == "string" and not is_json_value_header(shape)


def _member(shape: Shape | None, key: object) -> Shape | None:
    if isinstance(shape, StructureShape):
        return cast(Mapping[object, Shape], shape.members).get(key)
    return shape.value if isinstance(shape, MapShape) else None


def _scalar_out(shape: Shape | None, value: object, max_bytes: int) -> JsonValue:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return _iso(value)
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case dict() | list():
            return json.dumps(value, sort_keys=True, default=str)
        case _ if hasattr(value, "read"):
            return _read(cast(_Stream, value), shape, max_bytes)
        case _:
            return str(value)


def _iso(moment: datetime) -> str:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read(stream: _Stream, shape: Shape | None, max_bytes: int) -> str:
    try:
        content = stream.read(max_bytes + 1)
    finally:
        stream.close()
    if len(content) > max_bytes:
        raise AnswerTooLong(max_bytes)
    if shape is not None and shape.type_name == "string":
        return content.decode("utf-8", "replace")
    return base64.b64encode(content).decode()


def _events(shape: Shape, stream: object, max_bytes: int) -> list[JsonValue]:
    events: list[JsonValue] = []
    size = 0
    for event in cast(Iterable[Mapping[str, object]], stream):
        written: JsonValue = {name: _out(_member(shape, name), item, max_bytes) for name, item in event.items()}
        size += len(json.dumps(written))
        if size > max_bytes:
            raise AnswerTooLong(max_bytes)
        events.append(written)
    return events

"""Column types that keep values exactly, the same on SQLite and PostgreSQL."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar, cast

from sqlalchemy import BigInteger, Dialect, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

from flows.records.errors import TooLong
from flows.records.rows import Kept, Person, Sealed
from request_models.json_values import JsonValue, canonical_json, refuse_what_is_not_json

E = TypeVar("E", bound=StrEnum)

MAX_KEY_BYTES = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """UTC microseconds since 1970, the unit of the history (design section 9); refuses a datetime without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; the records take aware datetimes only.")
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC datetime of `to_microseconds`."""
    return _EPOCH + microseconds * _MICROSECOND


class JsonBytes(TypeDecorator[JsonValue]):
    """A JSON value as canonical JSON bytes: PostgreSQL's own json type refuses NUL characters."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> bytes:
        return canonical_json(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> JsonValue:
        return None if value is None else cast(JsonValue, json.loads(value))


class NamesBytes(TypeDecorator[tuple[str, ...]]):
    """Names in their order, as a canonical JSON list."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> bytes:
        return canonical_json(list(value or ()))

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[str, ...]:
        return tuple(json.loads(value or b"[]"))


class SealedBytes(TypeDecorator[Sealed]):
    """The public side of a sealed value as canonical JSON bytes; None is SQL's NULL."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        written: dict[str, JsonValue] = {
            "owner": value.owner,
            "public": value.public,
            "secrets": list(value.secret_pointers),
        }
        if value.large is not None:
            written |= {"digest": value.large.digest, "size": value.large.size}
        return canonical_json(written)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Sealed | None:
        if value is None:
            return None
        written = json.loads(value)
        large = Kept(written["digest"], written["size"]) if "digest" in written else None
        return Sealed(written["owner"], written["public"], tuple(written["secrets"]), large)


class PersonBytes(TypeDecorator[Person]):
    """A person as canonical JSON bytes."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Person | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        return canonical_json(
            {
                "id": value.id,
                "name": value.name,
                "email": value.email,
                "groups": list(value.groups),
                "manager": value.manager,
                "active": value.active,
                "attributes": dict(value.attributes),
            }
        )

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Person | None:
        if value is None:
            return None
        written = json.loads(value)
        return Person(**{**written, "groups": tuple(written["groups"])})


class ExactText(TypeDecorator[str]):
    """Any Unicode text, NUL included, which PostgreSQL's text refuses.

    A NUL is written as backslash zero and a backslash doubled: readable, and equal texts stay equal. Lone surrogates
    are refused with NotJsonError.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _escape(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or "\\" not in value:
            return value
        return "\\".join(part.replace("\\0", "\0") for part in value.split("\\\\"))


class KeyText(ExactText):
    """A text that rows are found by: at most MAX_KEY_BYTES in UTF-8, longer ones are refused with TooLong.

    PostgreSQL cannot index rows over about 2700 bytes; SQLite can, and would let a state grow that never moves there.
    """

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        written = super().process_bind_param(value, dialect)
        length = 0 if written is None else len(written.encode())
        if length > MAX_KEY_BYTES:
            raise TooLong(length, MAX_KEY_BYTES)
        return written


def _escape(text: str) -> str:
    refuse_what_is_not_json(text)
    return text.replace("\\", "\\\\").replace("\0", "\\0")


class StateText(TypeDecorator[E]):
    """A member of an enumeration, by its value."""

    impl = Text
    cache_ok = True

    def __init__(self, states: type[E]) -> None:
        super().__init__()
        self.states = states

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        return None if value is None else self.states(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> E | None:
        return None if value is None else self.states(value)


class Moment(TypeDecorator[datetime]):
    """An aware datetime as UTC microseconds: sorted and compared alike in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_microseconds(value)

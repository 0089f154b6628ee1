"""The values expressions work with beside JSON: dates that remember how they were written, absence, and `omit`."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, cast, final

from request_models.durations import write_duration
from request_models.formats import is_date, is_date_time
from request_models.json_values import JsonValue


@final
class Omitted:
    """The type of `OMIT`."""

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = Omitted()
"""What `omit` yields: an argument that equals it is left out."""


class Undefined:
    """A name or member that is not there; using it for anything but `is defined` and `default` is an error."""

    def __init__(self, path: str) -> None:
        self.path = path


class DateText(str):  # noqa: SLOT000 - the base has no slots either
    """A date as it was written (`2026-11-05`): text to the outside, a date to `+`, `-` and comparisons."""

    @property
    def date(self) -> date:
        """The day itself."""
        return date.fromisoformat(self)


class DateTimeText(str):  # noqa: SLOT000 - the base has no slots either
    """A moment as it was written (RFC 3339): text to the outside, a moment to `+`, `-` and comparisons."""

    @property
    def moment(self) -> datetime:
        """The moment itself, aware of its offset."""
        return datetime.fromisoformat(self.upper())


def temporal(value: object) -> date | datetime | timedelta | None:
    """The date, moment or duration a value stands for in arithmetic; None for everything else."""
    match value:
        case DateText():
            return value.date
        case DateTimeText():
            return value.moment
        case date() | timedelta():
            return value
        case _:
            return None


def plain_value(value: object) -> JsonValue:
    """A value of the scope as JSON: dates and durations become text. JSON values are returned as they are."""
    match value:
        case DateText() | DateTimeText():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return write_duration(value)
        case list() | tuple():
            items = [plain_value(item) for item in value]
            same = isinstance(value, list) and all(new is old for new, old in zip(items, value, strict=True))
            return cast(JsonValue, value) if same else items
        case Mapping():
            members = {key: plain_value(item) for key, item in value.items()}
            same = isinstance(value, dict) and all(members[key] is value[key] for key in members)
            return cast(JsonValue, value) if same else members
        case _:
            return cast(JsonValue, value)


def dated_by_schema(schema: Mapping[str, JsonValue], value: JsonValue) -> object:
    """The value with every part that its JSON Schema calls a `date` or `date-time` made one.

    Looks through `properties`, `items`, `anyOf` and `oneOf`; a part that is not of its format is left as it is.
    """
    found = _dated_by_keywords(schema, value)
    for keyword in ("anyOf", "oneOf"):
        branches = schema.get(keyword)
        for branch in branches if isinstance(branches, list) else ():
            found = dated_by_schema(_schema(branch), cast(JsonValue, found))
    return found


def _dated_by_keywords(schema: Mapping[str, JsonValue], value: JsonValue) -> object:
    match value:
        case DateText() | DateTimeText():
            return value
        case str():
            if schema.get("format") == "date" and is_date(value):
                return DateText(value)
            if schema.get("format") == "date-time" and is_date_time(value):
                return DateTimeText(value)
        case list() if isinstance(items := schema.get("items"), dict):
            return [dated_by_schema(items, item) for item in value]
        case dict() if isinstance(properties := schema.get("properties"), dict):
            return {key: dated_by_schema(_schema(properties.get(key)), item) for key, item in value.items()}
        case _:
            pass
    return value


def _schema(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}

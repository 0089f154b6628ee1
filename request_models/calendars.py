"""Calendars: when the clock of `due` runs, and when requests with a window may start.

Openings are written in the time of a zone's wall clocks. Where clocks go forward, an opening that starts in the hour
left out starts as the clocks jump; where they go back, a time that the clocks show twice is its first showing, so that
a whole day is the 23, 24 or 25 hours that it has, and no hour is counted twice. An opening over midnight belongs to the
day on which it starts: when that day is closed it does not take place, and a closed day after it does not cut it short.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import cast
from zoneinfo import ZoneInfo

from request_models.errors import CalendarError
from request_models.json_values import JsonValue, canonical_json
from request_models.public_holidays import public_holidays

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SEARCH_YEARS = 20
"""How far ahead an opening is looked for."""

_DAY = timedelta(days=1)
_FIRST, _LAST = datetime(1, 1, 10, tzinfo=UTC), datetime(9970, 1, 1, tzinfo=UTC)
"""Nothing is open before or after these, so that no date runs over an end of time as Python has it."""


@dataclass(frozen=True, order=True)
class Hours:
    """An opening of a day, in minutes from its midnight by the wall clock; an end after 1440 lies on the next day."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end if self.end <= 1440 else self.end - 1440)}"


@dataclass(frozen=True)
class Opening:
    """A stretch of open time, from `start` until just before `end`, both in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Calendar:
    """When something is open. `week` starts with Monday; what `also_open` says of a date holds even when it is closed.

    `settled` are the years for which `closed` holds the public holidays already (see `pinned`). All methods take aware
    datetimes, and give them in UTC.
    """

    name: str
    zone: str
    week: tuple[tuple[Hours, ...], ...]
    title: str = ""
    country: str | None = None
    subdivision: str | None = None
    closed: frozenset[date] = frozenset()
    also_open: tuple[tuple[date, tuple[Hours, ...]], ...] = ()
    settled: tuple[int, ...] = ()

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at a moment; at the very end of an opening it no longer is."""
        at = _utc(at)
        first = next(self._openings(at), None)
        return first is not None and first.start <= at

    def next_opening(self, at: datetime) -> datetime:
        """The moment itself when it is open then, else the start of the next opening.

        Raises CalendarError when there is none within SEARCH_YEARS.
        """
        at = _utc(at)
        first = next(self._openings(at), None)
        if first is None:
            raise CalendarError(self.name, f"has no opening within {SEARCH_YEARS} years after {at:%Y-%m-%d}")
        return max(at, first.start)

    def end_of_opening(self, at: datetime) -> datetime | None:
        """When what is open at a moment closes; None when it is closed then, or stays open for SEARCH_YEARS."""
        at = _utc(at)
        end: datetime | None = None
        for opening in self._openings(at):
            if opening.start > (end or at):
                return end
            end = opening.end
        return None

    def due_at(self, start: datetime, within: timedelta) -> datetime:
        """When `within` of open time has passed after `start`: never before, and never while it is closed.

        Raises CalendarError when so much open time does not come within SEARCH_YEARS, ValueError for a negative time.
        """
        if within < timedelta(0):
            raise ValueError("no time is due before it starts")
        start, left = _utc(start), within
        if not left:
            return self.next_opening(start)
        for opening in self._openings(start):
            begins = max(start, opening.start)
            if opening.end - begins >= left:
                return begins + left
            left -= opening.end - begins
        raise CalendarError(self.name, f"is not open for long enough within {SEARCH_YEARS} years")

    def open_between(self, start: datetime, end: datetime) -> timedelta:
        """How much open time lies between two moments; nothing when the second is not after the first."""
        start, end = _utc(start), _utc(end)
        openings = takewhile(lambda opening: opening.start < end, self._openings(start, until=end))
        stretches = (min(end, opening.end) - max(start, opening.start) for opening in openings)
        return sum(stretches, timedelta(0)) if start < end else timedelta(0)

    def pinned(self, years: range) -> "Calendar":
        """The same with the public holidays of some years written out, so that a newer list of them changes nothing."""
        if self.country is None:
            return self
        found = {day for year in years for day in public_holidays(self.country, self.subdivision, year)}
        settled = tuple(sorted({*self.settled, *years}))
        return replace(self, closed=self.closed | {day for day in found if day.year in years}, settled=settled)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the calendar's canonical JSON, in hexadecimal."""
        return hashlib.sha256(canonical_json(cast(JsonValue, self.to_json()))).hexdigest()

    def to_json(self) -> dict[str, JsonValue]:
        """The calendar as JSON; `calendar_from_json` reads it back to an equal one."""
        week: dict[str, JsonValue] = {day: _written(hours) for day, hours in zip(DAYS, self.week, strict=True) if hours}
        also: dict[str, JsonValue] = {day.isoformat(): _written(hours) for day, hours in self.also_open}
        closed: list[JsonValue] = [day.isoformat() for day in sorted(self.closed)]
        return {
            "calendar": self.name,
            "title": self.title,
            "zone": self.zone,
            "open": week,
            "country": self.country,
            "subdivision": self.subdivision,
            "closed": closed,
            "also_open": also,
            "settled": list(self.settled),
        }

    @cached_property
    def _also_open(self) -> Mapping[date, tuple[Hours, ...]]:
        return dict(self.also_open)

    def _openings(self, after: datetime, until: datetime | None = None) -> Iterator[Opening]:
        """The stretches of open time that end after a moment, in order, none overlapping another."""
        zone, done = ZoneInfo(self.zone), max(after, _FIRST)
        if done >= _LAST:
            return
        day = done.astimezone(zone).date() - 2 * _DAY
        until = until or done + timedelta(days=366 * SEARCH_YEARS)
        last = min(until, _LAST).astimezone(zone).date() + _DAY
        while day <= last:
            for hours in self._hours(day):
                begin, end = (_instant(zone, day, minutes) for minutes in (hours.start, hours.end))
                if end > max(begin, done):  # where clocks jump over all of an opening, nothing is left of it
                    yield Opening(max(begin, done), end)
                    done = end
            day += _DAY

    def _hours(self, day: date) -> tuple[Hours, ...]:
        extra = self._also_open.get(day, ())
        usual = () if self._is_closed(day) else self.week[day.weekday()]
        return tuple(sorted((*usual, *extra)))

    def _is_closed(self, day: date) -> bool:
        if day in self.closed:
            return True
        if self.country is None or day.year in self.settled:
            return False
        return day in public_holidays(self.country, self.subdivision, day.year)


ALWAYS = Calendar("always", "UTC", ((Hours(0, 1440),),) * 7, "Around the clock")
"""The calendar that is built in."""


def calendar_from_json(written: Mapping[str, JsonValue]) -> Calendar:
    """The calendar that `Calendar.to_json` wrote. Raises CalendarError for JSON that it did not write."""
    parts = cast(Mapping[str, dict[str, list[str]]], written)
    try:
        also = ((date.fromisoformat(day), _read(hours)) for day, hours in parts["also_open"].items())
        return Calendar(
            name=cast(str, written["calendar"]),
            zone=cast(str, written["zone"]),
            week=tuple(_read(parts["open"].get(day, [])) for day in DAYS),
            title=cast(str, written["title"]),
            country=cast(str | None, written["country"]),
            subdivision=cast(str | None, written["subdivision"]),
            closed=frozenset(date.fromisoformat(day) for day in cast(list[str], written["closed"])),
            also_open=tuple(sorted(also)),
            settled=tuple(cast(list[int], written["settled"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CalendarError(str(written.get("calendar", "?")), f"cannot be read: {error}") from None


def parse_hours(text: str) -> Hours:
    """The opening that a text such as `09:00-17:30` says; `22:00-04:00` ends on the next day, `24:00` is a day's end.

    Raises ValueError for any other text.
    """
    start_text, dash, end_text = text.partition("-")
    start, end = _minutes(start_text), _minutes(end_text)
    if not dash or start is None or end is None or start == 1440:
        raise ValueError(f"`{text[:40]}` is not an opening: write two times of a day, as in `09:00-17:30`")
    if start == end:
        raise ValueError(f"`{text[:40]}` starts as it ends: a whole day is `00:00-24:00`")
    return Hours(start, end if end > start else end + 1440)


def _minutes(text: str) -> int | None:
    hours, minutes = text[:2], text[3:]
    if len(text) != 5 or text[2] != ":" or not (text.isascii() and hours.isdigit() and minutes.isdigit()):
        return None
    found = int(hours) * 60 + int(minutes)
    return found if int(minutes) < 60 and found <= 1440 else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _written(hours: tuple[Hours, ...]) -> list[JsonValue]:
    return [str(one) for one in hours]


def _read(texts: list[str]) -> tuple[Hours, ...]:
    return tuple(parse_hours(text) for text in texts)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a moment has an offset from UTC: this datetime has none")
    return at.astimezone(UTC)


@lru_cache(maxsize=16384)
def _instant(zone: ZoneInfo, day: date, minutes: int) -> datetime:
    """The first moment at which the zone's clocks show a time of the day, or a later one."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - a wall clock's time
    shown = wall.replace(tzinfo=zone).astimezone(UTC)
    if shown.astimezone(zone).replace(tzinfo=None) == wall:
        return shown
    # The clocks jump over this time: the moment of the jump lies between the two readings of it.
    low, high = int(wall.replace(tzinfo=zone, fold=1).timestamp()), int(shown.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        is_past = datetime.fromtimestamp(middle, zone).replace(tzinfo=None) >= wall
        low, high = (low, middle) if is_past else (middle, high)
    return datetime.fromtimestamp(high, UTC)

"""Open time: against a clock watched minute by minute, over changes of summer time, and by its own laws."""

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from request_models.calendars import ALWAYS, SEARCH_YEARS, Calendar, Hours, calendar_from_json, parse_hours
from request_models.errors import CalendarError
from request_models.public_holidays import public_holidays

MINUTE = timedelta(minutes=1)
# Each with a moment near which its clocks do something odd.
CHANGES = {
    "Europe/Berlin": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "America/Havana": (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 5, tzinfo=UTC)),  # at midnight
    "Australia/Lord_Howe": (
        datetime(2026, 4, 4, 15, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ),  # by 30 min
    "Asia/Kathmandu": (datetime(2026, 5, 1, tzinfo=UTC),),  # 5:45 off
    "Pacific/Apia": (datetime(2011, 12, 30, 10, tzinfo=UTC),),  # a day that never was
    "UTC": (datetime(2026, 12, 31, 23, tzinfo=UTC),),
}


def office(zone: str = "Europe/Berlin", **more: object) -> Calendar:
    week = ((parse_hours("09:00-12:30"), parse_hours("13:30-17:00")),) * 5 + ((), ())
    return Calendar("office", zone, week, **more)  # type: ignore[arg-type]  # tests name the fields they set


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    start = draw(st.integers(0, 1439))
    return Hours(start, start + draw(st.integers(1, 1440 - (1 if start else 0))))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Calendar, datetime]:
    """A calendar with openings, and a moment near a change of its clocks."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    near = draw(st.sampled_from(CHANGES[zone]))
    a_day = st.lists(hours(), max_size=2).map(tuple)
    week = draw(st.tuples(*[a_day] * 7).filter(any))
    dates = st.integers(-3, 3).map(lambda step: (near + timedelta(days=step)).date())
    also = draw(st.dictionaries(dates, st.lists(hours(), min_size=1, max_size=1).map(tuple), max_size=2))
    calendar = Calendar(
        "c", zone, week, closed=draw(st.frozensets(dates, max_size=2)), also_open=tuple(sorted(also.items()))
    )
    start = near + timedelta(seconds=draw(st.integers(-3 * 86400, 2 * 86400)))
    return calendar, start


spans = st.integers(0, 20 * 86400 * 1000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))


class WatchedClock:
    """A wall clock watched every minute. `furthest` is the latest that it has shown: where it goes back, it stands."""

    def __init__(self, calendar: Calendar, start: datetime) -> None:
        self.calendar, self.zone = calendar, ZoneInfo(calendar.zone)
        self.at, self.furthest = start, datetime.min  # noqa: DTZ901 - a wall clock has no offset
        self.openings = [
            (midnight + one.start * MINUTE, midnight + one.end * MINUTE)
            for step in range(-4, 12)
            for day in [start.astimezone(self.zone).date() + timedelta(days=step)]
            for midnight in [datetime(day.year, day.month, day.day)]  # noqa: DTZ001 - likewise
            for one in self.openings_of(day)
        ]

    def openings_of(self, day: date) -> list[Hours]:
        usual = () if day in self.calendar.closed else self.calendar.week[day.weekday()]
        return [*usual, *dict(self.calendar.also_open).get(day, ())]

    def is_open(self) -> bool:
        self.furthest = max(self.furthest, self.at.astimezone(self.zone).replace(tzinfo=None))
        return any(start <= self.furthest < end for start, end in self.openings)


@settings(deadline=None)
@given(cases())
def test_open_time_is_what_a_watched_clock_shows(case: tuple[Calendar, datetime]) -> None:
    calendar, start = case
    start = start.replace(second=0)
    clock = WatchedClock(calendar, start - timedelta(days=2))
    open_minutes = 0
    until = start + timedelta(days=3)
    while clock.at < until:
        is_open = clock.is_open()
        if clock.at >= start:
            open_minutes += is_open
            if clock.at.minute % 17 == 0:
                assert calendar.is_open(clock.at) == is_open
        clock.at += MINUTE
    assert calendar.open_between(start, until) == open_minutes * MINUTE


@settings(deadline=None)
@given(cases(), spans)
def test_what_is_due_is_due_after_just_that_much_open_time(case: tuple[Calendar, datetime], within: timedelta) -> None:
    calendar, start = case
    due = calendar.due_at(start, within)
    assert calendar.open_between(start, due) == within
    just_before = due - timedelta(microseconds=1)
    assert calendar.is_open(just_before) if within else due == calendar.next_opening(start)


@settings(deadline=None)
@given(cases(), spans, spans)
def test_longer_is_due_later_and_in_two_parts_as_in_one(
    case: tuple[Calendar, datetime], first: timedelta, second: timedelta
) -> None:
    calendar, start = case
    assert calendar.due_at(start, first) <= calendar.due_at(start, first + second)
    assert calendar.due_at(start, first) <= calendar.due_at(start + second, first)
    if second:
        assert calendar.due_at(calendar.due_at(start, first), second) == calendar.due_at(start, first + second)


@settings(deadline=None)
@given(cases(), spans, spans)
def test_open_time_adds_up(case: tuple[Calendar, datetime], first: timedelta, second: timedelta) -> None:
    calendar, start = case
    middle, end = start + first, start + first + second
    whole = calendar.open_between(start, end)
    assert whole == calendar.open_between(start, middle) + calendar.open_between(middle, end)
    assert timedelta(0) <= whole <= end - start
    assert ALWAYS.open_between(start, end) == end - start


@settings(deadline=None)
@given(cases())
def test_an_opening_begins_where_nothing_was_open_before_and_ends_where_it_closes(
    case: tuple[Calendar, datetime],
) -> None:
    calendar, start = case
    opens = calendar.next_opening(start)
    assert calendar.is_open(opens)
    assert calendar.open_between(start, opens) == timedelta(0)
    end = calendar.end_of_opening(opens)
    if end is not None:
        assert not calendar.is_open(end)
        assert calendar.open_between(opens, end) == end - opens


@settings(deadline=None)
@given(cases())
def test_a_calendar_comes_back_from_json(case: tuple[Calendar, datetime]) -> None:
    calendar, _ = case
    calendar = Calendar(
        calendar.name,
        calendar.zone,
        tuple(tuple(sorted(day)) for day in calendar.week),
        closed=calendar.closed,
        also_open=calendar.also_open,
    )
    written = json.loads(json.dumps(calendar.to_json()))
    assert calendar_from_json(written) == calendar
    assert calendar_from_json(written).digest == calendar.digest


def test_another_calendar_has_another_digest() -> None:
    assert office().digest != office("Europe/Paris").digest
    assert office().digest != office(closed=frozenset({date(2026, 12, 24)})).digest


@pytest.mark.parametrize("written", [{}, {"calendar": "c"}, {**office().to_json(), "open": {"mon": ["9-5"]}}])
def test_json_that_is_no_calendar_is_refused(written: dict[str, object]) -> None:
    with pytest.raises(CalendarError, match="cannot be read"):
        calendar_from_json(written)  # type: ignore[arg-type]  # what another program may have written


def test_friday_afternoon_is_due_on_monday() -> None:
    friday = datetime(2026, 11, 27, 16, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert office().due_at(friday, timedelta(hours=1)) == datetime(2026, 11, 30, 8, 30, tzinfo=UTC)
    assert office().next_opening(friday + timedelta(hours=1)) == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    assert office().end_of_opening(friday) == datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
    assert office().end_of_opening(friday + timedelta(hours=1)) is None


def test_public_holidays_are_closed_and_what_is_also_open_wins() -> None:
    calendar = office(country="DE", subdivision="BE", also_open=((date(2026, 12, 25), (parse_hours("10:00-11:00"),)),))
    christmas = datetime(2026, 12, 25, tzinfo=UTC)
    assert calendar.open_between(christmas, christmas + timedelta(days=1)) == timedelta(hours=1)
    womens_day = datetime(2027, 3, 8, 10, tzinfo=UTC)  # a Monday; a holiday in Berlin, not in Bavaria
    assert not calendar.is_open(womens_day)
    assert office(country="DE", subdivision="BY").is_open(womens_day)


def test_a_pinned_calendar_asks_no_more_for_the_holidays_of_its_years() -> None:
    calendar = office(country="DE", subdivision="BE")
    pinned = calendar.pinned(range(2026, 2028))
    assert public_holidays("DE", "BE", 2026) < pinned.closed
    assert pinned.settled == (2026, 2027)
    assert calendar_from_json(pinned.to_json()) == pinned
    start = datetime(2026, 12, 1, tzinfo=UTC)
    assert pinned.due_at(start, timedelta(hours=300)) == calendar.due_at(start, timedelta(hours=300))
    # In a settled year nothing but `closed` counts.
    forgetful = office(country="DE", subdivision="BE", settled=(2026,))
    assert forgetful.is_open(datetime(2026, 12, 25, 10, tzinfo=UTC))


def test_an_opening_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    night = Calendar("night", "UTC", ((),) * 5 + ((parse_hours("22:00-04:00"),), ()))
    saturday, sunday = date(2026, 11, 28), date(2026, 11, 29)
    at = datetime(2026, 11, 29, 3, tzinfo=UTC)
    assert night.is_open(at)
    assert Calendar("night", "UTC", night.week, closed=frozenset({sunday})).is_open(at)
    assert not Calendar("night", "UTC", night.week, closed=frozenset({saturday})).is_open(at)


def test_what_never_comes_is_refused_and_not_looked_for_without_end() -> None:
    past = Calendar("past", "UTC", ((),) * 7, also_open=((date(2020, 1, 1), (Hours(0, 60),)),))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(CalendarError, match=f"no opening within {SEARCH_YEARS} years"):
        past.next_opening(now)
    with pytest.raises(CalendarError, match="not open for long enough"):
        past.due_at(now, timedelta(minutes=1))
    with pytest.raises(CalendarError, match="not open for long enough"):
        ALWAYS.due_at(now, timedelta(days=366 * SEARCH_YEARS + 4))
    assert not past.is_open(now)
    assert ALWAYS.end_of_opening(now) is None


def test_open_time_is_counted_over_any_length() -> None:
    start = datetime(2000, 1, 1, tzinfo=UTC)
    assert ALWAYS.open_between(start, start + timedelta(days=20000)) == timedelta(days=20000)


@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=["min", "max"])
def test_the_ends_of_time_are_no_trap(at: datetime) -> None:
    office("Asia/Tokyo").is_open(at)
    assert office("America/Lima").open_between(at, at) == timedelta(0)


def test_a_moment_without_an_offset_and_a_negative_time_are_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        ALWAYS.is_open(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="before it starts"):
        ALWAYS.due_at(datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=-1))

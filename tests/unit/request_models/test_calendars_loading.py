"""Calendar files: what they mean, and what is told of those that are wrong, line by line."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import request_models
from request_models.calendar_documents import Calendars, load_calendar, load_calendars
from request_models.calendars import ALWAYS

SHIPPED = Path(request_models.__file__).parent / "catalogue" / "calendars"

BERLIN = """\
calendar: office-berlin
title: Office hours in Berlin
zone: Europe/Berlin
open: {mon-fri: ["09:00-12:30", "13:30-17:00"], sat: ["10:00-14:00"], sun: ["22:00-24:00"]}
holidays: {country: DE, subdivision: BE}
closed: [2026-12-24, {from: 2026-12-27, to: 2026-12-31}]
also_open: {2026-12-25: ["10:00-16:00"]}
"""


def test_a_file_says_when_it_is_open() -> None:
    calendar, diagnostics = load_calendar("c.yaml", BERLIN)
    assert diagnostics == ()
    assert calendar is not None
    assert [[str(hours) for hours in day] for day in calendar.week] == [
        *[["09:00-12:30", "13:30-17:00"]] * 5,
        ["10:00-14:00"],
        ["22:00-24:00"],
    ]
    assert len(calendar.closed) == 6
    assert calendar.also_open[0][0] == date(2026, 12, 25)
    before_christmas = datetime(2026, 12, 23, 16, tzinfo=UTC)  # closed by now
    # 25 December is also open for six hours; then all is closed until Saturday, 2 January.
    assert calendar.due_at(before_christmas, timedelta(hours=6, minutes=1)) == datetime(2027, 1, 2, 9, 1, tzinfo=UTC)


def swap(old: str, new: str) -> str:
    assert old in BERLIN
    return BERLIN.replace(old, new)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (swap("calendar: office-berlin\n", ""), "1:1 missing-key", "`calendar` is missing here"),
        (swap("office-berlin", "of fice"), "1:11 wrong-shape", "this is not a name"),
        (swap("office-berlin", "always"), "1:11 duplicate-calendar", "`always` is built in"),
        (swap("zone:", "zon:"), "3:1 unknown-key", "there is no key `zon` here"),
        (swap("Europe/Berlin", "Europe/Berln"), "3:7 calendar-zone", "there is no time zone `Europe/Berln`"),
        (swap("Europe/Berlin", "../../etc/passwd"), "3:7 calendar-zone", "there is no time zone `../../etc/passwd`"),
        (swap("mon-fri", "mon-fry"), "4:8 calendar-hours", "`mon-fry` names no days of the week"),
        (swap("sat:", "fri:"), "4:49 calendar-hours", "`fri` is in `mon-fri` and in `fri`"),
        (swap("09:00-12:30", "9-12"), "4:18 calendar-hours", "`9-12` is not an opening"),
        (swap("09:00-12:30", "09:00-24:30"), "4:18 calendar-hours", "`09:00-24:30` is not an opening"),
        (swap("09:00-12:30", "09:00-09:00"), "4:18 calendar-hours", "`09:00-09:00` starts as it ends"),
        (swap("09:00-12:30", "09:00-14:00"), "4:33 calendar-hours", "`13:30-17:00` and `09:00-14:00` overlap"),
        (swap("country: DE", "country: XX"), "5:21 calendar-holidays", "no public holidays are known of `XX`"),
        (swap("subdivision: BE", "subdivision: ZZ"), "5:38 calendar-holidays", "are known of `ZZ` in DE"),
        (swap("country: DE, ", ""), "5:1 missing-key", "`country` is missing here"),
        (swap("2026-12-24", "2026-02-30"), "6:10 calendar-date", "`2026-02-30` is not a date"),
        (swap("to: 2026-12-31", "to: 2026-12-01"), "6:45 calendar-date", "these days end before they start"),
        (swap("to: 2026-12-31", "to: 9999-12-31"), "6:22 calendar-date", "over 4000 days are too many"),
        (swap("{2026-12-25", "{Christmas"), "7:13 calendar-date", "`Christmas` is not a date"),
        ("calendar: c\nzone: UTC\n", "1:1 calendar-never-open", "this calendar is never open"),
        ("calendar: c\nzone: UTC\nopen: {mon: []}\n", "3:1 calendar-never-open", "this calendar is never open"),
        ("[]", "1:1 wrong-shape", "a calendar is a map: it starts with `calendar: NAME`"),
        ("", "1:1 empty", "this file is empty"),
        ("calendar: c\nzone: UTC\nopen: []\n", "3:7 wrong-shape", "this must be a map"),
        ("calendar: c\nzone: UTC\nopen: {mon: '09:00-17:00'}\n", "3:13 wrong-shape", "this must be a list"),
    ],
    ids=lambda value: None if chr(10) in str(value) else str(value),
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(text: str, where: str, words: str) -> None:
    calendar, diagnostics = load_calendar("c.yaml", text)
    assert calendar is None
    found = {f"{one.line}:{one.column} {one.code}": one.message for one in diagnostics}
    assert where in found
    assert words in found[where]


def test_all_mistakes_are_told_at_once() -> None:
    text = swap("Berlin\nopen", "Brlin\nopen").replace("DE,", "XX,").replace("2026-12-24", "Xmas")
    _, diagnostics = load_calendar("c.yaml", text)
    assert [(one.line, one.code) for one in diagnostics] == [
        (3, "calendar-zone"),
        (5, "calendar-holidays"),
        (6, "calendar-date"),
    ]


def test_the_shipped_calendars_are_good() -> None:
    calendars = load_calendars([SHIPPED])
    assert calendars.diagnostics == ()
    assert calendars.names == ("always", "maintenance", "office-hours")
    window = calendars.by_name["maintenance"]
    assert window.next_opening(datetime(2026, 11, 25, tzinfo=UTC)) == datetime(2026, 11, 29, 2, tzinfo=UTC)


def test_a_users_calendar_stands_in_for_a_shipped_one_and_always_is_there(tmp_path: Path) -> None:
    mine = tmp_path / "calendars"
    mine.mkdir()
    (mine / "hours.yaml").write_text(BERLIN.replace("office-berlin", "office-hours"))
    (mine / "broken.yaml").write_text("calendar: broken\n")
    calendars = load_calendars([mine, tmp_path / "missing", SHIPPED])
    assert calendars.names == ("always", "maintenance", "office-hours")
    assert calendars.by_name["office-hours"].zone == "Europe/Berlin"
    assert [one.code for one in calendars.diagnostics] == ["missing-key"]
    assert calendars.find("maintenence") is None
    assert calendars.suggestions("maintenence") == ["maintenance"]
    assert Calendars().find("always") is ALWAYS
    assert calendars.to_json()["office-hours"] == calendars.by_name["office-hours"].to_json()


def test_two_calendars_of_a_folder_cannot_bear_one_name(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / "maintenance.yaml", tmp_path / "a.yaml")
    shutil.copy(SHIPPED / "maintenance.yaml", tmp_path / "b.yaml")
    calendars = load_calendars([tmp_path])
    assert [(Path(one.file).name, one.code) for one in calendars.diagnostics] == [("b.yaml", "duplicate-calendar")]

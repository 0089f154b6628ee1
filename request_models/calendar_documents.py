"""Calendar files to calendars: `calendars/NAME.yaml`, each mistake told at its line."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from request_models.calendars import ALWAYS, DAYS, Calendar, Hours, parse_hours
from request_models.diagnostics import Diagnostic, in_order
from request_models.findings import Finding
from request_models.formats import is_date
from request_models.json_values import JsonValue
from request_models.loading import read_file
from request_models.public_holidays import countries
from request_models.yaml_source import Path, YamlSource, read_yaml

MAX_CLOSED_DAYS = 4000

_Openings = Annotated[tuple[str, ...], Field(strict=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HolidaysDocument(_Part):
    """Public holidays, by the codes of ISO 3166."""

    country: str = Field(description="The country's two letters: DE.")
    subdivision: str | None = Field(None, description="The part of the country, without the country's letters: BE.")


class SpanDocument(_Part):
    """Days from one to another, both closed."""

    first: str = Field(alias="from", description="The first day closed.")
    to: str = Field(description="The last day closed.")


class CalendarDocument(_Part):
    """One calendar: one file."""

    calendar: Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9]+(-[A-Za-z0-9]+)*\z", max_length=63)] = Field(
        description="The name models use: letters and digits, parts joined by hyphens."
    )
    title: str = Field("", description="What people read.")
    zone: str = Field(description="The IANA time zone of its wall clocks: Europe/Berlin.")
    open: dict[str, _Openings] = Field(
        default_factory=dict,
        description="Openings by day or days of the week: `{mon-fri: ['09:00-17:00']}`.",
    )
    holidays: HolidaysDocument | None = Field(None, description="Closed on the public holidays of a country.")
    closed: tuple[str | SpanDocument, ...] = Field((), strict=False, description="Days closed, or spans of them.")
    also_open: dict[str, _Openings] = Field(
        default_factory=dict, description="Openings of single dates, closed or not."
    )


@dataclass(frozen=True)
class Calendars:
    """The calendars of some folders and the one that is built in, by name, with what is wrong with their files."""

    by_name: Mapping[str, Calendar] = field(default_factory=lambda: {ALWAYS.name: ALWAYS})
    diagnostics: tuple[Diagnostic, ...] = ()

    def find(self, name: str) -> Calendar | None:
        """The calendar of a name, None when there is none."""
        return self.by_name.get(name)

    def suggestions(self, name: str) -> list[str]:
        """Names near a wrong one, the nearest first."""
        return get_close_matches(name, sorted(self.by_name))

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self.by_name))

    def to_json(self) -> dict[str, JsonValue]:
        """Each calendar by its name, as a plan pins it."""
        return {name: self.by_name[name].to_json() for name in self.names}


def load_calendars(folders: Iterable[FilePath]) -> Calendars:
    """Every `*.yaml` and `*.yml` of the folders; those that do not exist hold none.

    A calendar in an earlier folder stands in for one of its name in a later one. Nothing is raised for what a file
    holds.
    """
    calendars: dict[str, Calendar] = {}
    diagnostics: list[Diagnostic] = []
    for folder in folders:
        here: dict[str, FilePath] = {}
        for file in sorted(path for path in folder.glob("*") if path.suffix in {".yaml", ".yml"} and path.is_file()):
            calendar, found = load_calendar_file(file)
            diagnostics += found
            if calendar is None:
                continue
            if calendar.name in here:
                why = f"there is another calendar `{calendar.name}` in {here[calendar.name]}"
                diagnostics.append(Diagnostic("duplicate-calendar", why, str(file), hint="give one another name"))
                continue
            here[calendar.name] = file
            calendars.setdefault(calendar.name, calendar)
    return Calendars({**calendars, ALWAYS.name: ALWAYS}, in_order(diagnostics))


def load_calendar_file(file: FilePath) -> tuple[Calendar | None, tuple[Diagnostic, ...]]:
    """One calendar file."""
    content = read_file(file)
    return (None, (content,)) if isinstance(content, Diagnostic) else load_calendar(str(file), content)


def load_calendar(file: str, content: bytes | str) -> tuple[Calendar | None, tuple[Diagnostic, ...]]:
    """One calendar from a file's content; `file` names it in diagnostics. None when something is wrong with it."""
    source = read_yaml(file, content.encode() if isinstance(content, str) else content)
    if source.value is None and source.diagnostics:
        return None, source.diagnostics
    if not isinstance(source.value, dict):
        wrong = source.diagnostic((), "wrong-shape", "a calendar is a map: it starts with `calendar: NAME`")
        return None, (*source.diagnostics, wrong)
    try:
        document = CalendarDocument.model_validate(source.value)
    except ValidationError as error:
        return None, in_order([*source.diagnostics, *_shape_problems(source, error)])
    findings = [*_wrong_name(document), *_wrong_zone(document), *_wrong_holidays(document)]
    calendar = _calendar(document, findings)
    if not findings and not any(calendar.week) and not calendar.also_open:
        hint = 'write when it is open, as in `open: {mon-fri: ["09:00-17:00"]}`'
        findings.append(Finding(("open",), "calendar-never-open", "this calendar is never open", hint, on_key=True))
    diagnostics = in_order([*source.diagnostics, *(finding.located(source) for finding in findings)])
    return (None if diagnostics else calendar), diagnostics


def _calendar(document: CalendarDocument, findings: list[Finding]) -> Calendar:
    """The calendar; what is wrong with its times and dates is added to the findings."""
    holidays = document.holidays
    return Calendar(
        name=document.calendar,
        zone=document.zone,
        week=_week(document, findings),
        title=document.title,
        country=holidays.country if holidays else None,
        subdivision=holidays.subdivision if holidays else None,
        closed=_closed(document, findings),
        also_open=_also_open(document, findings),
    )


def _wrong_name(document: CalendarDocument) -> Iterator[Finding]:
    if document.calendar == ALWAYS.name:
        why = f"`{ALWAYS.name}` is built in: it is open around the clock"
        yield Finding(("calendar",), "duplicate-calendar", why, "give this one another name")


def _wrong_zone(document: CalendarDocument) -> Iterator[Finding]:
    known = available_timezones()
    if document.zone in known and document.zone != "localtime":
        ZoneInfo(document.zone)
        return
    near = get_close_matches(document.zone, sorted(known), n=1)
    hint = f"is `{near[0]}` meant?" if near else "an IANA name, such as `Europe/Berlin` or `UTC`"
    yield Finding(("zone",), "calendar-zone", f"there is no time zone `{document.zone[:60]}`", hint)


def _wrong_holidays(document: CalendarDocument) -> Iterator[Finding]:
    holidays = document.holidays
    if holidays is None:
        return
    known = countries()
    if holidays.country not in known:
        near = get_close_matches(holidays.country.upper(), sorted(known), n=1)
        hint = f"is `{near[0]}` meant?" if near else "two letters of ISO 3166-1; other days closed go under `closed`"
        why = f"no public holidays are known of `{holidays.country[:40]}`"
        yield Finding(("holidays", "country"), "calendar-holidays", why, hint)
    elif holidays.subdivision is not None and holidays.subdivision not in known[holidays.country]:
        parts = ", ".join(known[holidays.country]) or "none"
        why = f"no public holidays are known of `{holidays.subdivision[:40]}` in {holidays.country}"
        yield Finding(("holidays", "subdivision"), "calendar-holidays", why, f"known: {parts[:300]}")


def _week(document: CalendarDocument, findings: list[Finding]) -> tuple[tuple[Hours, ...], ...]:
    week: dict[str, tuple[Hours, ...]] = {}
    said: dict[str, str] = {}
    for key, texts in document.open.items():
        days = _days(key)
        if not days:
            why, hint = f"`{key[:40]}` names no days of the week", f"{', '.join(DAYS)}, or two with a hyphen: mon-fri"
            findings.append(Finding(("open", key), "calendar-hours", why, hint, on_key=True))
        for day in days:
            if day in said:
                why, hint = f"`{day}` is in `{said[day]}` and in `{key}`", "say of each day once when it is open"
                findings.append(Finding(("open", key), "calendar-hours", why, hint, on_key=True))
                break
            said[day] = key
        hours = _hours(texts, ("open", key), findings)
        week |= dict.fromkeys(days, hours)
    return tuple(week.get(day, ()) for day in DAYS)


def _days(key: str) -> tuple[str, ...]:
    first, dash, last = key.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        return ()
    start, count = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7 + 1
    return tuple(DAYS[(start + step) % 7] for step in range(count))


def _hours(texts: tuple[str, ...], path: Path, findings: list[Finding]) -> tuple[Hours, ...]:
    found: list[Hours] = []
    for index, text in enumerate(texts):
        try:
            hours = parse_hours(text)
        except ValueError as error:
            findings.append(Finding((*path, index), "calendar-hours", str(error)))
            continue
        other = next((one for one in found if one.start < hours.end and hours.start < one.end), None)
        if other is not None:
            why = f"`{hours}` and `{other}` overlap"
            findings.append(Finding((*path, index), "calendar-hours", why, "write them as one opening"))
        found.append(hours)
    return tuple(sorted(found))


def _closed(document: CalendarDocument, findings: list[Finding]) -> frozenset[date]:
    days: set[date] = set()
    for index, one in enumerate(document.closed):
        path: Path = ("closed", index)
        if isinstance(one, str):
            day = _date(one, path, findings)
            days |= {day} if day else set()
            continue
        first, last = _date(one.first, (*path, "from"), findings), _date(one.to, (*path, "to"), findings)
        if first is None or last is None:
            continue
        if first > last:
            findings.append(Finding((*path, "to"), "calendar-date", "these days end before they start"))
        elif (last - first).days >= MAX_CLOSED_DAYS:
            hint = "leave days of the week out of `open` to close for good"
            findings.append(Finding(path, "calendar-date", f"over {MAX_CLOSED_DAYS} days are too many", hint))
        else:
            days |= {first + timedelta(days=step) for step in range((last - first).days + 1)}
    return frozenset(days)


def _also_open(document: CalendarDocument, findings: list[Finding]) -> tuple[tuple[date, tuple[Hours, ...]], ...]:
    also: dict[date, tuple[Hours, ...]] = {}
    for key, texts in document.also_open.items():
        path: Path = ("also_open", key)
        day, hours = _date(key, path, findings, on_key=True), _hours(texts, path, findings)
        also |= {day: hours} if day and hours else {}
    return tuple(sorted(also.items()))


def _date(text: str, path: Path, findings: list[Finding], *, on_key: bool = False) -> date | None:
    if is_date(text):
        return date.fromisoformat(text)
    why = f"`{text[:40]}` is not a date: write year, month and day, as in `2026-12-24`"
    findings.append(Finding(path, "calendar-date", why, on_key=on_key))
    return None


def _shape_problems(source: YamlSource, error: ValidationError) -> Iterator[Diagnostic]:
    for problem in error.errors(include_url=False, include_context=True, include_input=False):
        location = problem["loc"]
        path = source.known(location)
        known = _keys(location[:-1])
        if problem["type"] == "extra_forbidden":
            near = get_close_matches(str(location[-1]), known, n=1)
            hint = f"is `{near[0]}` meant?" if near else f"known here: {', '.join(known)}"
            yield source.diagnostic(
                path, "unknown-key", f"there is no key `{location[-1]}` here", hint=hint, on_key=True
            )
        elif problem["type"] == "missing":
            yield source.diagnostic(path, "missing-key", f"`{location[-1]}` is missing here", on_key=True)
        else:
            yield source.diagnostic(path, "wrong-shape", _say(problem))


def _keys(location: tuple[int | str, ...]) -> list[str]:
    part: type[BaseModel] = CalendarDocument
    if "holidays" in location:
        part = HolidaysDocument
    elif "closed" in location:
        part = SpanDocument
    return [given.alias or name for name, given in part.model_fields.items()]


def _say(problem: Any) -> str:
    kinds = {"string_type": "text", "dict_type": "a map", "model_type": "a map", "tuple_type": "a list"}
    kind: JsonValue = kinds.get(problem["type"])
    if kind is not None:
        return f"this must be {kind}"
    if problem["type"] == "string_pattern_mismatch":
        return "this is not a name: letters and digits, parts joined by hyphens"
    return f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"

"""The page of the calendars: every key of a calendar file, from the documents that read it."""

from pathlib import Path

from request_models.calendar_documents import MAX_CLOSED_DAYS, CalendarDocument
from request_models.calendars import ALWAYS
from request_models.public_holidays import countries
from request_models.reference.schema_table import SchemaTables

_TITLES = {"HolidaysDocument": "Holidays", "SpanDocument": "A span of days"}


def calendars_page(examples: Path) -> str:
    """The page, with the calendar among the examples."""
    schema = CalendarDocument.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    tables = SchemaTables(definitions, _TITLES.__getitem__)
    example = (examples / "calendars" / "berlin-desk.yaml").read_text(encoding="utf-8")
    sections = [f"## {title}\n\n{definitions[name]['description']}\n\n{tables.keys(definitions[name])}"
                for name, title in _TITLES.items()]  # fmt: skip
    known = ", ".join(f"`{code}`" for code in sorted(countries()))
    return "\n".join(
        [
            _INTRODUCTION,
            f"```yaml\n{example}```\n",
            f"## A calendar\n\n{schema['description']}\n\n{tables.keys(schema)}",
            *sections,
            f"## Countries\n\nThose whose public holidays are known: {known}.\n",
        ]
    )


_INTRODUCTION = f"""\
# Calendars

A calendar says when there is work. It is one YAML file, `calendars/NAME.yaml` in a content folder; one of the same
name stands in for a shipped one. `due: {{calendar: NAME}}` counts the time that a request may take in its open hours,
and `starts: {{window: NAME}}` lets requests start in them only. A request keeps the calendar it was accepted with.
The calendar `{ALWAYS.name}` is built in: it is open around the clock. `office-hours` and `maintenance` are shipped,
in UTC; write your own.

Openings are written in the time of the zone's wall clocks. One such as `22:00-04:00` ends on the next day and belongs
to the day on which it starts; `24:00` is a day's end. An hour that clocks leave out is not counted, and one that they
show twice is counted once. On a date under `also_open` it is open then as well, even when the date is closed. At most
{MAX_CLOSED_DAYS} days may be closed in one span. Each mistake is told at its line, with the codes `calendar-...` of
[the checks](checks.md).
"""

"""The clock of `due` runs always in this version; calendars are known words."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.loading import ModelSource


def check(source: ModelSource) -> Iterator[Finding]:
    """`not-yet-runnable`."""
    if source.document.due.calendar != "always":
        message = "calendars are part of the language, but not yet runnable in this version"
        yield Finding(("due", "calendar"), "not-yet-runnable", message, "write `always`, or leave it out")

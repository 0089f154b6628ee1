"""The calendars and windows that a model names are there."""

from collections.abc import Iterator
from difflib import get_close_matches

from request_models import calendars
from request_models.findings import Finding
from request_models.json_values import JsonValue
from request_models.resolved import Resolved
from request_models.yaml_source import Path

ALWAYS = calendars.ALWAYS.name
"""The calendar that is always open, built in."""


def check(resolved: Resolved) -> Iterator[Finding]:
    """`unknown-calendar`."""
    known = resolved.surroundings.calendars
    if known is None:
        return
    for path, name in _named(resolved):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            names = ", ".join(f"`{other}`" for other in sorted({ALWAYS, *known}))
            hint = f"is `{near[0]}` meant?" if near else f"there are {names}; a calendar is a file in `calendars/`"
            yield Finding(path, "unknown-calendar", f"there is no calendar `{name}`", hint)


def calendars_named(resolved: Resolved) -> dict[str, JsonValue]:
    """The calendars that a model names, as they are now, to be pinned in its plan."""
    known = resolved.surroundings.calendars or {}
    return {name: known[name] for _, name in _named(resolved) if name in known}


def _named(resolved: Resolved) -> Iterator[tuple[Path, str]]:
    document = resolved.document
    if document.due.calendar != ALWAYS:
        yield ("due", "calendar"), document.due.calendar
    if document.starts is not None and document.starts.window not in {None, ALWAYS}:
        yield ("starts", "window"), str(document.starts.window)

"""A request's progress as people follow it: a live table on a terminal, a line for each change elsewhere."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from flows.commands.exits import UNAVAILABLE, CommandFailed

RESTING = frozenset({"fulfilled", "on_hold", "failed", "cancelled", "rejected"})
"""States in which nothing happens until a person does something."""

_LOOK_EVERY_SECONDS = 0.4
_PATIENCE_SECONDS = 60.0
"""How long an API that stopped answering is waited for."""

_MARKS = {
    "pending": ("·", "dim"),
    "started": ("▶", "cyan"),
    "done": ("✔", "green"),
    "skipped": ("↷", "dim"),
    "failed": ("✘", "red"),
}
_STATE_STYLES = {"fulfilled": "bold green", "on_hold": "bold yellow", "failed": "bold red", "rejected": "bold red"}

Look = Callable[[], dict[str, Any]]


def follow(look: Look, console: Console) -> dict[str, Any]:
    """Show a request until it rests; gives its last shape. `look` reads it."""
    if console.is_terminal:
        return _live(look, console)
    last: dict[str, Any] = {}
    for request in versions(look):
        for line in _news(last, request):
            console.print(Text(line))
        last = request
    return last


def versions(look: Look) -> Iterator[dict[str, Any]]:
    """Each shape of a request that differs from the one before, until it rests.

    An API that stops answering is waited for a minute: the request goes on meanwhile.
    """
    last: dict[str, Any] | None = None
    answered = time.monotonic()
    while True:
        try:
            request = look()
            answered = time.monotonic()
        except CommandFailed as error:
            if error.exit_code != UNAVAILABLE or time.monotonic() - answered > _PATIENCE_SECONDS:
                raise
            time.sleep(_LOOK_EVERY_SECONDS)
            continue
        if request != last:
            yield request
            last = request
        if request["state"] in RESTING:
            return
        time.sleep(_LOOK_EVERY_SECONDS)


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=_STATE_STYLES.get(state, "cyan"))


def steps_table(request: dict[str, Any], *, spinning: bool = False) -> RenderableType:
    """The steps of a request, with where they are and what they said."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for step in request["steps"]:
        mark, style = _MARKS[step["state"]]
        busy = spinning and step["state"] == "started"
        table.add_row(
            Spinner("dots", style="cyan") if busy else Text(mark, style=style),
            Text(step["title"], style="dim" if step["state"] in {"pending", "skipped"} else ""),
            Text(_took(step), style="dim"),
            Text(_remark(step), style=style),
        )
    return table


def _live(look: Look, console: Console) -> dict[str, Any]:
    last: dict[str, Any] = {}
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        for request in versions(look):
            last = request
            live.update(Group(_headline(request), steps_table(request, spinning=True)))
    console.print(Group(_headline(last), steps_table(last)))
    return last


def _headline(request: dict[str, Any]) -> Text:
    line = Text.assemble((request["title"], "bold"), "  ", (request["id"], "dim"), "  ", state_text(request["state"]))
    if request["state"] in {"on_hold", "rejected", "failed"}:
        line.append(f"\n{request['state_reason']}")
    return line


def _news(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """One line for each thing that changed."""
    seen = {step["path"]: step["state"] for step in before.get("steps", [])}
    lines = []
    for step in now["steps"]:
        if step["state"] not in {seen.get(step["path"]), "pending"}:
            remark = _remark(step)
            lines.append(f"{step['state']:<8} {step['title']}{': ' + remark if remark else ''}")
    if now["state"] != before.get("state"):
        reason = f": {now['state_reason']}" if now["state_reason"] else ""
        lines.append(f"request {now['id']} is {now['state']}{reason}")
    return lines


def _took(step: dict[str, Any]) -> str:
    from_, to = step.get("started"), step.get("ended")
    if not from_ or not to or step["state"] == "skipped":
        return ""
    return f"{max(_seconds(to) - _seconds(from_), 0):.1f} s"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _remark(step: dict[str, Any]) -> str:
    attempts = len(step["attempts"])
    again = f"(attempt {attempts}) " if attempts > 1 else ""
    if step["state"] == "failed":
        return f"{again}{step['message']}"
    outcome = step["attempts"][-1]["outcome"] if attempts else None
    said = {"already_so": "was so already", "made": "made", "changed": "changed"}.get(outcome or "", "")
    return f"{again}{said}".strip()

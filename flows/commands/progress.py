"""The progress of requests as people follow it: live tables on a terminal, a line for each change elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
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
    "undone": ("↶", "yellow"),
}
_STATE_STYLES = {"fulfilled": "bold green", "on_hold": "bold yellow", "failed": "bold red", "rejected": "bold red"}

Look = Callable[[], dict[str, Any]]


class Followed:
    """A request that is looked at again and again. `last` is its last shape, empty before the first look."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._answered = time.monotonic()
        self.last: dict[str, Any] = {}

    @property
    def resting(self) -> bool:
        """Whether it is done, or waits for a person."""
        return self.last.get("state") in RESTING

    def refresh(self) -> dict[str, Any] | None:
        """Look again; what it was before if it has changed, else None.

        An API that stops answering is waited for a minute: the request goes on meanwhile. Then raises CommandFailed.
        """
        try:
            now = self._look()
        except CommandFailed as error:
            if error.exit_code != UNAVAILABLE or time.monotonic() - self._answered > _PATIENCE_SECONDS:
                raise
            return None
        self._answered = time.monotonic()
        before, self.last = self.last, now
        return before if now != before else None


def versions(look: Look) -> Iterator[dict[str, Any]]:
    """Each shape of a request that differs from the one before, until it rests."""
    followed = Followed(look)
    while not followed.resting:
        if followed.refresh() is not None:
            yield followed.last
        if not followed.resting:
            time.sleep(_LOOK_EVERY_SECONDS)


def follow(looks: Sequence[Look], console: Console) -> list[dict[str, Any]]:
    """Show requests until all of them rest; gives their last shapes. Each of `looks` reads one."""
    followed = [Followed(look) for look in looks]
    if console.is_terminal:
        _follow_live(followed, console)
    else:
        _follow_in_lines(followed, console)
    return [one.last for one in followed]


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=_STATE_STYLES.get(state, "cyan"))


def _follow_live(followed: Sequence[Followed], console: Console) -> None:
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        for _ in _rounds(followed):
            live.update(Group(*(_picture(one.last, spinning=True) for one in followed if one.last)))
    for one in followed:
        console.print(_picture(one.last))


def _follow_in_lines(followed: Sequence[Followed], console: Console) -> None:
    for changes in _rounds(followed):
        for before, one in changes:
            name = f"{one.last['model']}: " if len(followed) > 1 else ""
            for line in _news(before, one.last):
                console.print(Text(f"{name}{line}"))


def _rounds(followed: Sequence[Followed]) -> Iterator[list[tuple[dict[str, Any], Followed]]]:
    """Look at all again and again until they rest; what changed in each round, with what it was before."""
    while True:
        looked = [(one.refresh(), one) for one in followed if not one.resting]
        yield [(before, one) for before, one in looked if before is not None]
        if all(one.resting for one in followed):
            return
        time.sleep(_LOOK_EVERY_SECONDS)


def _picture(request: dict[str, Any], *, spinning: bool = False) -> RenderableType:
    """A request with its steps, where they are and what they said."""
    line = Text.assemble((request["title"], "bold"), "  ", (request["id"], "dim"), "  ", state_text(request["state"]))
    if request["state"] in {"on_hold", "rejected", "failed", "cancelled"}:
        line.append(f"\n{request['state_reason']}")
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
    return Group(line, table)


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
    started, ended = step.get("started"), step.get("ended")
    if not started or not ended or step["state"] == "skipped":
        return ""
    return f"{(datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds():.1f} s"


def _remark(step: dict[str, Any]) -> str:
    attempts = len(step["attempts"])
    again = f"(attempt {attempts}) " if attempts > 1 else ""
    if step["state"] == "failed":
        return f"{again}{step['message']}"
    if step["state"] == "undone":
        return str(step["message"])
    outcome = step["attempts"][-1]["outcome"] if attempts else None
    said = {"already_so": "was so already", "made": "made", "changed": "changed"}.get(outcome or "", "")
    return f"{again}{said}".strip()

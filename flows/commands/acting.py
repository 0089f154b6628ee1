"""What the commands share by which people act by hand: their options, JSON that is typed in, and their answer."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from flows.commands.exits import USAGE, CommandFailed
from flows.commands.output import console, write_json
from request_models.json_values import JsonValue, NotJsonError, refuse_what_is_not_json

Why = Annotated[str, typer.Option(help="Why; it goes into the audit.")]
Minutes = Annotated[float | None, typer.Option(min=0, help="Minutes of work that it was.")]
Label = Annotated[str | None, typer.Option(help="A word to sort such touches by.")]
Item = Annotated[str, typer.Option(help="Key of the item, for a step in a loop.")]
Stay = Annotated[bool, typer.Option("--stay", help="Leave the request on hold: there is more to do.")]


def remarks(why: str, minutes: float | None, label: str | None) -> dict[str, JsonValue]:
    """What is said of an act, as the API takes it."""
    said: dict[str, JsonValue] = {"why": why}
    if minutes is not None:
        said["minutes"] = minutes
    if label is not None:
        said["label"] = label
    return said


def read_result(given: str) -> JsonValue:
    """A result as JSON: the text itself, `@FILE`, or `-` for standard input. Raises CommandFailed."""
    try:
        text = sys.stdin.read() if given == "-" else Path(given[1:]).read_text() if given.startswith("@") else given
        value = cast(JsonValue, json.loads(text))
        refuse_what_is_not_json(value)
    except OSError as error:
        raise CommandFailed(f"--result {given}: it cannot be read: {error.strerror}.", USAGE) from None
    except (ValueError, NotJsonError) as error:
        raise CommandFailed(f"--result: this is no JSON: {error}", USAGE) from None
    return value


def show_request(request: dict[str, Any], *, as_json: bool) -> None:
    """What became of the request."""
    if as_json:
        write_json(request)
        return
    goes_on = request["state"] != "on_hold"
    what = f"goes on. Follow it: orderly watch {request['id']}" if goes_on else "is on hold still."
    console().print(f"Request {request['id']} {what}", markup=False)

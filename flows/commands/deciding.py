"""What the commands share by which people decide: an approval in words, and the decision upon what was shown."""

from datetime import datetime
from typing import Any

from rich.text import Text

from flows.commands.client import ApiClient
from flows.commands.output import console, write_json
from request_models.json_values import JsonValue


def decide(approval_id: str, verb: str, digest: str | None, reason: str, *, as_json: bool) -> None:
    """Decide what is shown, or what `digest` is of if somebody has seen it elsewhere."""
    with ApiClient.of_this_machine() as client:
        if digest is None:
            seen = client.approval(approval_id)
            digest = str(seen["digest"])
            if not as_json:
                show_approval(seen, as_json=False)
        body: dict[str, JsonValue] = {"digest": digest, "reason": reason}
        answer = client.decide(approval_id, verb, body)
    tell(answer, as_json=as_json)


def tell(approval: dict[str, Any], *, as_json: bool) -> None:
    """What became of an approval."""
    if as_json:
        write_json(approval)
        return
    said = f"`{approval['approval']}` is {approval['state']}. Its request is {approval['request']['state']}."
    console().print(said, markup=False)


def show_approval(approval: dict[str, Any], *, as_json: bool) -> None:
    """Exactly what would be done."""
    if as_json:
        write_json(approval)
        return
    request, screen = approval["request"], console()
    lines = [
        f"{request['title']}  [{approval['approval']}: {approval['state']}]",
        f"  request {request['id']}, of {request['requester']} for {request['user']}",
        *([f"  {approval['message']}"] if approval["message"] else []),
        *(f"  {one['title']}: {one['words']}" for one in approval["inputs"]),
        "  What would be done:",
        *(f"    {step['title']} ({step['action']}){_condition(step)}" for step in approval["steps"]),
        f"  plan {approval['plan_digest']}",
        f"  digest {approval['digest']}",
        f"  asked of {', '.join(seat['who'] for seat in approval['asked_of'])}; due {moment(approval['due']) or '-'}",
        *(f"  {moment(one['decided'])}  {one['approver']}: {one['decision']} {one['reason']}"
          for one in approval["decisions"]),
    ]  # fmt: skip
    if approval["decidable"]:
        lines.append(f"  Decide: orderly approve {approval['id']}, or orderly reject {approval['id']} --reason '...'")
    for line in lines:
        screen.print(Text(line))


def moment(text: str | None) -> str:
    """A moment in local time, to the minute."""
    return "" if text is None else f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"


def _condition(step: dict[str, Any]) -> str:
    when = f", when {step['when']}" if step["when"] else ""
    return when + (f", for each of {step['for_each']}" if step["for_each"] else "")

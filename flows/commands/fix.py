"""`orderly fix`: correct the inputs of a request on hold."""

import json
from typing import Annotated, Any, cast

import typer

from flows.commands.acting import Label, Minutes, Why, remarks, show_request
from flows.commands.client import ApiClient
from flows.commands.exits import REFUSED, USAGE, CommandFailed
from flows.commands.output import AsJson
from request_models.json_values import JsonValue

app = typer.Typer(add_completion=False)


@app.command()
def fix(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    why: Why,
    given: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=VALUE", help="One input; lists, numbers and objects as JSON."),
    ] = None,
    unset: Annotated[list[str] | None, typer.Option(metavar="NAME", help="An input not to be given any more.")] = None,
    minutes: Minutes = None,
    label: Label = None,
    as_json: AsJson = False,
) -> None:
    """Correct inputs of a request on hold, and go on: only the steps that depend on them run again."""
    if not given and not unset:
        raise CommandFailed("Name what is to be another: -i NAME=VALUE, or --unset NAME.", USAGE)
    with ApiClient.of_this_machine() as client:
        properties = _properties(client, request_id)
        inputs = dict(_pair(one, properties) for one in given or [])
        body: dict[str, JsonValue] = {**remarks(why, minutes, label), "inputs": inputs, "unset": list(unset or [])}
        show_request(client.act_on_hold(request_id, "fix", body), as_json=as_json)


def _properties(client: ApiClient, request_id: str) -> dict[str, Any]:
    """The schemas of the model's inputs by name; none if it takes no orders any more."""
    model = client.request(request_id)["model"]
    try:
        return cast(dict[str, Any], client.model(model)["form"]["schema"].get("properties", {}))
    except CommandFailed as error:
        if error.exit_code != REFUSED:
            raise
        return {}


def _pair(pair: str, properties: dict[str, Any]) -> tuple[str, JsonValue]:
    name, equals, text = pair.partition("=")
    if not equals:
        raise CommandFailed(f"-i {pair}: write NAME=VALUE.", USAGE)
    if properties.get(name, {}).get("type", "string") == "string":
        return name, text
    try:
        return name, cast(JsonValue, json.loads(text))
    except ValueError:
        return name, text  # the API refuses it, and says what is expected

"""`orderly submit`: order a model."""

import json
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from flows.commands.client import ApiClient
from flows.commands.exits import USAGE, CommandFailed
from flows.commands.output import AsJson, console, write_json
from flows.commands.watch import watch_request
from request_models.json_values import JsonValue, NotJsonError, refuse_what_is_not_json

app = typer.Typer(add_completion=False)


class _TextDates(SafeConstructor):
    """Leaves an unquoted date the text that it is in JSON."""


_TextDates.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


@app.command()
def submit(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    given: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=VALUE", help="One input; lists, numbers and objects as JSON."),
    ] = None,
    inputs: Annotated[
        str | None, typer.Option(metavar="FILE", help="All inputs as a YAML or JSON object; - reads standard input.")
    ] = None,
    requested_for: Annotated[str | None, typer.Option("--for", help="Id of the person it is for.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Order a model. Secret inputs that are missing are asked for, on a terminal."""
    with ApiClient.of_this_machine() as client:
        schema = client.model(model)["form"]["schema"]
        order: dict[str, JsonValue] = {"model": model, "inputs": _inputs(schema, given or [], inputs)}
        if requested_for:
            order["requested_for"] = requested_for
        accepted = client.submit(order)
        if watch:
            raise typer.Exit(watch_request(client, accepted["id"], as_json=as_json))
    if as_json:
        write_json(accepted)
    else:
        console().print(f"Accepted: request {accepted['id']}\nFollow it: orderly watch {accepted['id']}", markup=False)


def _inputs(schema: Mapping[str, Any], given: list[str], source: str | None) -> dict[str, JsonValue]:
    values = {} if source is None else _read_inputs(source)
    properties: Mapping[str, Any] = schema.get("properties", {})
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise CommandFailed(f"-i {pair}: write NAME=VALUE.", USAGE)
        values[name] = _typed(text, properties.get(name, {}))
    if sys.stdin.isatty():
        for name in schema.get("required", []):
            if name not in values and properties.get(name, {}).get("writeOnly"):
                values[name] = cast(str, typer.prompt(properties[name].get("title", name), hide_input=True))
    return values


def _typed(text: str, declared: Mapping[str, Any]) -> JsonValue:
    """A value as its schema reads it: what is asked for as text stays text, whatever it looks like."""
    if declared.get("type", "string") == "string":
        return text
    try:
        return cast(JsonValue, json.loads(text))
    except ValueError:
        # The API refuses it, and says with its pointer what is expected.
        return text


def _read_inputs(source: str) -> dict[str, JsonValue]:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
        reader = YAML(typ="safe", pure=True)
        reader.Constructor = _TextDates
        value = reader.load(StringIO(text))
        refuse_what_is_not_json(value)
    except OSError as error:
        raise CommandFailed(f"{source} cannot be read: {error.strerror}.", USAGE) from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{source} is not UTF-8 text.", USAGE) from None
    except (YAMLError, NotJsonError) as error:
        raise CommandFailed(f"{source} is no YAML or JSON object: {error}", USAGE) from None
    if not isinstance(value, dict):
        raise CommandFailed(f"{source} holds no object with the inputs by name.", USAGE)
    return cast(dict[str, JsonValue], value)

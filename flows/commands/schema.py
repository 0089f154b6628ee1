"""`orderly schema`: the JSON Schema of model files, for editors."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from connectors.registry import Registry
from flows.commands.exits import USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.output import write_json
from flows.wiring import Application
from request_models.action_schemas import with_actions
from request_models.actions import ActionBroken, ActionSpec
from request_models.editor_schema import editor_schema
from request_models.json_values import JsonValue

app = typer.Typer(add_completion=False)

MAX_ACTIONS = 1_000
"""The most actions one schema describes: editors read all of it whenever they start."""


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; by default standard output.")
    ] = None,
    actions: Annotated[
        list[str] | None,
        typer.Option("--actions", help="Describe the arguments of these actions too: `runbook`, `aws.s3`; repeatable."),
    ] = None,
) -> None:
    """Write the JSON Schema of model files: what an editor completes, explains and checks them from."""
    made = editor_schema() if not actions else _with_actions(actions)
    if output is None:
        write_json(made)
        return
    text = json.dumps(made, ensure_ascii=False, indent=None if actions else 2)
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}.", USAGE) from error


def _with_actions(prefixes: Sequence[str]) -> dict[str, JsonValue]:
    with Application.open(local_settings()) as application:
        registry = application.registry
        names = list(dict.fromkeys(name for prefix in prefixes for name in _names(registry, prefix)))
        if len(names) > MAX_ACTIONS:
            raise CommandFailed(f"These are {len(names)} actions; name {MAX_ACTIONS} at most.", USAGE)
        specs = [spec for name in names if (spec := _spec(registry, name)) is not None]
        return with_actions(editor_schema(), specs, registry.argument_documentation)


def _names(registry: Registry, prefix: str) -> Iterator[str]:
    """The actions that a prefix names: one of them, or all of a system or service."""
    prefix = prefix.rstrip(".*")
    below = registry.names_below(f"{prefix}.")
    if any(name.endswith(".") for name in below):
        raise CommandFailed(f"`{prefix}` has too many actions: name the services, as in {below[0].rstrip('.')}.", USAGE)
    if below:
        yield from below
    elif _spec(registry, prefix) is not None:
        yield prefix
    else:
        near = registry.suggestions(prefix)
        hint = f"Is {near[0]} meant?" if near else f"Systems are {', '.join(registry.connectors)}."
        raise CommandFailed(f"There are no actions `{prefix}`. {hint}", USAGE)


def _spec(registry: Registry, name: str) -> ActionSpec | None:
    try:
        return registry.spec(name)
    except ActionBroken:
        return None  # `orderly check` says why

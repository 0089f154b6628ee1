"""The command `orderly`. A command's module is imported when it is called, so that `--help` and `check` are fast."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from flows.origin import strangers

_COMMANDS = {
    "up": "Run all of it on this machine: Prefect, API, keeper, worker; with --sandbox an estate to act on.",
    "demo": "Show it: start everything, order what the catalogue ships, and prove what was made.",
    "init": "Make a folder for your own models and runbooks, with a first model.",
    "new": "Draft a model from a template, a runbook or an AWS operation.",
    "check": "Check models and say what is wrong, with file and line.",
    "test": "Run the models' own examples, and say which branches none of them goes.",
    "certify": "Kill models at every boundary in the sandbox, and see that nothing is lost or done twice.",
    "show": "Show a model as one of the compiler's stages sees it.",
    "graph": "Draw a model as Mermaid text or SVG.",
    "diff": "Say what changed between two versions of a model, and what it means for requests and orders.",
    "schema": "Write the JSON Schema of model files, for editors.",
    "language-server": "Answer an editor: complete, explain and check models as they are written.",
    "publish": "Publish the models as Prefect deployments.",
    "submit": "Order a model.",
    "watch": "Follow a request, step by step.",
    "requests": "List requests.",
    "retry": "Let a request that is on hold go on from its failed step.",
    "tasks": "List what requests ask of people.",
    "approvals": "List what is asked of you to decide, with exactly what would be done.",
    "approve": "Approve what you were asked to decide.",
    "reject": "Refuse what you were asked to decide, and say why.",
    "delegate": "Have somebody else decide in your place.",
    "complete": "Say that a task, or a step of a request on hold, was done by hand, and what came of it.",
    "skip": "Go on without a step of a request on hold, where its model allows it.",
    "fix": "Correct inputs of a request on hold and go on; only what depends on them runs again.",
    "assign": "Give a hold, or a task, to a team or a person.",
    "locks": "List who holds and who waits for the locks of requests; free those of a request on hold.",
    "cancel": "Cancel a request: what runs is stopped, what was done is taken back.",
    "undo": "Take back what a request did that is on hold or fulfilled.",
    "history": "Write run history in the documented format, or make it of another tool's log.",
    "review": "Look through run history for what would make the models better, with evidence.",
    "improve": "Accept or reject what a review found.",
    "doctor": "Check this installation and say what to do.",
    "migrate": "Bring the records to this version; make the keyring and this machine's API key.",
    "api": "Run the HTTP API alone.",
    "keeper": "Run the keeper alone: dispatch and reconciliation.",
    "worker": "Run the worker of this machine alone.",
}

_MODULES = {"test": "examples"}
"""Commands whose module has another name: pytest and people take `test` for tests of ours."""

_EPILOG = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 something needed is not there, 130 interrupted."


class _Deferred(TyperCommand):
    """A command known by name and summary; its module is imported when it is parsed."""

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Hand over to the real command, with its options."""
        name = str(self.name)
        module = import_module(f"flows.commands.{_MODULES.get(name, name.replace('-', '_'))}")
        return typer.main.get_command(module.app).make_context(info_name, args, parent=parent, **extra)


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        summary = _COMMANDS.get(cmd_name)
        return None if summary is None else _Deferred(cmd_name, help=summary)


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, epilog=_EPILOG
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"orderly {version('orderly')}")
        raise typer.Exit


@app.callback()
def orderly(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fulfil service requests with no human touch."""


def main() -> None:
    """Run the command line, if the modules that would be imported are Orderly's own."""
    if found := strangers():
        typer.echo(f"{'; '.join(found)}. Remove such folders from PYTHONPATH, or rename them.", err=True)
        sys.exit(1)
    _run()


def _run() -> None:
    """Errors that a person can do something about end as a message and an honest exit code."""
    # Only now: importing modules before they are known to be ours is what `main` prevents.
    from flows.commands.exits import CommandFailed  # noqa: PLC0415 - see above
    from flows.commands.failures import EXPECTED, exit_code_of  # noqa: PLC0415 - see above
    from flows.commands.output import complain  # noqa: PLC0415 - see above

    as_json = _wants_json(sys.argv[1:])
    try:
        app()
    except CommandFailed as error:
        sys.exit(complain(str(error), error.exit_code, error.details, as_json=as_json))
    except EXPECTED as error:
        sys.exit(complain(str(error), exit_code_of(error), as_json=as_json))


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are to be JSON too: `--json`, or `--format json` in both its spellings."""
    return bool({"--json", "--format=json"} & set(arguments)) or ("--format", "json") in pairwise(arguments)


if __name__ == "__main__":
    main()

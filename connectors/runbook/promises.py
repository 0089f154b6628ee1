"""What a meta promises, held against the playbook: the outputs it is to give, and where it acts."""

from collections.abc import Mapping
from typing import Any

from connectors.runbook.ansible_yaml import line_of
from connectors.runbook.content import Runbook, actions_of
from connectors.runbook.errors import UnsafeRunbook
from connectors.runbook.reach import Reach, Reached, options_of, reach_of

_HERE = {"localhost", "127.0.0.1"}
_ALWAYS_TAKEN = {"outcome", "before"}


def refuse_broken_promises(runbook: Runbook) -> None:
    """Raise UnsafeRunbook when every run would fail: without its outputs, with wrong ones, or without a host."""
    reach = reach_of(runbook)
    _refuse_wrong_place(runbook, reach)
    if runbook.meta.outputs and reach.complete:
        _refuse_wrong_outputs(runbook, reach)


def _refuse_wrong_place(runbook: Runbook, reach: Reach) -> None:
    here = [play.keywords.get("hosts") in _HERE for play in reach.plays if isinstance(play.keywords.get("hosts"), str)]
    if runbook.meta.hosts and here and all(here):
        raise UnsafeRunbook(
            runbook.playbook,
            "plays on localhost only, but its meta lets it act on the hosts of the step; write `hosts: all` in the "
            "play, or `hosts: false` in the meta",
        )
    named = [play.keywords.get("hosts") for play in reach.plays]
    if not runbook.meta.hosts and named and all(hosts in {"all", "*"} for hosts in named if isinstance(hosts, str)):
        raise UnsafeRunbook(
            runbook.playbook,
            "plays on all hosts, but its meta says `hosts: false`, and then there is none but localhost; write "
            "`hosts: localhost` in the play",
        )


def _refuse_wrong_outputs(runbook: Runbook, reach: Reach) -> None:
    reports = [(task, message) for task in reach.tasks if (message := _message(task)) is not None]
    if not reports:
        raise UnsafeRunbook(
            runbook.playbook,
            f"has no task that gives the outputs of its meta ({', '.join(runbook.meta.outputs)}); end it with "
            "`ansible.builtin.debug: {msg: {outputs: {...}}}`",
        )
    task, message = reports[-1]
    outputs = message.get("outputs") if isinstance(message, Mapping) else None
    if not isinstance(outputs, Mapping) or task.looped_over:
        return  # a template: what it gives is known when it runs
    declared = runbook.meta.outputs
    unknown = [str(name) for name in outputs if name not in declared and name not in _ALWAYS_TAKEN]
    missing = [name for name, option in declared.items() if option.required and name not in outputs]
    line = line_of(task.keywords)
    if missing:
        why = f"the output task does not give {', '.join(missing)}, which the meta requires; add it, or declare less"
        raise UnsafeRunbook(runbook.files[task.path], why, line)
    if unknown:
        why = f"the output task gives {', '.join(unknown)}, which the meta does not declare under `outputs`"
        raise UnsafeRunbook(runbook.files[task.path], why, line)


def _message(task: Reached) -> Any:
    """What a task may report to the engine; None when it reports nothing."""
    for action, value in actions_of(task.keywords):
        if action == "debug":
            message = options_of(value, task.keywords).get("msg")
            if isinstance(message, str) and "{" in message:
                return message
            if isinstance(message, Mapping) and set(message) == {"outputs"}:
                return message
    return None

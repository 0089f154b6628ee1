"""What a playbook gives its roles, held against the roles' own argument specs.

Ansible checks these only when the role runs, and lets a misspelt option pass [findings]; here it is found before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connectors.runbook.ansible_yaml import read_yaml
from connectors.runbook.argument_specs import Option
from connectors.runbook.content import (
    IMPORTED_ROLE,
    TASK_LISTS,
    Runbook,
    actions_of,
    all_tasks,
    listed,
    role_name,
)
from connectors.runbook.errors import UnsafeRunbook


@dataclass(frozen=True)
class _Use:
    """A role as a playbook uses it: its entry point and the variables given there."""

    role: str
    entry: str
    given: Mapping[str, Any]


def refuse_unfit_role_arguments(runbook: Runbook) -> None:
    """Raise UnsafeRunbook when a playbook gives a role what its spec does not know, or leaves out what it needs.

    Only roles with an argument spec for the entry point are looked at; variables of other roles and of the inventory
    are not counted as given, so that a runbook does not depend on them by accident.
    """
    for path, file in runbook.files.items():
        if path.startswith("playbooks/") and not path.endswith(".meta.yml"):
            for play in listed(read_yaml(file, UnsafeRunbook)):
                if isinstance(play, dict):
                    of_play = {**runbook.meta.arguments}
                    for variables in listed(play.get("vars")):
                        of_play.update(variables)
                    for use in _uses(play):
                        _check(runbook, file, use, of_play)


def _uses(play: Mapping[str, Any]) -> Iterator[_Use]:
    for role in listed(play.get("roles")):
        given = {**(role.get("vars") or {}), **role} if isinstance(role, dict) else {}
        yield _Use(str(role_name(role)), "main", given)
    for part in TASK_LISTS:
        for task in all_tasks(play.get(part)):
            for action, value in actions_of(task):
                if action in IMPORTED_ROLE and isinstance(value, dict):
                    entry = str(value.get("tasks_from", "main")).removesuffix(".yml")
                    yield _Use(str(role_name(value)), entry, task.get("vars") or {})


def _check(runbook: Runbook, file: Path, use: _Use, of_play: Mapping[str, Any]) -> None:
    options = _options(runbook, use)
    if options is None:
        return
    given = {**of_play, **use.given}
    missing = [name for name, option in options.items() if option.required and not _among(name, option, given)]
    if missing:
        raise UnsafeRunbook(file, f"does not give the role '{use.role}' what it requires: {', '.join(missing)}")
    prefix = f"{use.role}_"
    known = {spelling for name, option in options.items() for spelling in (name, *option.aliases)}
    unknown = [name for name in use.given if name.startswith(prefix) and name not in known]
    if unknown:
        raise UnsafeRunbook(
            file, f"gives the role '{use.role}' what its argument spec does not know: {', '.join(unknown)}"
        )


def _among(name: str, option: Option, given: Mapping[str, Any]) -> bool:
    return any(spelling in given for spelling in (name, *option.aliases))


def _options(runbook: Runbook, use: _Use) -> dict[str, Option] | None:
    """The options of the entry point; None when the role has no spec of it."""
    for path in _spec_files(use.role):
        file = runbook.files.get(path)
        entry = None if file is None else _entry(read_yaml(file, UnsafeRunbook), use.entry)
        if file is None or entry is None:
            continue
        try:
            return {name: Option.model_validate(option) for name, option in (entry.get("options") or {}).items()}
        except ValidationError as error:
            raise UnsafeRunbook(
                file, f"has an argument spec that cannot be read: {error.errors()[0]['msg']}"
            ) from error
    return None


def _entry(document: Any, name: str) -> Mapping[str, Any] | None:
    specs = document.get("argument_specs") if isinstance(document, dict) else None
    entry = specs.get(name) if isinstance(specs, dict) else None
    return entry if isinstance(entry, dict) else None


def _spec_files(role: str) -> Iterator[str]:
    for name in ("argument_specs", "main"):
        for suffix in ("yml", "yaml"):
            yield f"roles/{role}/meta/{name}.{suffix}"

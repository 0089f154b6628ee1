"""What a playbook gives its roles, held against the roles' own argument specs.

Ansible checks these only when the role runs, and lets a misspelt option pass [findings]; here it is found before. What
stands in the playbook itself is held against the option's type, and so is the type of an argument of the runbook's that
is handed on under its own name. What comes from a template is known, and checked by Ansible, when the role runs.

Stricter than Ansible, beyond what argument_specs.py says: options whose names begin with the role's own and which its
spec does not know, and aliases. Ansible's check of a role knows aliases, but the role's tasks then find nothing under
the option's name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connectors.runbook.ansible_yaml import read_yaml
from connectors.runbook.argument_specs import OPTIONS, Option, value_type
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
from request_models.assignability import mismatches
from request_models.json_values import NotJsonError, refuse_what_is_not_json
from request_models.value_types import check_value


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
                    of_play: dict[str, Any] = {}
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
    given = {**runbook.meta.arguments, **of_play, **use.given}
    for name, option in options.items():
        for alias in option.aliases:
            if alias in use.given:
                raise UnsafeRunbook(
                    file,
                    f"gives the role '{use.role}' '{alias}', another name of '{name}': Ansible does not put it under "
                    f"that name when the role runs. Write '{name}'",
                )
    missing = [name for name, option in options.items() if option.required and name not in given]
    if missing:
        raise UnsafeRunbook(file, f"does not give the role '{use.role}' what it requires: {', '.join(missing)}")
    prefix = f"{use.role}_"
    unknown = [name for name in use.given if name.startswith(prefix) and name not in options]
    if unknown:
        raise UnsafeRunbook(
            file, f"gives the role '{use.role}' what its argument spec does not know: {', '.join(unknown)}"
        )
    for name in options.keys() & given.keys():
        why = _misfit(options[name], given[name])
        if why:
            raise UnsafeRunbook(file, f"gives the role '{use.role}' '{name}', which {why}")


def _misfit(wanted: Option, given: Any) -> str:
    """Why what is given does not fit the option, empty when it does or is known only at run time."""
    if isinstance(given, Option):
        return _misfit_of_argument(wanted, given)
    if given is None:
        return "" if wanted.takes_null else "must not be null there: leave it out"
    if _is_template(given):
        return ""
    try:
        refuse_what_is_not_json(given)
    except NotJsonError as error:
        return f"is no JSON ({error}): write it in quotes"
    return next((_said(wrong.pointer, wrong.message) for wrong in check_value(value_type(wanted), given)), "")


def _misfit_of_argument(wanted: Option, given: Option) -> str:
    if not (given.required or given.default is not None or wanted.takes_null):
        return "is null when a step leaves it out, and must not be there: require it, or give it a default"
    wrong = mismatches(value_type(given), value_type(wanted))
    return f"is an argument of another type: it {_said(wrong[0].pointer, wrong[0].message)}" if wrong else ""


def _said(pointer: str, message: str) -> str:
    return f"at {pointer} {message}" if pointer else message


def _is_template(value: Any) -> bool:
    """Whether any part of it is written as a template."""
    match value:
        case str():
            return "{{" in value or "{%" in value
        case list():
            return any(_is_template(item) for item in value)
        case dict():
            return any(_is_template(part) for pair in value.items() for part in pair)
        case _:
            return False


def _options(runbook: Runbook, use: _Use) -> dict[str, Option] | None:
    """The options of the entry point; None when the role has no spec of it."""
    for path in _spec_files(use.role):
        file = runbook.files.get(path)
        entry = None if file is None else _entry(read_yaml(file, UnsafeRunbook), use.entry)
        if file is None or entry is None:
            continue
        try:
            return OPTIONS.validate_python(entry.get("options") or {})
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

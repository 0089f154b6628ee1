"""Which variables a runbook sets by itself. The vars plugin loses to these [findings], so none may be an argument."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.runbook.ansible_yaml import read_yaml
from connectors.runbook.content import TASK_LISTS, Runbook, actions_of, all_tasks, listed
from connectors.runbook.errors import UnsafeRunbook

_ROLE_KEYS = {"role", "name", "vars", "tags", "when", "become", "become_user", "become_method", "delegate_to"}


def refuse_overwritten_arguments(runbook: Runbook) -> None:
    """Raise UnsafeRunbook at the first argument that the runbook also sets."""
    arguments = set(runbook.meta.arguments)
    for name, file, how in _names_set(runbook):
        if name in arguments:
            raise UnsafeRunbook(
                file,
                f"sets '{name}' by {how}, and '{name}' is an argument of {runbook.name}: what the step was given "
                "would be lost. Use another name in one of the two",
            )


def _names_set(runbook: Runbook) -> Iterator[tuple[str, Path, str]]:
    for path, file in runbook.files.items():
        if file.suffix not in {".yml", ".yaml"}:
            continue
        parts = Path(path).parts
        document = read_yaml(file, UnsafeRunbook)
        if parts[0] == "roles" and len(parts) > 2:  # roles/NAME/PART/...
            yield from _in_role(parts[2], document, file)
        elif parts[0] == "playbooks" and not path.endswith(".meta.yml"):
            yield from _in_playbook_file(document, file)


def _in_role(part: str, document: Any, file: Path) -> Iterator[tuple[str, Path, str]]:
    if part == "vars":
        yield from _keys(document, file, "a role's vars/")
    elif part in {"tasks", "handlers"}:
        yield from _in_tasks(document, file)
    elif part == "meta" and file.stem == "main" and isinstance(document, dict):
        yield from _in_role_entries(document.get("dependencies"), file)


def _in_playbook_file(document: Any, file: Path) -> Iterator[tuple[str, Path, str]]:
    if isinstance(document, dict):  # a file of vars_files
        yield from _keys(document, file, "vars_files")
        return
    for play in (entry for entry in listed(document) if isinstance(entry, dict)):
        for prompt in listed(play.get("vars_prompt")):
            yield from _keys({prompt.get("name"): None}, file, "vars_prompt")
        yield from _in_role_entries(play.get("roles"), file)
        for part in TASK_LISTS:
            yield from _in_tasks(play.get(part), file)
        yield from _in_tasks([play], file)  # its vars:, or the file is one of tasks


def _in_role_entries(roles: Any, file: Path) -> Iterator[tuple[str, Path, str]]:
    for role in (entry for entry in listed(roles) if isinstance(entry, dict)):
        yield from _keys(role.get("vars"), file, "vars: of a role")
        yield from _keys({key: None for key in role if key not in _ROLE_KEYS}, file, "a role's parameters")


def _in_tasks(tasks: Any, file: Path) -> Iterator[tuple[str, Path, str]]:
    for task in all_tasks(tasks):
        yield from _keys(task.get("vars"), file, "vars:")
        if isinstance(task.get("register"), str):
            yield task["register"].partition(".")[0], file, "register"
        control = task.get("loop_control")
        if isinstance(control, dict):
            yield from _keys({control.get("loop_var"): None, control.get("index_var"): None}, file, "loop_control")
        for action, value in actions_of(task):
            yield from _by_action(action, value, file)


def _by_action(action: str, value: Any, file: Path) -> Iterator[tuple[str, Path, str]]:
    if action == "set_fact":
        names: Iterable[str] = value if isinstance(value, dict) else _free_form(value)
        for name in names:
            if "{{" in str(name):
                raise UnsafeRunbook(file, f"set_fact '{name}': what it overwrites is known only when it runs")
            yield str(name), file, "set_fact"
    elif action == "include_vars":
        kept_under = value.get("name") if isinstance(value, dict) else None
        if not isinstance(kept_under, str) or "{{" in kept_under:
            raise UnsafeRunbook(
                file, "include_vars without a fixed `name:` may overwrite an argument; give it one to keep them apart"
            )
        yield kept_under, file, "include_vars"


def _free_form(value: Any) -> list[str]:
    return [pair.partition("=")[0] for pair in str(value).split() if "=" in pair]


def _keys(variables: Any, file: Path, how: str) -> Iterator[tuple[str, Path, str]]:
    if isinstance(variables, Mapping):
        yield from ((str(name), file, how) for name in variables if name is not None)

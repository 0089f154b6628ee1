"""Which variables a runbook sets by itself. The vars plugin loses to these [findings], so none may be an argument."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from connectors.runbook.ansible_yaml import line_of, read_yaml
from connectors.runbook.content import TASK_LISTS, Runbook, actions_of, all_tasks, listed
from connectors.runbook.errors import UnsafeRunbook
from connectors.runbook.reach import ROLE_ENTRY_KEYS, free_form_names, options_of

_READ_SUFFIXES = {".yml", ".yaml", ".json", ""}
_NO_TASKS_IN = {"defaults", "files", "library", "meta", "module_utils", "templates", "tests"}
"""Parts of a role that hold neither tasks nor variables that beat an argument."""

_LOOP_NAMES = ("loop_var", "index_var")


@dataclass(frozen=True)
class _Set:
    """A variable, and where and how it is set."""

    name: str
    line: int
    how: str


def refuse_overwritten_arguments(runbook: Runbook) -> None:
    """Raise UnsafeRunbook at the first argument that the runbook also sets."""
    arguments = set(runbook.meta.arguments)
    for path, file in runbook.files.items():
        for found in _names_set(PurePosixPath(path), file):
            if found.name in arguments:
                raise UnsafeRunbook(
                    file,
                    f"sets '{found.name}' by {found.how}, and '{found.name}' is an argument of {runbook.name}: what "
                    "the step was given would be lost. Use another name in one of the two",
                    found.line,
                )


def _names_set(path: PurePosixPath, file: Path) -> Iterator[_Set]:
    root, *rest = path.parts
    if path.suffix not in _READ_SUFFIXES or root == "plugins" or path.name.endswith(".meta.yml"):
        return
    if root == "roles" and len(rest) > 2:  # roles/NAME/PART/...
        yield from _in_role(rest[1], path, file)
    elif root != "roles" and path.suffix:
        yield from _in_playbook_file(read_yaml(file, UnsafeRunbook), file)


def _in_role(part: str, path: PurePosixPath, file: Path) -> Iterator[_Set]:
    if part == "vars":
        yield from _keys(read_yaml(file, UnsafeRunbook), "a role's vars/")
    elif part == "meta" and path.stem == "main":
        document = read_yaml(file, UnsafeRunbook)
        yield from _in_role_entries(document.get("dependencies") if isinstance(document, dict) else None)
    elif part not in _NO_TASKS_IN and (part in {"tasks", "handlers"} or path.suffix):
        yield from _in_tasks(read_yaml(file, UnsafeRunbook), file)


def _in_playbook_file(document: Any, file: Path) -> Iterator[_Set]:
    if isinstance(document, dict):  # a file of vars_files
        yield from _keys(document, "vars_files")
        return
    for play in (entry for entry in listed(document) if isinstance(entry, dict)):
        for prompt in listed(play.get("vars_prompt")):
            yield _Set(str(prompt.get("name")), line_of(prompt), "vars_prompt")
        yield from _in_role_entries(play.get("roles"))
        for part in TASK_LISTS:
            yield from _in_tasks(play.get(part), file)
        yield from _in_tasks([play], file)  # its vars:, or the file is one of tasks


def _in_role_entries(roles: Any) -> Iterator[_Set]:
    for role in (entry for entry in listed(roles) if isinstance(entry, dict)):
        yield from _keys(role.get("vars"), "vars: of a role")
        yield from (found for found in _keys(role, "a role's parameters") if found.name not in ROLE_ENTRY_KEYS)


def _in_tasks(tasks: Any, file: Path) -> Iterator[_Set]:
    for task in all_tasks(tasks):
        yield from _keys(task.get("vars"), "vars:")
        if isinstance(task.get("register"), str):
            yield _Set(task["register"].partition(".")[0], line_of(task, "register"), "register")
        control = task.get("loop_control")
        if isinstance(control, dict):
            yield from (_Set(str(control.get(key)), line_of(control, key), "loop_control") for key in _LOOP_NAMES)
        for action, value in actions_of(task):
            options = options_of(value, task)
            if action == "set_fact":
                yield from _facts_set(options, line_of(task), file)
            elif action == "include_vars":
                yield from _included(options, line_of(task), file)
            elif isinstance(applied := options.get("apply"), dict):
                yield from _keys(applied.get("vars"), "vars: under apply")


def _facts_set(options: Mapping[str, Any], line: int, file: Path) -> Iterator[_Set]:
    free = options.get("")
    names: Iterable[str] = [*(name for name in options if name), *free_form_names(free)]
    if isinstance(free, str) and "{{" in free and not free_form_names(free):
        names = [free]
    for name in names:
        if "{{" in str(name):
            raise UnsafeRunbook(file, f"set_fact '{name}': what it overwrites is known only when it runs", line)
        yield _Set(str(name), line, "set_fact")


def _included(options: Mapping[str, Any], line: int, file: Path) -> Iterator[_Set]:
    kept_under = options.get("name")
    if not isinstance(kept_under, str) or "{{" in kept_under:
        why = "include_vars without a fixed `name:` may overwrite an argument; give it one to keep them apart"
        raise UnsafeRunbook(file, why, line)
    yield _Set(kept_under, line, "include_vars")


def _keys(variables: Any, how: str) -> Iterator[_Set]:
    for several in listed(variables):  # an old form of `vars:` is a list of maps
        if isinstance(several, Mapping):
            yield from (_Set(str(name), line_of(several, name), how) for name in several)

"""What a playbook reaches: its plays, every task with what it inherits, and every variable that is given a value.

Roles of collections are not followed; where one is used, `complete` is false. A name of a task file that is only known
when it runs stands for every task file of its role.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.runbook.ansible_yaml import line_of, read_yaml
from connectors.runbook.content import (
    BLOCKS,
    IMPORTED_PLAYBOOK,
    IMPORTED_ROLE,
    IMPORTED_TASKS,
    TASK_LISTS,
    Runbook,
    actions_of,
    listed,
    role_name,
)
from connectors.runbook.errors import UnsafeRunbook

ROLE_ENTRY_KEYS = frozenset(
    {"role", "name", "vars", "tags", "when", "become", "become_user", "become_method", "delegate_to", "no_log"}
)
"""Keys of an entry of `roles:` that are no parameters of the role."""

_FREE_FORM_NAME = re.compile(r"(?:^|\s)([^\s=]+)=")
_SUFFIXES = (".yml", ".yaml", ".json", "")


@dataclass(frozen=True)
class Reached:
    """A play, a block or a task. `path` is its file's in the archive; `no_log` counts what is around it too."""

    path: str
    keywords: Mapping[str, Any]
    no_log: bool = False

    def where(self, key: object = None) -> str:
        """The file and line, of one of its keys if it has it there."""
        return f"{self.path}:{line_of(self.keywords, key)}"

    @property
    def loop_variable(self) -> str:
        """What its loop calls the item."""
        control = self.keywords.get("loop_control")
        named = control.get("loop_var") if isinstance(control, Mapping) else None
        return named if isinstance(named, str) else "item"

    @property
    def looped_over(self) -> list[Any]:
        """What its loop goes over; empty when it has none."""
        return [value for key, value in self.keywords.items() if key == "loop" or str(key).startswith("with_")]


@dataclass
class Reach:
    """All that is reached. `given` are the values of each variable, wherever it is given one."""

    plays: list[Reached] = field(default_factory=list)
    tasks: list[Reached] = field(default_factory=list)
    given: dict[str, list[Any]] = field(default_factory=dict)
    complete: bool = True


def reach_of(runbook: Runbook) -> Reach:
    """Follow a playbook. Raises UnsafeRunbook for a file that cannot be read."""
    walker = _Walker(runbook)
    walker.playbook(f"playbooks/{runbook.playbook.name}")
    return walker.reach


def options_of(value: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """What a task gives its module: options by name, and a free form under the empty name."""
    given = dict(value) if isinstance(value, Mapping) else {"": value}
    more = keywords.get("args")
    return {**(more if isinstance(more, Mapping) else {}), **given}


def free_form_names(value: object) -> list[str]:
    """The names in `a=1 b="{{ c }}"`."""
    return _FREE_FORM_NAME.findall(value) if isinstance(value, str) else []


class _Walker:
    def __init__(self, runbook: Runbook) -> None:
        self._runbook = runbook
        self._seen: set[tuple[str, str, bool]] = set()
        self.reach = Reach()

    def playbook(self, path: str) -> None:
        if self._entered("playbook", path):
            return
        for play in self._maps(path):
            self._give(play.get("vars"))
            for key, value in actions_of(play):
                if key in IMPORTED_PLAYBOOK:
                    self.playbook(_beside(path, value))
            reached = Reached(path, play, bool(play.get("no_log")))
            self.reach.plays.append(reached)
            for file in listed(play.get("vars_files")):
                self._give_file(_beside(path, file))
            for role in listed(play.get("roles")):
                self._role_entry(role, reached.no_log)
            for part in TASK_LISTS:
                self._tasks(listed(play.get(part)), path, reached.no_log)

    def _tasks(self, tasks: list[Any], path: str, no_log: bool) -> None:
        for task in (entry for entry in tasks if isinstance(entry, Mapping)):
            reached = Reached(path, task, no_log or bool(task.get("no_log")))
            self.reach.tasks.append(reached)
            self._give(task.get("vars"))
            for part in BLOCKS:
                self._tasks(listed(task.get(part)), path, reached.no_log)
            for action, value in actions_of(task):
                self._follow(action, value, reached)

    def _follow(self, action: str, value: Any, task: Reached) -> None:
        options = options_of(value, task.keywords)
        if action == "set_fact":
            self._give({**options, **dict.fromkeys(free_form_names(options.get("")), options.get(""))})
            return
        if action not in IMPORTED_ROLE | IMPORTED_TASKS:
            return
        applied = options.get("apply")
        applied = applied if isinstance(applied, Mapping) else {}
        self._give(applied.get("vars"))
        for looped in task.looped_over:
            self._give({task.loop_variable: looped})
        # What is included later inherits no keyword but those under `apply`.
        no_log = task.no_log if action.startswith("import") else bool(applied.get("no_log"))
        if action in IMPORTED_ROLE:
            self._role(str(options.get("name", options.get("role", ""))), options.get("tasks_from"), no_log)
        else:
            self._task_files(options.get("file", options.get("", "")), task.path, no_log)

    def _task_files(self, named: object, path: str, no_log: bool) -> None:
        tasks_folder = "/".join([*path.split("/")[:2], "tasks"])
        if "{{" in str(named):
            found = [file for file in self._runbook.files if file.startswith(f"{tasks_folder}/")]
        else:
            near = (_beside(path, named), posixpath.normpath(f"{tasks_folder}/{named}"))
            found = [next((file for file in near if file in self._runbook.files), "")]
        for file in filter(None, found):
            if not self._entered("tasks", file, no_log):
                self._tasks(self._maps(file), file, no_log)

    def _role_entry(self, role: Any, no_log: bool) -> None:
        if isinstance(role, Mapping):
            self._give(role.get("vars"))
            self._give({key: value for key, value in role.items() if key not in ROLE_ENTRY_KEYS})
            no_log = no_log or bool(role.get("no_log"))
        self._role(str(role_name(role)), None, no_log)

    def _role(self, name: str, tasks_from: object, no_log: bool) -> None:
        folder = f"roles/{name}"
        entry = str(tasks_from or "main").removesuffix(".yml").removesuffix(".yaml")
        if name not in self._runbook.roles:
            self.reach.complete = False
        elif not self._entered(f"role {name}", entry, no_log):
            for path in self._files(f"{folder}/meta/main"):
                document = self._read(path)
                for dependency in listed(document.get("dependencies") if isinstance(document, Mapping) else None):
                    self._role_entry(dependency, no_log)
            for path in self._runbook.files:
                if path.startswith((f"{folder}/defaults/", f"{folder}/vars/")):
                    self._give_file(path)
            for path in (*self._files(f"{folder}/tasks/{entry}"), *self._files(f"{folder}/handlers/main")):
                if not self._entered("tasks", path, no_log):
                    self._tasks(self._maps(path), path, no_log)

    def _files(self, path: str) -> list[str]:
        return [path + suffix for suffix in _SUFFIXES if path + suffix in self._runbook.files][:1]

    def _maps(self, path: str) -> list[Any]:
        return [entry for entry in listed(self._read(path)) if isinstance(entry, Mapping)]

    def _read(self, path: str) -> Any:
        return read_yaml(self._runbook.files[path], UnsafeRunbook) if path in self._runbook.files else None

    def _give_file(self, path: str) -> None:
        if path.endswith(_SUFFIXES[:-1]) or "." not in posixpath.basename(path):
            self._give(self._read(path))

    def _give(self, variables: Any) -> None:
        for several in listed(variables):
            for name, value in several.items() if isinstance(several, Mapping) else ():
                self.reach.given.setdefault(str(name), []).append(value)

    def _entered(self, what: str, path: str, no_log: bool = False) -> bool:
        """Whether it was entered before, in the same way."""
        before = (what, path, no_log) in self._seen
        self._seen.add((what, path, no_log))
        return before


def _beside(path: str, named: object) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), str(named)))


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a value, keys apart."""
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from texts_in(item)
        case list() | tuple():
            for item in value:
                yield from texts_in(item)
        case _:
            return

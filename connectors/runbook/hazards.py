"""Where a runbook makes more of an argument than data: in a shell, in what `command` expands, in a query, in a log.

An argument is followed through `vars`, `set_fact`, parameters of roles, defaults and loops; not through what a task
registers, which is an answer of the host, and not into roles of collections.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connectors.runbook.argument_specs import secrets_in
from connectors.runbook.content import Runbook, actions_of
from connectors.runbook.reach import Reach, Reached, options_of, reach_of, texts_in
from connectors.runbook.templates import Flow, Form, pieces, piped
from request_models.actions import Hazard, HazardKind
from request_models.secret_names import names_a_secret

_Carried = Mapping[str, Form]
"""The arguments whose text is in a variable, and how; never AS_IT_IS."""

_FREE_FORM = ""
_SINKS: Mapping[str, tuple[tuple[str, ...], HazardKind]] = {
    "shell": ((_FREE_FORM, "cmd"), HazardKind.COMMAND),
    "raw": ((_FREE_FORM,), HazardKind.COMMAND),
    "script": ((_FREE_FORM, "cmd"), HazardKind.COMMAND),
    "command": ((_FREE_FORM, "cmd"), HazardKind.SPLIT),
    "expect": (("command",), HazardKind.SPLIT),
    "cron": (("job",), HazardKind.COMMAND),
    "ansible.posix.at": (("command",), HazardKind.COMMAND),
    "ansible.windows.win_shell": ((_FREE_FORM, "cmd"), HazardKind.COMMAND),
    "ansible.windows.win_powershell": (("script",), HazardKind.COMMAND),
    "community.mysql.mysql_query": (("query",), HazardKind.COMMAND),
    "community.postgresql.postgresql_query": (("query",), HazardKind.COMMAND),
}
"""The options of modules that are more than data, and what becomes of a text in them."""

_UNQUOTABLE: Mapping[str, str] = {
    "ansible.windows.win_shell": "pass it by `environment:` and read `$env:NAME` there",
    "ansible.windows.win_powershell": "pass it by `parameters:`",
    "community.mysql.mysql_query": "write `%s` in the query, and the value under `positional_args:`",
    "community.postgresql.postgresql_query": "write `%s` in the query, and the value under `positional_args:`",
}
"""Modules for which `quote` does not help, and what does."""

_NOT_LOGGED = frozenset(
    {"set_fact", "assert", "fail", "add_host", "group_by", "include_vars", "meta", "pause", "validate_argument_spec",
     "include_role", "import_role", "include_tasks", "import_tasks", "import_playbook"}
)  # fmt: skip
"""Actions that write nothing down on the host, and whose results the engine masks."""
_STEERING = ("delegate_to", "become_user", "remote_user")
_KEPT_SECRET = {"copy": "content"}


def hazards_of(runbook: Runbook) -> dict[str, tuple[Hazard, ...]]:
    """The hazards of each argument that has any, in the order of files and lines."""
    reach = reach_of(runbook)
    found: dict[str, dict[Hazard, None]] = {}
    for argument, hazard in _Search(runbook, reach).all():
        found.setdefault(argument, {})[hazard] = None
    return {argument: tuple(hazards) for argument, hazards in found.items()}


def arguments_given(runbook: Runbook, reach: Reach) -> dict[str, frozenset[str]]:
    """The arguments whose value, or a part of it, is in each variable."""
    carried = _carried_by(runbook.meta.arguments, reach.given)
    return {name: frozenset(arguments) for name, arguments in carried.items()}


class _Search:
    def __init__(self, runbook: Runbook, reach: Reach) -> None:
        self._runbook = runbook
        self._reach = reach
        self._secret = secrets_in(runbook.meta.arguments)
        self._carried = _carried_by(runbook.meta.arguments, reach.given)

    def all(self) -> Iterator[tuple[str, Hazard]]:
        for play in self._reach.plays:
            yield from self._steered(play, self._carried, ("hosts", *_STEERING))
        for task in self._reach.tasks:
            carried = self._within_loop(task)
            yield from self._steered(task, carried, _STEERING)
            for action, value in actions_of(task.keywords):
                options = options_of(value, task.keywords)
                yield from self._sunk(action, options, task, carried)
                yield from self._piped(action, value, task, carried)
                if not task.no_log and action not in _NOT_LOGGED and not _is_report(action, options):
                    yield from self._logged(action, options, task, carried)
        if self._reach.complete:
            yield from self._unread()

    def _within_loop(self, task: Reached) -> Mapping[str, _Carried]:
        if not task.looped_over:
            return self._carried
        return {**self._carried, task.loop_variable: _arguments_in(task.looped_over, self._carried)}

    def _sunk(
        self, action: str, options: Mapping[str, Any], task: Reached, carried: Mapping[str, _Carried]
    ) -> Iterator[tuple[str, Hazard]]:
        names, kind = _SINKS.get(action, ((), HazardKind.COMMAND))
        expands = action == "command" and options.get("expand_argument_vars", True) not in (False, "false", "no")
        for name in names:
            if name in options:
                yield from _texts_sunk(action, kind, options[name], task.where(_key_of(task, action)), carried)
        for name in (*names, "argv") if expands else ():
            where = task.where(_key_of(task, action))
            for argument in _arguments_in(options.get(name), carried):
                hint = "write `expand_argument_vars: false` beside it" + (
                    "" if name == "argv" else ", and `argv:` with a list instead of one text"
                )
                yield argument, Hazard(HazardKind.EXPANDED, where, hint)

    def _piped(
        self, action: str, value: Any, task: Reached, carried: Mapping[str, _Carried]
    ) -> Iterator[tuple[str, Hazard]]:
        for text in texts_in([value, task.keywords.get("vars")]):
            for argument, form in _resolved(piped(text), carried).items():
                if form is not Form.QUOTED:
                    hint = f"write `{{{{ {argument} | quote }}}}` in the `pipe` lookup"
                    yield argument, Hazard(HazardKind.COMMAND, task.where(_key_of(task, action)), hint)

    def _steered(
        self, reached: Reached, carried: Mapping[str, _Carried], keys: Iterable[str]
    ) -> Iterator[tuple[str, Hazard]]:
        for key in keys:
            for argument in _arguments_in(reached.keywords.get(key), carried):
                hint = f"write `{key}:` out, or let `{argument}` be one of some `choices`"
                yield argument, Hazard(HazardKind.STEERS, reached.where(key), hint)

    def _logged(
        self, action: str, options: Mapping[str, Any], task: Reached, carried: Mapping[str, _Carried]
    ) -> Iterator[tuple[str, Hazard]]:
        for name, value in options.items():
            if names_a_secret(name) or _KEPT_SECRET.get(action) == name or (name == "" and isinstance(value, Mapping)):
                continue
            for argument in self._secret & _arguments_in(value, carried).keys():
                hint = "write `no_log: true` on the task, its block or its role"
                yield argument, Hazard(HazardKind.LOGGED, task.where(_key_of(task, action)), hint)

    def _unread(self) -> Iterator[tuple[str, Hazard]]:
        texts = [
            file.read_text(encoding="utf-8", errors="replace")
            for path, file in self._runbook.files.items()
            if not path.endswith(".meta.yml")
        ]
        for argument, option in self._runbook.meta.arguments.items():
            if not any(spelling in text for text in texts for spelling in (argument, *option.aliases)):
                where = f"playbooks/{self._runbook.playbook.name}:1"
                hint = f"use `{{{{ {argument} }}}}` there, or take it out of playbooks/{self._runbook.name}.meta.yml"
                yield argument, Hazard(HazardKind.UNREAD, where, hint)


def _carried_by(arguments: Iterable[str], given: Mapping[str, list[Any]]) -> dict[str, _Carried]:
    """Which arguments are in each variable: what is given from a variable that has one, has it too."""
    carried: dict[str, _Carried] = {argument: {argument: Form.ALTERED} for argument in arguments}
    changed = True
    while changed:
        changed = False
        for name, values in given.items():
            before = carried.get(name, {})
            merged = _merged(before, _arguments_in(values, carried))
            if merged != before:
                carried[name] = merged
                changed = True
    return carried


def _arguments_in(value: Any, carried: Mapping[str, _Carried]) -> _Carried:
    found: _Carried = {}
    for text in texts_in(value):
        for piece in pieces(text):
            found = _merged(found, _resolved(piece.flow, carried))
    return found


def _resolved(flow: Flow, carried: Mapping[str, _Carried]) -> _Carried:
    found: _Carried = {}
    for name, form in flow.items():
        for argument, inner in carried.get(name, {}).items():
            found = _merged(found, {argument: inner if form is Form.AS_IT_IS else form})
    return found


def _merged(one: _Carried, other: _Carried) -> _Carried:
    return {name: min(flow[name] for flow in (one, other) if name in flow) for name in {**one, **other}}


def _texts_sunk(
    action: str, kind: HazardKind, value: Any, where: str, carried: Mapping[str, _Carried]
) -> Iterator[tuple[str, Hazard]]:
    for text in texts_in(value):
        for piece in pieces(text):
            for variable, form in piece.flow.items():
                for argument, arrives in _resolved({variable: form}, carried).items():
                    hint = _hint(action, variable, arrives, piece.within)
                    if hint:
                        yield argument, Hazard(kind, where, hint)


def _hint(action: str, variable: str, form: Form, within: str) -> str:
    """What to write instead; empty when it is right as it is."""
    if action in _UNQUOTABLE:
        return _UNQUOTABLE[action]
    quoted = f"`{{{{ {variable} | quote }}}}`"
    if form is Form.QUOTED:
        return f"take away the {within} around {quoted}: it brings its own" if within else ""
    around = f", without the {within} around it" if within else ""
    return f"write {quoted}{around}"


def _is_report(action: str, options: Mapping[str, Any]) -> bool:
    """The final task, whose outputs go to the engine alone."""
    message = options.get("msg")
    return action == "debug" and isinstance(message, Mapping) and set(message) == {"outputs"}


def _key_of(task: Reached, action: str) -> str | None:
    return next((key for key in task.keywords if str(key).rpartition(".")[2] == action or key == action), None)

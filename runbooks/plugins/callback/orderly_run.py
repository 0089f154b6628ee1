# Part of Orderly. Copyright the Orderly contributors.
# GNU General Public License v3.0 or later (see runbooks/plugins/LICENSE)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback that ansible-runner's own one builds on: quiet, masking, and the way out for outputs."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

# Plugins cannot import one another by name; this is the file they share.
_FILE = Path(__file__).resolve().parents[1] / "orderly_exchange.py"
_SPEC = t.cast(ModuleSpec, spec_from_file_location("orderly_exchange", _FILE))
orderly_exchange = module_from_spec(_SPEC)
t.cast(Loader, _SPEC.loader).exec_module(orderly_exchange)

DOCUMENTATION = """
    name: orderly_run
    type: stdout
    short_description: Reports a run to Orderly
    version_added: "0.1.0"
    description:
      - Prints nothing; ansible-runner's callback extends this one and sends the events.
      - Takes the secrets of the run out of each event before it is written down.
      - Sends the outputs of the final task (a C(debug) whose C(msg) has the one key C(outputs)) to the engine.
      - Marks what the run starts on hosts, and tells the engine to which hosts it goes, so that it can be ended there.
      - Ends the run before the first task when a name the step asked for is not in the inventory.
    options: {}
"""

MASK = "********"
RUN_VARIABLE = "ORDERLY_RUN"
RAW = ("raw", "ansible.builtin.raw", "ansible.legacy.raw")
REACH = (
    "ansible_connection",
    "ansible_host",
    "ansible_port",
    "ansible_python_interpreter",
    "ansible_ssh_common_args",
    "ansible_ssh_private_key_file",
    "ansible_user",
)
"""How a host is reached; never a password."""

DEBUG = ("debug", "ansible.builtin.debug", "ansible.legacy.debug")


class CallbackModule(CallbackBase):
    """What a run tells the engine besides events."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "orderly_run"

    def __init__(self) -> None:
        super().__init__()
        self._known: set[str] | None = None
        self._delegates: set[str] = set()
        self._told_of_become = False
        if orderly_exchange.is_orderly_run():
            _mask_what_is_written(sys.modules[type(self).__module__], orderly_exchange.ask(want="masks"))

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Ask whether the hosts are what the step meant."""
        if not orderly_exchange.is_orderly_run():
            return
        inventory = play.get_variable_manager()._inventory  # noqa: SLF001 - no other way to the inventory from a callback
        hosts = inventory.get_hosts(play.hosts)
        known = None
        if self._known is None:
            self._known = {*inventory.groups, *inventory.hosts}
            known = sorted(self._known)
        added = {host.name: _reach(host) for host in hosts if host.name not in self._known}
        answer = orderly_exchange.ask(want="to_play", hosts=[host.name for host in hosts], known=known, added=added)
        if not answer["go"]:
            sys.stdout.flush()
            os._exit(4)  # nothing runs yet; an exception would be caught and the play would go on

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """Let what the task starts on a host carry the run's mark, by which it can be found and ended there."""
        if not orderly_exchange.is_orderly_run():
            return
        if task.action not in RAW:  # it takes no environment, and warns each time
            task.environment = [*(task.environment or []), {RUN_VARIABLE: os.environ[RUN_VARIABLE]}]
        if task.become and not self._told_of_become:
            self._told_of_become = True
            orderly_exchange.ask(want="to_become")

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        """Say to which host a task goes that is not its play's."""
        if task.delegate_to is None or not orderly_exchange.is_orderly_run():
            return
        for name in _delegates(task, host) - self._delegates:
            self._delegates.add(name)
            orderly_exchange.ask(want="to_reach", host=name)

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        """As with any other task."""
        self.v2_playbook_on_task_start(task, is_conditional=False)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Pass on the outputs of the final task."""
        if not orderly_exchange.is_orderly_run() or result.task.action not in DEBUG:
            return
        message = result.result.get("msg")
        if isinstance(message, dict) and set(message) == {"outputs"}:
            outputs = json.loads(json.dumps(message["outputs"]))
            orderly_exchange.ask(want="to_report", host=result.host.get_name(), outputs=outputs)


def _reach(host: t.Any) -> dict[str, t.Any]:
    """How a host that the run added to the inventory is reached."""
    return {name: str(value) for name, value in host.get_vars().items() if name in REACH}


def _delegates(task: t.Any, host: t.Any) -> set[str]:
    """The hosts that a task is delegated to, as far as that is known before it starts: in a loop, by each item."""
    if "{{" not in str(task.delegate_to):
        return {str(task.delegate_to)}
    variables = task.get_variable_manager().get_vars(play=task.get_play(), host=host, task=task)
    templar = Templar(loader=task.get_loader(), variables=variables)
    try:
        items = templar.template(task.loop) if task.loop is not None else [None]
        name = task.loop_control.loop_var if task.loop_control else "item"
        found = set()
        for item in items:
            templar.available_variables = {**variables, name: item}
            found.add(str(templar.template(task.delegate_to)))
    except (AnsibleError, TypeError):
        return set()  # it depends on what is not known yet; the task itself says so if it never is
    return found


class MaskedEvents:
    """Stands before ansible-runner's event files."""

    def __init__(self, events: t.Any, secrets: list[str]) -> None:
        self._events = events
        self._secrets = secrets

    def set(self, key: str, value: dict[str, t.Any]) -> None:
        """Write one event, without its secrets."""
        self._events.set(key, self._masked(_without_outputs(value)))

    def _masked(self, value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {self._masked(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, MASK)
        return value


def _mask_what_is_written(runner_callback: t.Any, secrets: list[str]) -> None:
    # ansible-runner's callback extends this class, so this instance's class lives in its module: the one place where
    # an event can be changed before it is a file.
    context = getattr(runner_callback, "event_context", None)
    if context is not None:
        context.cache = MaskedEvents(context.cache, secrets)


def _without_outputs(event: dict[str, t.Any]) -> dict[str, t.Any]:
    """The event without the outputs of the final task: they went to the engine, and may hold a secret just made."""
    data = event.get("event_data", {})
    result = data.get("res")
    message = result.get("msg") if isinstance(result, dict) else None
    if data.get("task_action") in DEBUG and isinstance(message, dict) and set(message) == {"outputs"}:
        return {**event, "event_data": {**data, "res": {"changed": False, "msg": {"outputs": "passed on to Orderly"}}}}
    return event

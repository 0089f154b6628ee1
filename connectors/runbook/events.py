"""What a run's events say: a line for the operator as each comes, and at the end what became of each host."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MASK = "********"
MAX_MESSAGE = 2000

_ON_ENGINE = {
    "add_host", "assert", "debug", "fail", "group_by", "import_role", "include_role", "include_tasks", "include_vars",
    "meta", "pause", "set_fact", "set_stats", "validate_argument_spec",
}  # fmt: skip
"""Actions that never reach the host."""

_SAYS_LITTLE = {
    "",
    "non-zero return code",
    "One or more items failed",
    "MODULE FAILURE",
    "Module result deserialization failed: No start of json char found",
}
"""Messages of Ansible's own after which the host's output says what happened."""

_NEVER_CONNECTED = (
    "Connection refused", "Connection timed out", "Could not resolve hostname", "Host key verification failed",
    "is not running", "Name or service not known", "Network is unreachable", "No route to host", "Operation timed out",
    "Permission denied", "kex_exchange_identification",
)  # fmt: skip
"""What ssh says when it got nowhere. It says other things when a connection broke, perhaps in the middle of a task."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host. `of_arguments`: a role's argument spec refused what it was given."""

    task: str
    message: str
    of_arguments: bool = False


@dataclass
class HostReport:
    """What happened on one host: `started` once a task was sent there, `reached` once one has ended there.

    `changed` counts tasks; `failed` is Ansible's own word at the end, which knows what was rescued. `left_working`: a
    task may still be at work there, though Ansible went on: a job in the background, or a module that was given up.
    """

    started: bool = False
    reached: bool = False
    unreachable: str | None = None
    failure: Failure | None = None
    changed: int = 0
    failed: bool = False
    left_working: bool = False

    @property
    def may_work_on(self) -> bool:
        """Whether something may be at work on a host that was not done, after the run ended of its own."""
        return self.failed and (self.left_working or (self.unreachable is not None and self.may_have_run))

    @property
    def may_have_run(self) -> bool:
        """Whether a task may have acted on a host that is unreachable: it was reached before, or left in the middle."""
        if self.reached or self.unreachable is None:
            return self.reached
        return self.started and not any(sign in self.unreachable for sign in _NEVER_CONNECTED)

    @property
    def good(self) -> bool:
        """Nothing went wrong that was not rescued."""
        return not self.failed


class Events:
    """Takes ansible-runner's events one by one. `log` gets one plain line a task and host, without secrets."""

    def __init__(self, log: Callable[[str], None], masks: list[str]) -> None:
        self._log = log
        self._masks = masks
        self.hosts: dict[str, HostReport] = {}
        self.errors: list[str] = []
        self.tasks_ran = False
        self._output: list[str] = []

    def take(self, event: Mapping[str, Any]) -> bool:
        """Handle one event. False: ansible-runner shall not keep it as a file."""
        kind = event["event"]
        data: Mapping[str, Any] = event.get("event_data") or {}
        if kind == "runner_on_start":
            self._take_start(data)
        elif kind in {"runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped"}:
            self._take_result(kind, data)
        elif kind == "playbook_on_stats":
            self._take_statistics(data)
        elif event.get("stdout"):
            self._take_text(kind, str(event["stdout"]))
        return False

    @property
    def last_words(self) -> str:
        """Why Ansible ended before any task, as it says itself."""
        return "\n".join(self.errors or self._output[-5:])

    def host(self, name: str) -> HostReport:
        """The report of a host, a new one when nothing is known of it."""
        return self.hosts.setdefault(name, HostReport())

    def _take_start(self, data: Mapping[str, Any]) -> None:
        host = self.host(str(data.get("host")))
        host.started = host.started or _acts_on_host(data)

    def _take_result(self, kind: str, data: Mapping[str, Any]) -> None:
        name = str(data.get("host"))
        host = self.host(name)
        result = data.get("res") or {}
        task = self._plain(str(data.get("task") or "unnamed"))
        self.tasks_ran = True
        word = "ok"
        host.left_working = host.left_working or _left_working(result)
        if kind == "runner_on_unreachable":
            host.unreachable = self._message(result)
            host.failed = True
            word = f"unreachable: {host.unreachable}"
        elif kind == "runner_on_failed":
            host.reached = host.reached or _acts_on_host(data)
            message = self._message(result)
            ignored = bool(data.get("ignore_errors"))
            if not ignored:
                host.failure = Failure(task, message, of_arguments="argument_errors" in result)
            word = f"{'failed, ignored' if ignored else 'failed'}: {message}"
        elif kind == "runner_on_skipped":
            word = "skipped"
        else:
            host.reached = host.reached or _acts_on_host(data)
            host.changed += bool(result.get("changed"))
            word = "changed" if result.get("changed") else "ok"
        self._log(f"TASK {task}: {self._plain(name)}: {word}")

    def _take_statistics(self, data: Mapping[str, Any]) -> None:
        for part in ("failures", "dark"):
            for name, count in (data.get(part) or {}).items():
                self.host(name).failed = self.host(name).failed or int(count) > 0
        for name in data.get("processed") or {}:
            self.host(name)

    def _take_text(self, kind: str, text: str) -> None:
        plain = self._plain(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text))
        if not plain.strip():
            return
        if kind == "error":
            self.errors.append(plain)
        else:
            self._output.append(plain)
        if kind in {"error", "warning", "system_warning"}:
            self._log(plain)

    def _message(self, result: Mapping[str, Any]) -> str:
        """The host's own words."""
        if "censored" in result:
            return "hidden, because the task has no_log"
        said = str(result.get("msg") or "").strip()
        more = []
        if said in _SAYS_LITTLE:
            more += [str(result.get(part) or "").strip() for part in ("stderr", "stdout", "module_stderr")]
            more += [self._of_item(item) for item in result.get("results") or [] if item.get("failed")]
        words = [part for part in dict.fromkeys(more) if part] or [said]
        return self._plain("; ".join(words)) or "the host gave no reason"

    def _of_item(self, result: Mapping[str, Any]) -> str:
        """What a host says of one item of a loop; the item is named when it is a plain text."""
        item = result.get("item")
        return f"{item}: {self._message(result)}" if isinstance(item, str) else self._message(result)

    def _plain(self, text: str) -> str:
        """One line, without secrets and control characters, of bounded length."""
        for secret in self._masks:
            text = text.replace(secret, MASK)
        text = _CONTROL.sub(" ", text).strip()
        return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} [...]"


def _left_working(result: Mapping[str, Any]) -> bool:
    """A job with `poll: 0` is started and not finished; a task past its `timeout:` says since when."""
    results = [result, *(item for item in result.get("results") or [] if isinstance(item, Mapping))]
    return any("timedout" in one or ("ansible_job_id" in one and not one.get("finished")) for one in results)


def _acts_on_host(data: Mapping[str, Any]) -> bool:
    return str(data.get("task_action", "")).rpartition(".")[2] not in _ON_ENGINE

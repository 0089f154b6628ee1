"""A runbook as an action: arguments in, one outcome out, errors sorted, hosts that are done kept."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from connectors.runbook.argument_specs import Option, secrets_in, with_defaults
from connectors.runbook.clean_up import end_remote_work
from connectors.runbook.content import pinned_meta
from connectors.runbook.errors import RunbookError
from connectors.runbook.meta import Meta
from connectors.runbook.run import RunOrder, RunReport, limit, run
from connectors.runbook.settings import RunbookSettings
from request_models.actions import ActionCall, ActionFailed, ActionResult, ActionSpec, EffectClass, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.value_types import check_value

SHORTEST_MASK = 4
"""Shorter secrets are not taken out of texts: that would black out half of each line and so tell what they are."""


@dataclass(frozen=True)
class HostDone:
    """A host that reached the final task, in this attempt or an earlier one."""

    outputs: Mapping[str, JsonValue]
    changed: int

    @property
    def outcome(self) -> Outcome:
        """As the playbook says in its output `outcome`, else made when anything changed."""
        said = self.outputs.get("outcome")
        if isinstance(said, str) and said in set(Outcome) - {Outcome.READ}:
            return Outcome(said)
        return Outcome.MADE if self.changed else Outcome.ALREADY_SO


@dataclass(frozen=True)
class RunbookAction:
    """Runs the content it is called with, which may be older than the one `spec` was made from."""

    spec: ActionSpec
    content: bytes
    settings: RunbookSettings
    runs: Path

    def run(self, call: ActionCall) -> ActionResult:
        """Run the playbook on the hosts that are not done yet. Raises ActionFailed."""
        content = self.content if call.content is None else call.content
        name = self.spec.name.partition(".")[2]
        meta = _pinned_meta(name, content)
        _check_arguments(meta, call)
        hosts = _check_hosts(meta, call, self.settings)
        arguments = with_defaults(meta.arguments, call.arguments)
        secret = secrets_in(meta.arguments)
        masks = _masks(meta.arguments, arguments)
        done = {} if meta.single else _done_before(call.progress)
        report = run(
            RunOrder(
                playbook=name,
                content=content,
                plain={key: value for key, value in arguments.items() if key not in secret},
                secret={key: value for key, value in arguments.items() if key in secret},
                masks=masks,
                hosts=hosts,
                done=tuple(sorted(done)),
                timeout_seconds=call.timeout_seconds,
                log=call.log,
                cancelled=call.cancelled,
            ),
            self.settings,
            self.runs,
        )
        unsure = end_remote_work(report, self.settings, self.runs, call.log) if hosts and report.cut_short else ()
        return _Verdict(meta, report, done, hosts, unsure).result()


class _Verdict:
    """What a report means to the step."""

    def __init__(
        self,
        meta: Meta,
        report: RunReport,
        done_before: Mapping[str, HostDone],
        asked: tuple[str, ...],
        unsure: tuple[str, ...],
    ) -> None:
        self._meta = meta
        self._report = report
        self._asked = asked
        self._unsure = unsure
        self._done = {**done_before, **self._done_now()}

    def result(self) -> ActionResult:
        """The step's answer. Raises ActionFailed with what is done as progress."""
        self._raise_stopped()
        self._raise_not_started()
        self._raise_failed()
        self._raise_unreachable()
        self._raise_ended_early()
        self._raise_without_output()
        return self._answer()

    def _done_now(self) -> dict[str, HostDone]:
        hosts = {name: host for name, host in self._report.hosts.items() if host.good}
        outputs = self._report.outputs
        if not self._meta.outputs and self._report.exit_status is not None and self._report.stopped is None:
            outputs = {name: {} for name in hosts}  # it gives nothing: whoever came to the end is done
        return {
            name: HostDone(given if isinstance(given, dict) else {"": given}, hosts[name].changed)
            for name, given in outputs.items()
            if name in hosts
        }

    def _raise_stopped(self) -> None:
        stopped = self._report.stopped
        if stopped is None:
            return
        harmless = self._meta.effect is EffectClass.READ_ONLY or not self._anything_started()
        what = "did not end in time and was stopped" if stopped == "timeout" else "was cancelled and stopped"
        known = "it had changed nothing" if harmless else "whether it changed anything cannot be told"
        still = f" It may still run on {', '.join(self._unsure)}, where it could not be ended." if self._unsure else ""
        kind = ErrorClass.TRANSIENT if harmless and not self._unsure else ErrorClass.UNKNOWN
        raise self._failed(f"The runbook {what}; {known}.{still}", kind, stopped)

    def _anything_started(self) -> bool:
        return any(host.started for host in self._report.hosts.values())

    def _raise_not_started(self) -> None:
        if self._report.refusal is not None:
            raise self._failed(
                f"Nothing was run: {self._report.refusal}. Correct `hosts:` or the inventory.",
                ErrorClass.REJECTED,
                "no_such_host",
            )
        if self._report.exit_status == 0 or self._report.hosts or self._report.tasks_ran:
            return
        if "no hosts to target" in self._report.last_words:
            if self._done:
                return  # the hosts that were left are gone from the inventory; the others are done
            raise self._failed(
                f"Nothing was run: the inventory has no host named {' or '.join(self._asked)}, nor one in a group of "
                "that name. Correct `hosts:` or the inventory.",
                ErrorClass.REJECTED,
                "no_such_host",
            )
        raise self._failed(
            f"Ansible could not run the runbook: {self._report.last_words or 'it gave no reason'}",
            ErrorClass.PERMANENT,
            "not_started",
        )

    def _raise_failed(self) -> None:
        failed = {name: host.failure for name, host in self._report.hosts.items() if host.failed and host.failure}
        if not failed:
            return
        lines = [f"task '{failure.task}' failed on {name}: {failure.message}" for name, failure in failed.items()]
        of_arguments = all(failure.of_arguments for failure in failed.values())
        kind, code = (ErrorClass.REJECTED, "arguments") if of_arguments else (ErrorClass.PERMANENT, "failed")
        raise self._failed("; ".join([*lines, *self._unreachable_lines()]), kind, code)

    def _raise_unreachable(self) -> None:
        if not (lines := self._unreachable_lines()):
            return
        touched = [name for name, host in self._report.hosts.items() if host.unreachable is not None and host.reached]
        harmless = not touched or self._meta.effect is EffectClass.READ_ONLY
        raise self._failed("; ".join(lines), ErrorClass.TRANSIENT if harmless else ErrorClass.UNKNOWN, "unreachable")

    def _unreachable_lines(self) -> list[str]:
        return [
            f"host {name} is unreachable: {host.unreachable}"
            for name, host in self._report.hosts.items()
            if host.unreachable is not None
        ]

    def _raise_ended_early(self) -> None:
        status = self._report.exit_status
        if status == 0 or not (self._report.hosts or self._report.tasks_ran):
            return
        how = "was killed" if status is None else f"ended with status {status}"
        raise self._failed(
            f"Ansible {how} before it was through: {self._report.last_words or 'it gave no reason'}",
            ErrorClass.UNKNOWN,
            "ended_early",
        )

    def _raise_without_output(self) -> None:
        silent = sorted(set(self._report.hosts) - set(self._done))
        if self._meta.single:
            if not self._done and self._meta.outputs:
                raise self._failed("The runbook ended without its output task.", ErrorClass.PERMANENT, "no_output")
        elif silent and self._meta.outputs:
            raise self._failed(
                f"The runbook ended without its output task on {', '.join(silent)}.", ErrorClass.PERMANENT, "no_output"
            )
        self._raise_wrong_output()

    def _raise_wrong_output(self) -> None:
        for name, host in self._done.items():
            for mismatch in check_value(self._meta.output_type, self._declared(host)):
                raise self._failed(
                    f"The runbook's output on {name} is not what its meta says: {mismatch.pointer}: {mismatch.message}",
                    ErrorClass.PERMANENT,
                    "wrong_output",
                )

    def _answer(self) -> ActionResult:
        if self._meta.single:
            last = next(reversed(self._done.values()), HostDone({}, 0))
            changed = sum(host.changed for host in self._report.hosts.values())
            whole = HostDone(last.outputs, changed)
            return ActionResult(self._outcome([whole]), self._declared(last), before=last.outputs.get("before"))
        hosts: dict[str, JsonValue] = {
            name: {**self._declared(host), "outcome": host.outcome.value} for name, host in sorted(self._done.items())
        }
        before: dict[str, JsonValue] = {
            name: host.outputs["before"]
            for name, host in sorted(self._done.items())
            if host.outcome is Outcome.CHANGED and host.outputs.get("before") is not None
        }
        return ActionResult(self._outcome(list(self._done.values())), {"hosts": hosts}, before=before or None)

    def _outcome(self, hosts: list[HostDone]) -> Outcome:
        if self._meta.effect is EffectClass.READ_ONLY:
            return Outcome.READ
        outcomes = {host.outcome for host in hosts}
        return next((which for which in (Outcome.MADE, Outcome.CHANGED) if which in outcomes), Outcome.ALREADY_SO)

    def _declared(self, host: HostDone) -> dict[str, JsonValue]:
        """The outputs without `outcome` and `before`, which have places of their own, unless the meta declares them."""
        return {
            key: value
            for key, value in host.outputs.items()
            if key in self._meta.outputs or key not in {"outcome", "before"}
        }

    def _failed(self, message: str, kind: ErrorClass, code: str) -> ActionFailed:
        return ActionFailed(message, error_class=kind, code=code, progress=self._progress())

    def _progress(self) -> JsonValue:
        if self._meta.single or not self._done:
            return None
        return {
            "hosts": {
                name: {"outputs": dict(host.outputs), "changed": host.changed}
                for name, host in sorted(self._done.items())
            }
        }


def _pinned_meta(name: str, content: bytes) -> Meta:
    try:
        return pinned_meta(name, content)
    except RunbookError as error:
        digest = hashlib.sha256(content).hexdigest()
        raise ActionFailed(
            f"The content of runbook {name} (digest {digest}) cannot be used: {error}",
            error_class=ErrorClass.PERMANENT,
            code="content",
        ) from error


def _check_arguments(meta: Meta, call: ActionCall) -> None:
    mismatches = check_value(meta.arguments_type, dict(call.arguments))
    if mismatches:
        said = "; ".join(f"{mismatch.pointer or '/'}: {mismatch.message}" for mismatch in mismatches)
        raise ActionFailed(f"The arguments do not fit: {said}", error_class=ErrorClass.REJECTED, code="arguments")


def _check_hosts(meta: Meta, call: ActionCall, settings: RunbookSettings) -> tuple[str, ...]:
    problem = _hosts_problem(meta, call.hosts, settings)
    if problem is not None:
        raise ActionFailed(f"Nothing was run: {problem}.", error_class=ErrorClass.REJECTED, code="no_such_host")
    return call.hosts


def _hosts_problem(meta: Meta, hosts: tuple[str, ...], settings: RunbookSettings) -> str | None:
    if not meta.hosts:
        return "this runbook acts from here and takes no `hosts:`" if hosts else None
    if not settings.inventory:
        return "there is no inventory; name one under connectors.runbook.inventory in the settings"
    try:
        limit(hosts, ())
    except ValueError as error:
        return str(error)
    return None


def _done_before(progress: JsonValue) -> dict[str, HostDone]:
    if not isinstance(progress, dict):
        return {}
    hosts = cast(Mapping[str, Mapping[str, Any]], progress.get("hosts", {}))
    return {name: HostDone(host["outputs"], int(host["changed"])) for name, host in hosts.items()}


def _masks(options: Mapping[str, Option], arguments: Mapping[str, JsonValue]) -> list[str]:
    """The secret texts among the arguments, the longest first, so that no part of one is left over."""
    found: set[str] = set()
    for name, option in options.items():
        found |= _secret_texts(option, arguments.get(name))
    lines = {line for text in found for line in text.splitlines() if len(line) >= 2 * SHORTEST_MASK}
    return sorted((text for text in found | lines if len(text) >= SHORTEST_MASK), key=len, reverse=True)


def _secret_texts(option: Option, value: JsonValue) -> set[str]:
    if option.no_log:
        return _texts(value)
    if isinstance(value, list):
        return set().union(*(_secret_texts(option, item) for item in value))
    if isinstance(value, dict) and option.options:
        return set().union(*(_secret_texts(inner, value.get(name)) for name, inner in option.options.items()))
    return set()


def _texts(value: JsonValue) -> set[str]:
    match value:
        case dict():
            return set().union(*(_texts(item) for item in value.values()))
        case list():
            return set().union(*(_texts(item) for item in value))
        case str():
            return {value}
        case int() | float() if not isinstance(value, bool):
            return {str(value)}
        case _:
            return set()

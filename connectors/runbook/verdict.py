"""What a run's report means to the step: one outcome, or one failure, with the hosts that are done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from connectors.run_supervisor import OF_ITS_OWN
from connectors.runbook.meta import Meta
from connectors.runbook.run import RunReport
from request_models.actions import ActionFailed, ActionResult, EffectClass, ErrorClass, Outcome
from request_models.json_values import JsonValue
from request_models.value_types import check_value


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


class Verdict:
    """What a report means to the step."""

    def __init__(
        self,
        meta: Meta,
        report: RunReport,
        done_before: Mapping[str, HostDone],
        asked: tuple[str, ...],
        foretold: Mapping[str, HostDone] | None = None,
    ) -> None:
        """`foretold` is what the first run was to do on each host, when this one repeated it."""
        self._meta = meta
        self._report = report
        self._asked = asked
        self._done = {
            **done_before,
            **{name: _told(host, (foretold or {}).get(name)) for name, host in self._done_now().items()},
        }

    def result(self) -> ActionResult:
        """The step's answer. Raises ActionFailed with what is done as progress."""
        self.refuse_unless_ended()
        self._raise_without_output()
        return self._answer()

    def refuse_unless_ended(self) -> None:
        """Raise ActionFailed unless the run came to its end on every host, whatever it gave there."""
        self._raise_left_working()
        self._raise_stopped()
        self._raise_not_started()
        self._raise_failed()
        self._raise_unreachable()
        self._raise_ended_early()

    def adopted(self) -> ActionResult:
        """The answer of a run that is over, from what a probe reported. Raises ActionFailed when that is not whole."""
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

    def _raise_left_working(self) -> None:
        if left := self._report.left_on:
            raise self._failed(
                f"The runbook {self._how_it_ended()}, and may still be at work{said_left_on(left)}. It is ended there "
                "as soon as that can be done; until then nobody can tell what it does.",
                ErrorClass.UNKNOWN,
                "still_running",
            )

    def _how_it_ended(self) -> str:
        match self._report.stopped:
            case "timeout":
                return "did not end in time and was stopped"
            case "cancelled":
                return "was cancelled and stopped"
            case None:
                return "was cut short" if self._report.exit_status not in OF_ITS_OWN else "failed"

    def _raise_stopped(self) -> None:
        stopped = self._report.stopped
        if stopped is None:
            return
        harmless = self._meta.effect is EffectClass.READ_ONLY or not self._anything_started()
        known = "it had changed nothing" if harmless else "whether it changed anything cannot be told"
        kind = ErrorClass.TRANSIENT if harmless else ErrorClass.UNKNOWN
        raise self._failed(f"The runbook {self._how_it_ended()}; {known}.", kind, stopped)

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
        raise self._failed(
            "; ".join([*lines, *self._unreachable_lines()]), kind, code, partly=self._changed_something()
        )

    def _raise_unreachable(self) -> None:
        if not (lines := self._unreachable_lines()):
            return
        touched = [
            name for name, host in self._report.hosts.items() if host.unreachable is not None and host.may_have_run
        ]
        harmless = not touched or self._meta.effect is EffectClass.READ_ONLY
        kind = ErrorClass.TRANSIENT if harmless else ErrorClass.UNKNOWN
        raise self._failed("; ".join(lines), kind, "unreachable", partly=self._changed_something())

    def _changed_something(self) -> bool:
        """Whether a host that is not done was changed, or may have been: it is not proved that nothing happened."""
        if self._meta.effect is EffectClass.READ_ONLY:
            return False
        left = [host for name, host in self._report.hosts.items() if name not in self._done]
        return any(host.changed or (host.unreachable is not None and host.may_have_run) for host in left)

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
            changed = max(last.changed, sum(host.changed for host in self._report.hosts.values()))
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

    def _failed(self, message: str, kind: ErrorClass, code: str, *, partly: bool = False) -> ActionFailed:
        return ActionFailed(message, error_class=kind, code=code, progress=self._progress(), partly=partly)

    def _progress(self) -> JsonValue:
        if self._meta.single or not self._done:
            return None
        return {
            "hosts": {
                name: {"outputs": dict(host.outputs), "changed": host.changed}
                for name, host in sorted(self._done.items())
            }
        }


def said_left_on(left: Mapping[str, str]) -> str:
    """Where something may be left, with the reasons; an empty name is no host's."""
    return "".join(f" on {name}" if name else "" for name in sorted(left)) + (
        f" ({'; '.join(dict.fromkeys(left.values()))})"
    )


def _told(now: HostDone, foretold: HostDone | None) -> HostDone:
    """A host as its first run left it, with what the repetition gave: that found the work done."""
    if foretold is None:
        return now
    outputs = {key: value for key, value in now.outputs.items() if key not in _OF_THE_OUTCOME}
    return HostDone({**outputs, **foretold.outputs}, max(now.changed, foretold.changed))


_OF_THE_OUTCOME = frozenset({"outcome", "before"})


def done_before(progress: JsonValue) -> dict[str, HostDone]:
    """The hosts that earlier attempts left as done in their progress."""
    if not isinstance(progress, dict):
        return {}
    hosts = cast(Mapping[str, Mapping[str, Any]], progress.get("hosts", {}))
    return {name: HostDone(host["outputs"], int(host["changed"])) for name, host in hosts.items()}

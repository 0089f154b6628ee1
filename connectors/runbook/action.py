"""A runbook as an action: arguments in, one outcome out, errors sorted, hosts that are done kept."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.run_folders import About
from connectors.runbook.argument_specs import Option, secrets_in, with_defaults
from connectors.runbook.content import pinned_meta
from connectors.runbook.errors import RunbookError
from connectors.runbook.meta import Meta
from connectors.runbook.probing import foretold, found, predicted
from connectors.runbook.run import RunOrder, RunReport, end_earlier_runs, limit, run
from connectors.runbook.settings import RunbookSettings
from connectors.runbook.verdict import Verdict, done_before, said_left_on
from request_models.actions import ActionCall, ActionFailed, ActionResult, ActionSpec, ErrorClass, Finding
from request_models.json_values import JsonValue
from request_models.value_types import check_value

SHORTEST_MASK = 4
"""Shorter secrets are not taken out of texts: that would black out half of each line and so tell what they are."""


@dataclass(frozen=True)
class RunbookAction:
    """Runs the content it is called with, which may be older than the one `spec` was made from."""

    spec: ActionSpec
    content: bytes
    settings: RunbookSettings
    runs: Path

    def run(self, call: ActionCall) -> ActionResult:
        """Run the playbook on the hosts that are not done yet. Raises ActionFailed."""
        meta = self.meta(call)
        done = {} if meta.single else done_before(call.progress)
        self._end_earlier(call)
        report = self.play(call, self.playbook, meta, done=tuple(sorted(done)))
        return Verdict(meta, report, done, call.hosts, foretold=foretold(call)).result()

    def read_before(self, call: ActionCall) -> JsonValue:
        """What a run would change, by check mode; only where the meta says `probe: check_mode`. Raises ActionFailed."""
        return predicted(self, call)

    def probe(self, call: ActionCall) -> Finding:
        """Whether a run that may have begun did its work: by the meta's probe. Raises ActionFailed."""
        self._end_earlier(call)
        return found(self, call)

    def _end_earlier(self, call: ActionCall) -> None:
        """End what an earlier run of the same call may have left: two must never work at once. Raises ActionFailed."""
        if not call.resent:
            return
        left = end_earlier_runs(_about(call), call.hosts, self.settings, self.runs)
        if left:
            raise ActionFailed(
                f"An earlier run of this may still be at work{said_left_on(left)}. It has to be ended before it is run "
                "again. See to it that the hosts can be reached, then retry.",
                error_class=ErrorClass.UNKNOWN,
                code="still_running",
                progress=call.progress,
            )

    @property
    def playbook(self) -> str:
        """The playbook's name."""
        return self.spec.name.partition(".")[2]

    def meta(self, call: ActionCall, playbook: str | None = None) -> Meta:
        """The meta of the playbook, or of another in its content, as pinned. Raises ActionFailed."""
        return _pinned_meta(playbook or self.playbook, self._content(call))

    def play(
        self, call: ActionCall, playbook: str, meta: Meta, *, done: tuple[str, ...] = (), check: bool = False
    ) -> RunReport:
        """Run a playbook of the content with what it takes of the call's arguments. Raises ActionFailed."""
        whole = self.meta(call)
        _check_arguments(whole, call)
        hosts = _check_hosts(meta, call, self.settings)
        arguments = {
            name: value
            for name, value in with_defaults(whole.arguments, call.arguments).items()
            if name in meta.arguments
        }
        secret = secrets_in(whole.arguments)
        return run(
            RunOrder(
                about=_about(call),
                playbook=playbook,
                content=self._content(call),
                plain={key: value for key, value in arguments.items() if key not in secret},
                secret={key: value for key, value in arguments.items() if key in secret},
                masks=_masks(whole.arguments, arguments),
                hosts=hosts,
                done=done,
                timeout_seconds=call.timeout_seconds,
                log=call.log,
                cancelled=call.cancelled,
                check=check,
            ),
            self.settings,
            self.runs,
        )

    def _content(self, call: ActionCall) -> bytes:
        return self.content if call.content is None else call.content


def _about(call: ActionCall) -> About:
    return About(call.request_id, call.step_path, str(call.token))


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

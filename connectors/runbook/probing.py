"""Whether a run that may have begun did its work: told by another playbook, or by an honest check mode.

With `probe: PLAYBOOK` that playbook says for each host whether what it finds is ours, by a mark that the runbook leaves
there. With `probe: check_mode` what a run would change is recorded before the call: where it would change nothing any
more, the call has had its effect.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from connectors.runbook.meta import CHECK_MODE, PRESENCE, Meta
from connectors.runbook.run import RunReport
from connectors.runbook.verdict import HostDone, Verdict
from request_models.actions import ActionCall, ActionFailed, ErrorClass, Finding, Presence
from request_models.json_values import JsonValue

if TYPE_CHECKING:  # the action asks this module, which asks the action to play
    from connectors.runbook.action import RunbookAction

Hosts = Mapping[str, Mapping[str, Any]]


def predicted(action: "RunbookAction", call: ActionCall) -> JsonValue:
    """What a run would change on each host, and what it says of them; None without check mode as a probe.

    Raises ActionFailed.
    """
    meta = action.meta(call)
    if meta.probe != CHECK_MODE:
        return None
    report = action.play(call, action.playbook, meta, check=True)
    Verdict(meta, report, {}, call.hosts).refuse_unless_ended()
    return {"hosts": cast(JsonValue, _hosts_of(report))}


def found(action: "RunbookAction", call: ActionCall) -> Finding:
    """What the probe of the meta finds. Raises ActionFailed when it cannot look."""
    meta = action.meta(call)
    if meta.probe is None:
        return Finding(Presence.CANNOT_TELL, "The runbook has no probe.")
    if meta.probe == CHECK_MODE:
        return _by_check_mode(action, call, meta)
    return _by_playbook(action, call, meta, meta.probe)


def foretold(call: ActionCall) -> dict[str, HostDone]:
    """What the first run was to do on each host, for one that repeats it; empty where that is not on record."""
    before = _recorded(call.pre_read) if call.resent else None
    return {name: _done({}, host) for name, host in (before or {}).items()}


def _by_playbook(action: "RunbookAction", call: ActionCall, meta: Meta, playbook: str) -> Finding:
    probe = action.meta(call, playbook)
    report = action.play(call, playbook, probe)
    Verdict(probe, report, {}, call.hosts).result()
    said = {name: _presence(outputs) for name, outputs in report.outputs.items()}
    seen = "; ".join(f"{name}: {presence.value}" for name, presence in sorted(said.items())) or "no host answered"
    presences = set(said.values())
    if presences == {Presence.OURS}:
        done = {name: HostDone(_outputs(outputs), 1) for name, outputs in report.outputs.items()}
        return _adopted(meta, report, done, call, seen)
    if presences == {Presence.ABSENT}:
        return Finding(Presence.ABSENT, seen)
    return Finding(Presence.FOREIGN if Presence.FOREIGN in presences else Presence.CANNOT_TELL, seen)


def _by_check_mode(action: "RunbookAction", call: ActionCall, meta: Meta) -> Finding:
    before = _recorded(call.pre_read)
    if before is None:
        return Finding(Presence.CANNOT_TELL, "It is not on record what a run would have changed.")
    report = action.play(call, action.playbook, meta, check=True)
    Verdict(meta, report, {}, call.hosts).refuse_unless_ended()
    now = _hosts_of(report)
    seen = "; ".join(
        f"{name}: {before.get(name, {}).get('changed', 0)} tasks were to change it, {host['changed']} are now"
        for name, host in now.items()
    )
    if all(host["changed"] == 0 for host in now.values()) and now.keys() == before.keys():
        done = {name: _done(host["outputs"], before[name]) for name, host in now.items()}
        return _adopted(meta, report, done, call, seen)
    untouched = {name: host["changed"] for name, host in before.items()}
    same = {name: host["changed"] for name, host in now.items()} == untouched
    return Finding(Presence.ABSENT if same else Presence.CANNOT_TELL, seen)


def _adopted(meta: Meta, report: RunReport, done: Mapping[str, HostDone], call: ActionCall, seen: str) -> Finding:
    probed = replace(report, hosts={}, outputs={})  # what the probe itself did is not what the run did
    try:
        return Finding(Presence.OURS, seen, Verdict(meta, probed, done, call.hosts).adopted())
    except ActionFailed as error:
        if error.error_class is not ErrorClass.PERMANENT:
            raise
        return Finding(Presence.CANNOT_TELL, f"{seen}. The work is done, but its output is not known: {error}")


def _hosts_of(report: RunReport) -> dict[str, dict[str, Any]]:
    return {
        name: {"changed": host.changed, "outputs": _outputs(report.outputs.get(name))}
        for name, host in sorted(report.hosts.items())
    }


def _done(outputs: Mapping[str, JsonValue], before: Mapping[str, Any]) -> HostDone:
    """What the run gave, with the outcome and the earlier value that were foretold before it."""
    foretold = {key: value for key, value in before["outputs"].items() if key in {"outcome", "before"}}
    now = {key: value for key, value in outputs.items() if key not in {"outcome", "before"}}
    return HostDone({**now, **foretold}, int(before["changed"]))


def _recorded(pre_read: JsonValue) -> Hosts | None:
    return cast(Hosts, pre_read["hosts"]) if isinstance(pre_read, dict) and "hosts" in pre_read else None


def _outputs(outputs: JsonValue) -> dict[str, JsonValue]:
    given = outputs if isinstance(outputs, dict) else {}
    return {key: value for key, value in given.items() if key != PRESENCE}


def _presence(outputs: JsonValue) -> Presence:
    said = outputs.get(PRESENCE) if isinstance(outputs, dict) else None
    return Presence(str(said).replace("_", " ")) if said in PRESENCES else Presence.CANNOT_TELL


PRESENCES = frozenset(presence.value.replace(" ", "_") for presence in Presence)

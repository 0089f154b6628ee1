"""One process on a request's way: forked, run until the request rests or the process is killed, its findings kept.

The process opens records of its own in the folder of the run, as any worker does. Whoever goes on after it starts from
what these records say, and from nothing else.
"""

import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from connectors.registry import Registry
from flows.certification.boundaries import Fault, Watch
from flows.certification.faulty_proxy import FaultyProxy
from flows.certification.watched_actions import Run, disturbed_call, watched_registry
from flows.examples.driving import Subject, World, caller_of
from flows.records.keyring import Keyring
from flows.records.records import Records, Transaction
from flows.records.rows import EffectRow, RequestRow
from flows.records.states import EffectState, RequestState
from flows.records.watched import WatchedRecords
from flows.settings import ClaimSettings, Settings, WorkerSettings
from flows.undo_ledger import is_undo
from request_models.actions import ActionCall, ActionResult, EffectClass
from request_models.json_values import JsonValue
from request_models.schema import ExampleDocument

_KEY = "certified"
_WHY = "orderly certify"
_LONG = 3600.0
PASSED = "passed"
"""The file, in the folder of a run, of the boundaries that were passed."""
FINDINGS = "findings.json"
WORDS = "words"
"""The file of what a process said that broke."""


@dataclass(frozen=True)
class Surroundings:
    """What all runs share. `listener` is where the AWS connector sends to, `upstream` the sandbox's own endpoint."""

    registry: Registry
    settings: Settings
    listener: socket.socket
    upstream: str


@dataclass(frozen=True)
class Findings:
    """Where a request rests, by our records. `unknown` are effects of which nobody can know whether they happened.

    `must_hold`: one of these can neither be repeated nor looked for. `amiss` is what must never be so at rest.
    """

    request: str
    state: str
    reason: str
    steps: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    must_hold: bool = False
    left_over: tuple[str, ...] = ()
    amiss: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "Findings | None":
        """What a process found that came to its end."""
        try:
            found = json.loads((folder / FINDINGS).read_text())
        except FileNotFoundError:
            return None
        lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
        return cls(**found | lists)


@dataclass(frozen=True)
class Job:
    """What a process is to do in the folder of a run: bring the request to rest, and back if `back`.

    `at` names the boundary at which it ends; `retries`: a person presses Retry, once, if it is on hold for no reason
    that must be.
    """

    folder: Path
    subject: Subject
    example: ExampleDocument
    back: bool = False
    at: str | None = None
    retries: bool = False


def in_process(job: Callable[[], None], words: Path) -> int:
    """Do it in a forked process that leads a group of its own; how that ended, as `waitstatus_to_exitcode` says."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            job()
            code = 0
        except BaseException:  # noqa: BLE001 - it ends here whatever it is, and says so
            words.write_text(traceback.format_exc())
        finally:
            with suppress(OSError):
                sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def publish(job: Job, around: Surroundings) -> None:
    """Make the records of a run, with the model published."""
    records = _open(Records, job.folder)
    for call in job.subject.plan.calls:
        around.registry.spec(call.uses)  # a connector has the content of what it was asked for
    try:
        records.migrate()
        _world(records, around.registry, around.settings).publish(job.subject.plan)
    finally:
        records.close()


def work(job: Job, around: Surroundings) -> None:
    """Do the job, from wherever the records of the run say that the request stands."""
    watch = Watch(job.folder / PASSED, job.at)
    records = _open(WatchedRecords, job.folder)
    records.watch = watch.commit
    proxy = FaultyProxy(around.listener, around.upstream)

    def disturb(fault: Fault, call: ActionCall, run: Run) -> ActionResult:
        if not call.action.startswith("aws."):
            return disturbed_call(fault, call, run)
        proxy.arm(fault)
        return run(call)

    world = _world(records, watched_registry(around.registry, watch, disturb), around.settings)
    request = _on_its_way(world, job)
    findings = _findings(world, request)
    if job.retries and findings.state == RequestState.ON_HOLD and not findings.must_hold:
        world.lifecycle.retry(request, caller_of(job.example), _WHY)
        world.to_rest(job.subject.plan, request, job.example)
        findings = _findings(world, request)
    records.close()
    written = job.folder / f"{FINDINGS}.new"
    written.write_text(json.dumps(asdict(findings)))
    written.rename(job.folder / FINDINGS)


def _on_its_way(world: World, job: Job) -> str:
    """Order, unless that was done, and bring the request to rest; with `back`, to where it was never ordered."""
    request = world.order(job.subject.plan.model, job.example, _KEY)
    world.to_rest(job.subject.plan, request, job.example)
    if job.back and _state(world, request) is RequestState.FULFILLED:
        world.lifecycle.undo(request, caller_of(job.example), _WHY)
        world.to_rest(job.subject.plan, request, job.example)
    return request


def _state(world: World, request_id: str) -> RequestState:
    return cast(RequestRow, world.records.read(lambda tx: tx.requests.get(request_id))).state


def _open(kind: type[Any], folder: Path) -> Any:
    return kind.open(f"sqlite:///{folder / 'records.db'}", Keyring.open(folder / "keyring.json"))


def _world(records: Records, registry: Registry, settings: Settings) -> World:
    # One branch after the other, and no claim that has to be renewed, so that every run passes the same boundaries.
    own = settings.model_copy(
        update={"claim": ClaimSettings(ttl_seconds=_LONG), "worker": WorkerSettings(limit=1, branches=1)}
    )
    return World.over(records, registry, own)


def _findings(world: World, request_id: str) -> Findings:
    def read(tx: Transaction) -> Findings:
        request = cast(RequestRow, tx.requests.get(request_id))
        effects = tx.effects.latest(request_id)
        unknown = [effect for effect in effects if effect.state is EffectState.UNKNOWN]
        undo = tx.undos.get(request_id)
        return Findings(
            request=request_id,
            state=request.state.value,
            reason=request.state_reason,
            steps={
                f"{row.path}[{row.item_key}]": row.state.value
                for row in tx.steps.all(request_id)
                if not is_undo(row.path)  # a call of an undo may fail, where it is proved that nothing is left
            },
            unknown=tuple(effect.path for effect in unknown),
            must_hold=any(_may_not_be_repeated(tx, world.registry, request_id, effect) for effect in unknown),
            left_over=() if undo is None else tuple(one.what for one in undo.left_over),
            amiss=tuple(_amiss(tx, request_id, effects)),
        )

    return world.records.read(read)


def _may_not_be_repeated(tx: Transaction, registry: Registry, request_id: str, effect: EffectRow) -> bool:
    spec = registry.action(effect.action).spec
    row = tx.steps.get(request_id, effect.path, item_key=effect.item_key)
    arguments = {} if row is None else tx.secrets.reveal(request_id, row.arguments)
    repeating = spec.per_call(cast(dict[str, JsonValue], arguments))
    return repeating.effect is EffectClass.NOT_REPEATABLE and not spec.probes


def _amiss(tx: Transaction, request_id: str, effects: list[EffectRow]) -> list[str]:
    claim = tx.claims.get(request_id)
    found = [f"the audit chain is broken: {problem.message}" for problem in tx.audit.verify(request_id)]
    found += [f"the effect of {effect.path} is still open" for effect in effects if effect.state is EffectState.OPEN]
    if claim is not None and not claim.released:
        found.append("the claim on the request was not given back")
    return found

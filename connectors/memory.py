"""A connector that touches nothing: it records calls and answers as it is told.

It ships, because models' own tests run on it: `Memory("aws", specs=real)` has the interfaces of the real connector, so
that a model is compiled against real types and run against memory.
"""

import difflib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from request_models.actions import (
    ActionCall,
    ActionCatalogue,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Finding,
    Outcome,
    Presence,
)
from request_models.json_values import JsonValue

POLL_SECONDS = 0.01
"""How often a delayed call looks whether it was cancelled."""


class Killed(BaseException):
    """The process is to end here, as if it had been killed: no code of a call's may catch it."""


@dataclass(frozen=True)
class _Reply:
    """What one call does: wait, have its effect or not, then answer, fail or be killed."""

    result: ActionResult | None = None
    failure: ActionFailed | None = None
    delay_seconds: float = 0.0
    has_effect: bool = True
    kills: bool = False


class Memory:
    """A connector named `name`. Safe in threads.

    Actions are those defined by `define` and, with `specs`, every action of that catalogue under this name. A call
    nobody said anything about succeeds: `read` for read-only actions and `made` for others, with an empty result.
    """

    def __init__(self, name: str = "memory", *, specs: ActionCatalogue | None = None) -> None:
        self._name = name
        self._specs = specs
        self._defined: dict[str, ActionSpec] = {}
        self._lock = threading.Lock()
        self._always: dict[str, _Reply] = {}
        self._next: defaultdict[str, deque[_Reply]] = defaultdict(deque)
        self._calls: list[ActionCall] = []
        self._effects: list[ActionCall] = []
        self._shown: dict[str, JsonValue] = {}
        self._findings: dict[str, Finding | ActionFailed] = {}
        self._looks: list[ActionCall] = []
        self._archives: dict[str, bytes] = {}
        self._undone: set[tuple[str, str]] = set()
        self._restored: list[tuple[ActionCall, JsonValue]] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def calls(self) -> tuple[ActionCall, ...]:
        """Every call, in the order in which they came in, those that failed too."""
        with self._lock:
            return tuple(self._calls)

    @property
    def effects(self) -> tuple[ActionCall, ...]:
        """The calls that changed the imagined world: one for each effect, however its answer ended.

        A repeated token counts once where the action takes tokens, as the real system would have it.
        """
        with self._lock:
            return tuple(self._effects)

    @property
    def looks(self) -> tuple[ActionCall, ...]:
        """Every call that was only looked for: reads before a call, and probes."""
        with self._lock:
            return tuple(self._looks)

    @property
    def restored(self) -> tuple[tuple[ActionCall, JsonValue], ...]:
        """Every call that was put back, with what was there before it."""
        with self._lock:
            return tuple(self._restored)

    def define(self, spec: ActionSpec, archive: bytes | None = None) -> None:
        """Add an action. `archive` is the content its `content_digest` names. Raises ValueError for another's name."""
        if spec.name.partition(".")[0] != self._name:
            raise ValueError(f"the action '{spec.name}' does not belong to the connector '{self._name}'")
        self._defined[spec.name] = spec
        if archive is not None and spec.content_digest is not None:
            self._archives[spec.content_digest] = archive

    def answer(
        self,
        action: str,
        result: JsonValue = None,
        *,
        outcome: Outcome | None = None,
        before: JsonValue = None,
        delay_seconds: float = 0.0,
        times: int | None = None,
    ) -> None:
        """Succeed with `result`: from now on, or for the next `times` calls that have no other reply waiting."""
        reply = ActionResult(outcome or self._usual_outcome(action), result=result, before=before)
        self._tell(action, _Reply(result=reply, delay_seconds=delay_seconds), times)

    def fail(
        self,
        action: str,
        message: str = "It failed as told.",
        *,
        error_class: ErrorClass = ErrorClass.TRANSIENT,
        code: str = "Told",
        progress: JsonValue = None,
        after_effect: bool = False,
        delay_seconds: float = 0.0,
        times: int | None = 1,
    ) -> None:
        """Fail the next `times` calls (None: all); `after_effect` fails after the world was changed: a lost answer."""
        failure = ActionFailed(message, error_class=error_class, code=code, progress=progress)
        self._tell(action, _Reply(failure=failure, delay_seconds=delay_seconds, has_effect=after_effect), times)

    def kill(self, action: str, *, after_effect: bool, times: int = 1) -> None:
        """Raise Killed in the next `times` calls, before or after their effect."""
        self._tell(action, _Reply(has_effect=after_effect, kills=True), times)

    def show(self, action: str, value: JsonValue) -> None:
        """What a read before a call finds from now on; without it, null."""
        self._usual_outcome(action)
        with self._lock:
            self._shown[action] = value

    def find_out(self, action: str, finding: Finding | ActionFailed) -> None:
        """What its probe says, or how it fails, from now on. Without it a probe knows each effect by its token."""
        self._usual_outcome(action)
        with self._lock:
            self._findings[action] = finding

    def find(self, name: str) -> "MemoryAction | None":
        spec = self._spec(name)
        return None if spec is None else MemoryAction(spec, self)

    def names(self) -> Iterable[str]:
        """The actions defined here; those copied from a catalogue are found by name, but not listed."""
        return tuple(self._defined)

    def suggestions(self, name: str) -> list[str]:
        borrowed = [] if self._specs is None else self._specs.suggestions(name)
        return [*difflib.get_close_matches(name, self._defined), *borrowed]

    def content(self, digest: str) -> bytes | None:
        return self._archives.get(digest)

    def close(self) -> None:
        return None

    def perform(self, spec: ActionSpec, call: ActionCall) -> ActionResult:
        """Record a call and do as told. Raises ActionFailed."""
        with self._lock:
            self._calls.append(call)
            reply = self._reply(spec)
        self._wait(call, reply.delay_seconds)
        if reply.has_effect and spec.effect is not EffectClass.READ_ONLY:
            self._have_effect(spec, call)
        if reply.kills:
            raise Killed
        if reply.failure is not None:
            raise _again(reply.failure)
        assert reply.result is not None
        return reply.result

    def read_before(self, call: ActionCall) -> JsonValue:
        """Record the look, and give what was told to be there."""
        with self._lock:
            self._looks.append(call)
            return self._shown.get(call.action)

    def restore(self, call: ActionCall, before: JsonValue) -> ActionResult:
        """Record that what was there before a call is put back."""
        with self._lock:
            self._restored.append((call, before))
            self._undone.add((call.request_id, _undone_step(call)))
        return ActionResult(Outcome.CHANGED, result={})

    def probe(self, call: ActionCall) -> Finding:
        """Record the look, and find what was told, or the effect of the call's token. Raises ActionFailed.

        A call that was made to undo a step has taken the step's effects away.
        """
        with self._lock:
            self._looks.append(call)
            told = self._findings.get(call.action)
            known = any(effect.token == call.token for effect in self._effects)
            known = known and (call.request_id, call.step_path) not in self._undone
        if isinstance(told, ActionFailed):
            raise _again(told)
        if told is not None:
            return told
        if not known:
            return Finding(Presence.ABSENT, "No effect of this token is there.")
        answer = self._always.get(call.action, _Reply()).result
        usual = ActionResult(self._usual_outcome(call.action), result={})
        return Finding(Presence.OURS, "The effect of this token is there.", answer or usual)

    def _spec(self, name: str) -> ActionSpec | None:
        if name in self._defined:
            return self._defined[name]
        if self._specs is None or name.partition(".")[0] != self._name:
            return None
        return self._specs.spec(name)

    def _usual_outcome(self, action: str) -> Outcome:
        spec = self._spec(action)
        if spec is None:
            raise ValueError(f"the connector '{self._name}' has no action '{action}' to answer for")
        return Outcome.READ if spec.effect is EffectClass.READ_ONLY else Outcome.MADE

    def _tell(self, action: str, reply: _Reply, times: int | None) -> None:
        self._usual_outcome(action)  # a mistyped name would otherwise wait for a call that never comes
        with self._lock:
            if times is None:
                self._always[action] = reply
            else:
                self._next[action].extend([reply] * times)

    def _reply(self, spec: ActionSpec) -> _Reply:
        waiting = self._next[spec.name]
        if waiting:
            return waiting.popleft()
        usual = _Reply(result=ActionResult(self._usual_outcome(spec.name), result={}))
        return self._always.get(spec.name, usual)

    def _have_effect(self, spec: ActionSpec, call: ActionCall) -> None:
        with self._lock:
            known = spec.effect is EffectClass.TAKES_TOKEN and any(done.token == call.token for done in self._effects)
            if not known:
                self._effects.append(call)
            step = _undone_step(call)
            if step == call.step_path:
                self._undone.discard((call.request_id, step))
            else:
                self._undone.add((call.request_id, step))

    def _wait(self, call: ActionCall, seconds: float) -> None:
        end = time.monotonic() + min(seconds, call.timeout_seconds or seconds)
        while time.monotonic() < end:
            if call.cancelled():
                raise ActionFailed(f"{call.action} was cancelled.", error_class=ErrorClass.TRANSIENT, code="Cancelled")
            time.sleep(POLL_SECONDS)
        if call.timeout_seconds is not None and seconds > call.timeout_seconds:
            raise ActionFailed(f"{call.action} ran out of time.", error_class=ErrorClass.UNKNOWN, code="Timeout")


def _undone_step(call: ActionCall) -> str:
    """The step that a call undoes (`create` of `create.undo.0`), or the call's own."""
    return call.step_path.partition(".undo.")[0]


def _again(failure: ActionFailed) -> ActionFailed:
    """A new exception like the one told: one that was raised drags its traceback along."""
    return ActionFailed(str(failure), error_class=failure.error_class, code=failure.code, progress=failure.progress)


@dataclass(frozen=True)
class MemoryAction:
    """One action of a `Memory`."""

    spec: ActionSpec
    memory: Memory

    def run(self, call: ActionCall) -> ActionResult:
        """Record the call and do as the memory was told. Raises ActionFailed."""
        return self.memory.perform(self.spec, replace(call, arguments=dict(call.arguments)))

    def read_before(self, call: ActionCall) -> JsonValue:
        """What the memory was told is there before a call."""
        return self.memory.read_before(call)

    def restore(self, call: ActionCall, before: JsonValue) -> ActionResult:
        """Put back, in the memory's imagined world, what was there before a call."""
        return self.memory.restore(call, before)

    def probe(self, call: ActionCall) -> Finding:
        """What the memory finds of a call that may have arrived. Raises ActionFailed."""
        return self.memory.probe(call)

"""The real actions, watched: their calls are boundaries, and the world can be disturbed at each of them."""

from collections.abc import Callable, Iterable
from typing import Any

from connectors.registry import Registry
from flows.certification.boundaries import Fault, Watch
from request_models.actions import (
    Action,
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    ErrorClass,
    Probes,
    ReadsBefore,
    Restores,
)
from request_models.json_values import JsonValue

Run = Callable[[ActionCall], ActionResult]
Disturb = Callable[[Fault, ActionCall, Run], ActionResult]
"""Makes a call in a disturbed world."""


class WatchedAction:
    """An action that looks, probes and restores as the real one does, if that does."""

    def __init__(self, action: Action, watch: Watch, disturb: Disturb) -> None:
        self._action: Any = action
        self._watch = watch
        self._disturb = disturb
        # Where the real one lacks a method, this one does: the engine asks whether it is there.
        if isinstance(action, ReadsBefore):
            self.read_before = action.read_before
        if isinstance(action, Probes):
            self.probe = action.probe
        if isinstance(action, Restores):
            self.restore = self._restore

    @property
    def spec(self) -> ActionSpec:
        """That of the real one."""
        spec: ActionSpec = self._action.spec
        return spec

    def run(self, call: ActionCall) -> ActionResult:
        """Call the real one."""
        return self._watched(call, self._action.run)

    def _restore(self, call: ActionCall, before: JsonValue) -> ActionResult:
        return self._watched(call, lambda call: self._action.restore(call, before))

    def _watched(self, call: ActionCall, run: Run) -> ActionResult:
        name = self._watch.call(call.step_path)
        self._watch.effect(name, "before", call.action)
        fault = self._watch.fault(name)
        try:
            return run(call) if fault is None else self._disturbed(fault, call, run)
        finally:
            self._watch.effect(name, "after", call.action)

    def _disturbed(self, fault: Fault, call: ActionCall, run: Run) -> ActionResult:
        self._watch.reached()
        return self._disturb(fault, call, run)


def disturbed_call(fault: Fault, call: ActionCall, run: Run) -> ActionResult:
    """A disturbed world as a connector reports it, for systems whose connection nothing of ours stands in."""
    if fault.after_effect:
        run(call)
    if fault is Fault.THROTTLED:
        raise ActionFailed("Too many requests.", error_class=ErrorClass.TRANSIENT, code="throttled")
    said = "No answer came in time." if fault is Fault.TIMEOUT else "The connection was reset."
    raise ActionFailed(said, error_class=ErrorClass.UNKNOWN, code=fault.value)


class _WatchedConnector:
    def __init__(self, name: str, real: Registry, watch: Watch, disturb: Disturb) -> None:
        self.name = name
        self._real = real
        self._watch = watch
        self._disturb = disturb

    def find(self, name: str) -> Action | None:
        return None if self._real.spec(name) is None else self._watched(self._real.action(name))

    def pinned(self, name: str, content: bytes) -> Action:
        return self._watched(self._real.pinned(name, content))

    def names(self) -> Iterable[str]:
        return ()

    def content(self, digest: str) -> bytes | None:
        return self._real.content(digest)

    def close(self) -> None:
        return

    def _watched(self, action: Action) -> Action:
        return WatchedAction(action, self._watch, self._disturb)


def watched_registry(real: Registry, watch: Watch, disturb: Disturb) -> Registry:
    """A registry of the real actions, watched."""
    return Registry([_WatchedConnector(name, real, watch, disturb) for name in real.connectors])

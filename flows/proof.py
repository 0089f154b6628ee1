"""Looking whether what a step did is there: before it is taken back, where nobody knows, and after, as the proof."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from connectors.errors import UnknownAction
from flows.looking import find, look
from flows.restoring import Actions
from flows.undo_ledger import Forward
from flows.walk import Unit
from request_models.actions import Action, ActionBroken, ActionCall, ActionFailed, Finding, Presence, Probes

_LOOK_AGAIN_SECONDS = 2.0


class NotUndone(Exception):
    """Why something could not be taken back; the message is for the person who has to do it now."""


class Proof:
    """Looks by the forward action's own probe. Nothing is changed by it."""

    def __init__(
        self, actions: Actions, now: Callable[[], datetime], default_timeout_seconds: float, stop: threading.Event
    ) -> None:
        self._actions = actions
        self._now = now
        self._default_timeout_seconds = default_timeout_seconds
        self._stop = stop

    def action(self, unit: Unit, forward: Forward) -> Action:
        """The action of the step, as it was when the request was accepted. Raises NotUndone."""
        try:
            if forward.content is None:
                return self._actions.action(unit.step.uses)
            return self._actions.pinned(unit.step.uses, forward.content)
        except (UnknownAction, ActionBroken) as error:
            raise NotUndone(str(error)) from error

    def of_unknown(self, unit: Unit, forward: Forward) -> Finding | None:
        """What became of a call whose outcome nobody knows; None where nothing can look. Raises NotUndone."""
        action = self.action(unit, forward)
        if not _looks(action):
            return None
        try:
            return find(action, lambda: self._call(unit, forward), forward.effect, self._now, self._stop)
        except ActionFailed as error:
            raise NotUndone(f"Whether it is there could not be looked at: {error}") from error

    def of_absence(self, unit: Unit, forward: Forward, *, patient: bool) -> Finding | None:
        """What is there now, None where nothing can look. `patient`: it may take its time to go. Raises NotUndone."""
        action = self.action(unit, forward)
        if not _looks(action):
            return None
        deadline = time.monotonic() + (action.spec.settles.total_seconds() if patient else 0)
        while True:
            try:
                finding = look(action, lambda: _probe(action, self._call(unit, forward)))
            except ActionFailed as error:
                raise NotUndone(f"Whether it is gone could not be looked at: {error}") from error
            if finding.presence is not Presence.OURS or time.monotonic() >= deadline:
                return finding
            if self._stop.wait(_LOOK_AGAIN_SECONDS):
                return finding

    def _call(self, unit: Unit, forward: Forward) -> ActionCall:
        seconds = unit.step.timeout_seconds or self._default_timeout_seconds
        deadline = time.monotonic() + seconds
        return ActionCall(
            action=unit.step.uses,
            arguments=forward.arguments,
            token=forward.effect.token,
            request_id=forward.row.request_id,
            step_path=forward.row.path,
            target=forward.row.target,
            hosts=forward.row.hosts,
            timeout_seconds=seconds,
            content=forward.content,
            pre_read=forward.pre_read,
            resent=True,
            cancelled=lambda: self._stop.is_set() or time.monotonic() > deadline,
        )


def _looks(action: Action) -> bool:
    """Whether it can look: by what marks its effects, or by what it read before the call."""
    return action.spec.probes or (action.spec.reads_before and isinstance(action, Probes))


def _probe(action: Action, call: ActionCall) -> Finding:
    assert isinstance(action, Probes), "asked only of what can look"
    return action.probe(call)

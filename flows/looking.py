"""Looking at the world without changing it: what is there before a call, and whether an earlier call had its effect."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar, cast

from flows.records.rows import EffectRow
from request_models.actions import (
    Action,
    ActionCall,
    ActionFailed,
    ErrorClass,
    Finding,
    Presence,
    Probes,
    ReadsBefore,
)
from request_models.json_values import JsonValue, refuse_what_is_not_json

_logger = logging.getLogger(__name__)

T = TypeVar("T")


def read_before(action: Action, call: ActionCall) -> JsonValue:
    """What is there before a call, None for an action that does not look. Raises ActionFailed."""
    if not action.spec.reads_before:
        return None
    reader = cast(ReadsBefore, action)

    def read() -> JsonValue:
        value = reader.read_before(call)
        refuse_what_is_not_json(value)
        return value

    return look(action, read)


def find(
    action: Action,
    call: Callable[[], ActionCall],
    effect: EffectRow,
    now: Callable[[], datetime],
    stop: threading.Event,
) -> Finding:
    """What the action's probe says of an effect that is unknown. Raises ActionFailed.

    That nothing is there counts only when the call can no longer be under way: until then it waits, and looks again.
    """
    probe = cast(Probes, action).probe
    finding = look(action, lambda: probe(call()))
    if finding.presence is not Presence.ABSENT:
        return finding
    settles = action.spec.settles.total_seconds()
    left = settles - (now() - (effect.closed or effect.opened)).total_seconds()
    if left <= 0:
        return finding
    call().log(f"{finding.seen} The call may still be under way: looking again in {left:.0f} s.")
    if stop.wait(min(left, settles)):  # a clock that went back must not make it longer
        return Finding(Presence.CANNOT_TELL, "There was no time to look again.")
    return look(action, lambda: probe(call()))


def look(action: Action, looking: Callable[[], T]) -> T:
    """The answer. Raises ActionFailed, for a connector's bug too; never as unknown, since looking has no effect."""
    try:
        return looking()
    except ActionFailed as error:
        if error.error_class is ErrorClass.UNKNOWN:
            error.error_class = ErrorClass.TRANSIENT
        raise
    except Exception as error:
        _logger.exception("the action %s broke while it only looked", action.spec.name)
        what = f"{action.spec.name} broke with {type(error).__name__} while it looked at what is there."
        raise ActionFailed(what, error_class=ErrorClass.PERMANENT, code=type(error).__name__) from error

"""Putting back what a call changed: an action's restoring, as an action that a step can call."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, cast

from request_models.actions import Action, ActionCall, ActionResult, ActionSpec, EffectClass, Restores
from request_models.json_values import JsonValue


class Actions(Protocol):
    """Where the actions are found. Raises UnknownAction, ActionBroken."""

    def action(self, name: str) -> Action: ...

    def pinned(self, name: str, content: bytes) -> Action: ...


@dataclass(frozen=True)
class Restoring:
    """What puts back what `action` changed. It is harmless when sent again, so that nothing need be looked for."""

    action: Action
    before: JsonValue

    @cached_property
    def spec(self) -> ActionSpec:
        return replace(
            self.action.spec,
            effect=EffectClass.IDEMPOTENT,
            token_lifetime=None,
            lifetime_argument=None,
            reads_before=False,
            probes=False,
        )

    def run(self, call: ActionCall) -> ActionResult:
        return cast(Restores, self.action).restore(call, self.before)


@dataclass(frozen=True)
class RestoringActions:
    """The actions, each as what puts back `before`."""

    actions: Actions
    before: JsonValue

    def action(self, name: str) -> Action:
        return Restoring(self.actions.action(name), self.before)

    def pinned(self, name: str, content: bytes) -> Action:
        return Restoring(self.actions.pinned(name, content), self.before)

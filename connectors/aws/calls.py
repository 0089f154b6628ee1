"""Calling an operation: what was there before is read, the answer is JSON, and what happened has an outcome."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.aws.clients import Clients
from connectors.aws.effect_shapes import BEFORE, FOUND
from connectors.aws.effects import Before, Effect, Look
from connectors.aws.failures import WORLD_ERRORS, error_code
from connectors.aws.observations import Observation, at_path, filled, found_in, given_only, judge, observe, recorded
from connectors.aws.sending import Sender
from connectors.aws.services import Service
from connectors.aws.settings import AwsSettings
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    ErrorClass,
    Finding,
    Outcome,
    Presence,
)
from request_models.json_values import JsonValue
from request_models.value_types import ObjectType


@dataclass(frozen=True)
class AwsAction:
    """One operation of one service."""

    spec: ActionSpec
    service: Service
    effect: Effect
    clients: Clients
    settings: AwsSettings

    def run(self, call: ActionCall) -> ActionResult:
        """Make the call once. Raises ActionFailed for all that AWS, the way there, or the settings do wrong."""
        return _Run(self, call).result()

    def read_before(self, call: ActionCall) -> JsonValue:
        """What is there before the call, None where the line of effects.yaml has no `before`. Raises ActionFailed."""
        before = self.effect.before
        return None if before is None else _Run(self, call).observed(before).to_json()

    def probe(self, call: ActionCall) -> Finding:
        """Whether the call had its effect: by its mark or token, else by what was read before. Raises ActionFailed."""
        return _Run(self, call).finding()

    def restore(self, call: ActionCall, before: JsonValue) -> ActionResult:
        """Put back what was there before a call, None where nothing was. Raises ActionFailed."""
        return _Run(self, call).restored(before)


class _Run:
    """One call from start to end."""

    def __init__(self, action: AwsAction, call: ActionCall) -> None:
        self._action = action
        self._call = call
        self._effect = action.effect
        self._sender = Sender(action.spec, action.service, action.effect, action.clients, action.settings, call)

    def result(self) -> ActionResult:
        before = self._effect.before
        if before is None:
            return self._called(None)
        told = recorded(self._call.pre_read) or self.observed(before)
        # What was read just now need not be read again; a resend may find what the first call made.
        now = self.observed(before) if self._call.resent else told
        if now.same and before.when_same == "skip":
            return self._skipped(before, now, told)
        if now.found is not None and not now.same and before.when_different == "refuse":
            raise self._something_else_is_there(now)
        return self._called(told)

    def observed(self, before: Before) -> Observation:
        """Raises ActionFailed when the read fails: then nothing can be said about the outcome, and nothing is done."""
        asked, found = self._look(before)
        return observe(before, asked, found)

    def finding(self) -> Finding:
        """Raises ActionFailed when the look fails."""
        look, before = self._effect.probe, self._effect.before
        if look is not None:
            return self._found_by_mark(look)
        told = recorded(self._call.pre_read)
        if before is None or told is None:
            return Finding(Presence.CANNOT_TELL, "It is not on record what was there before the call.")
        now = self.observed(before)
        presence = judge(before, told, now)
        if presence is Presence.OURS:
            answer = self._standing_in(before, now.found or {}, told.outcome, told)
            return Finding(presence, f"{self._sender.place}: it is as asked for, and was not before.", answer)
        return Finding(presence, f"{self._sender.place}: {_SEEN[presence]}")

    def restored(self, before: JsonValue) -> ActionResult:
        """Raises ActionFailed where the line of effects.yaml does not say how, and for what AWS refuses."""
        way = self._effect.restore
        put_back = None if way is None else way.nothing if before is None else way
        if put_back is None:
            raise ActionFailed(
                f"{self._sender.place}: effects.yaml does not say how to put back what was there before. "
                "Nothing was changed; restore it by hand.",
                error_class=ErrorClass.PERMANENT,
                code="NotRestorable",
            )
        arguments = given_only(filled(put_back.arguments, {**self._call.arguments, BEFORE: before}))
        try:
            self._sender.write(put_back.operation, arguments)
        except WORLD_ERRORS as error:
            raise self._sender.failure(error) from error
        self._call.log(f"{self._sender.place}: put back as it was before")
        return ActionResult(Outcome.CHANGED, result={})

    def _found_by_mark(self, look: Look) -> Finding:
        _, found = self._look(look)
        if found is None:
            return Finding(Presence.ABSENT, f"{self._sender.place}: nothing bears the token {self._call.token}.")
        answer = self._standing_in(look, found, self._effect.outcome, None)
        return Finding(Presence.OURS, f"{self._sender.place}: it is there, with the token {self._call.token}.", answer)

    def _called(self, told: Observation | None) -> ActionResult:
        outcome = self._effect.outcome if told is None else told.outcome
        try:
            answer = self._sender.act()
        except WORLD_ERRORS as error:
            if error_code(error) not in self._effect.already_so:
                raise self._sender.failure(error) from error
            answer = {}
            if told is None or not self._call.resent:  # else an earlier call of this effect may have done it
                outcome = Outcome.ALREADY_SO
        self._call.log(f"{self._sender.place}: {outcome.value}")
        return ActionResult(outcome, result=answer, before=told.found if told and outcome is Outcome.CHANGED else None)

    def _look(self, look: Look) -> tuple[dict[str, JsonValue], dict[str, JsonValue] | None]:
        """What is asked for, and what was found of it. Raises ActionFailed when the read fails."""
        try:
            asked = self._asked(look)
            arguments = {name: filled(value, asked) for name, value in look.arguments.items()}
            answer = self._sender.read(look.operation, arguments, all_pages=look.among is not None)
        except WORLD_ERRORS as error:
            if error_code(error) in look.absent:
                return dict(self._call.arguments), None
            if error_code(error) in look.foreign:
                raise self._somebody_elses(error) from error
            raise self._sender.failure(error, look.operation) from error
        return asked, found_in(look, asked, answer)

    def _asked(self, look: Look) -> dict[str, JsonValue]:
        asked = {**self._call.arguments, "@region": self._sender.target.region, "@token": str(self._call.token)}
        if "@account" in str(look.arguments):
            asked["@account"] = self._sender.account_id()
        return asked

    def _skipped(self, before: Before, now: Observation, told: Observation) -> ActionResult:
        """It is as asked for. Where it was not before the first call, an earlier call of this effect did it."""
        self._call.log(f"{self._sender.place}: {told.outcome.value}, nothing was sent")
        return self._standing_in(before, now.found or {}, told.outcome, told)

    def _standing_in(
        self, look: Look, found: Mapping[str, JsonValue], outcome: Outcome, told: Observation | None
    ) -> ActionResult:
        """The answer of a call that was not made, or whose answer was lost, from what a look found."""
        known = self._action.spec.result.members if isinstance(self._action.spec.result, ObjectType) else {}
        result = {name: value for name, value in found.items() if name in known}
        result.update({member: self._answered(text, found) for member, text in look.answer.items()})
        return ActionResult(outcome, result=result, before=told.found if told and outcome is Outcome.CHANGED else None)

    def _answered(self, text: str, found: Mapping[str, JsonValue]) -> JsonValue:
        if text == FOUND:
            return dict(found)
        if text.startswith(f"{FOUND}."):
            return at_path(found, text.removeprefix(f"{FOUND}."))
        return filled(text, self._call.arguments)

    def _somebody_elses(self, error: Exception) -> ActionFailed:
        return ActionFailed(
            f"{self._sender.place}: it is there already, and belongs to another account or may not be read with these "
            f"credentials ({error_code(error)}). Nothing was changed; choose another name, or ask its owner.",
            error_class=ErrorClass.REJECTED,
            code="Foreign",
        )

    def _something_else_is_there(self, now: Observation) -> ActionFailed:
        what = ", ".join(name.lstrip("@") for name in now.differs) or "what it is cannot be told"
        return ActionFailed(
            f"{self._sender.place}: something of that name is there already and differs ({what}). Nothing was changed; "
            "choose another name, or ask for what is there.",
            error_class=ErrorClass.REJECTED,
            code="ExistsAndDiffers",
        )


_SEEN = {
    Presence.ABSENT: "it is as it was before the call.",
    Presence.FOREIGN: "something is there now that was not before, and it is not what was asked for.",
    Presence.CANNOT_TELL: "it changed since the call was begun, but not to what was asked for.",
}

"""Calling an operation: tokens filled in, what was there before observed, the answer as JSON, failures sorted."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import OperationModel

from connectors.aws.clients import Clients, Target, TargetUnknown
from connectors.aws.effects import Before, Effect
from connectors.aws.failures import REPEATABLE, WORLD_ERRORS, Place, as_failure, error_code
from connectors.aws.observations import Observation, at_path, filled, observe, recorded
from connectors.aws.services import Service
from connectors.aws.settings import AwsSettings
from connectors.aws.shapes import PAGINATION
from connectors.aws.values import AnswerTooLong, ArgumentRefused, to_json, to_parameters
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Outcome,
)
from request_models.json_values import JsonValue
from request_models.value_types import ArrayType, LazyType, ObjectType, UnionType, ValueType

FOUND = "@found."
"""In `answer:` of effects.yaml: what follows is a path in what the read found."""


@dataclass(frozen=True)
class AwsAction:
    """One operation of one service."""

    spec: ActionSpec
    service: Service
    name: str
    """The operation's name within the service: `create_bucket`."""
    effect: Effect
    clients: Clients
    settings: AwsSettings

    def run(self, call: ActionCall) -> ActionResult:
        """Make the call once. Raises ActionFailed for all that AWS, the way there, or the settings do wrong."""
        return _Run(self, call).result()


class _Run:
    """One call from start to end."""

    def __init__(self, action: AwsAction, call: ActionCall) -> None:
        self._action = action
        self._call = call
        self._effect = action.effect
        self._deadline = None if call.timeout_seconds is None else time.monotonic() + call.timeout_seconds
        self._told = recorded(call.progress, call.token)
        """What was there before the effect's first attempt: it decides the outcome."""
        self._secrets = tuple(_secret_texts(action.spec.arguments, dict(call.arguments)))
        try:
            self._target = action.clients.target(call.target)
        except TargetUnknown as error:
            raise ActionFailed(
                f"{action.spec.name}: {error}", error_class=ErrorClass.PERMANENT, code="TargetUnknown"
            ) from error
        except WORLD_ERRORS as error:
            raise self._failure(error, action.name, Target(region="no region"), EffectClass.READ_ONLY) from error

    def result(self) -> ActionResult:
        try:
            return self._observed_and_called()
        except ActionFailed as failure:
            if self._told is not None and failure.error_class in {ErrorClass.TRANSIENT, ErrorClass.UNKNOWN}:
                failure.progress = self._told.to_progress(self._call.token)
            raise

    def _observed_and_called(self) -> ActionResult:
        before = self._effect.before
        if before is None:
            return self._called()
        now = self._observe(before)
        if self._told is None:
            self._told = now
        if now.found is not None and now.same and before.when_same == "skip":
            return self._skipped(before, now.found, self._told)
        if now.found is not None and not now.same and before.when_different == "refuse":
            raise self._something_else_is_there(now)
        return self._called()

    def _called(self) -> ActionResult:
        try:
            answer = self._send(self._operation(self._action.name), self._call.arguments)
        except WORLD_ERRORS as error:
            if error_code(error) in self._effect.already_so:
                self._log(f"{self._place()}: already so ({error_code(error)})")
                return ActionResult(Outcome.ALREADY_SO, result={})
            raise self._failure(error, self._action.name, self._target, self._effect.effect) from error
        told = self._told
        outcome = self._effect.outcome if told is None else told.outcome
        self._log(f"{self._place()}: {outcome.value}")
        return ActionResult(outcome, result=answer, before=told.found if told and outcome is Outcome.CHANGED else None)

    def _observe(self, before: Before) -> Observation:
        """Raises ActionFailed when the read fails: then nothing can be said about the outcome, and nothing is done."""
        operation = self._operation(before.operation)
        try:
            asked = self._asked(before)
            answer = self._send(operation, self._arguments_of_read(before, operation, asked))
        except WORLD_ERRORS as error:
            if error_code(error) in before.absent:
                return Observation(found=None)
            if error_code(error) in before.foreign:
                raise self._somebody_elses(error) from error
            raise self._failure(error, before.operation, self._target, EffectClass.READ_ONLY) from error
        return observe(before, asked, answer)

    def _arguments_of_read(
        self, before: Before, operation: OperationModel, asked: Mapping[str, JsonValue]
    ) -> dict[str, JsonValue]:
        given: dict[str, JsonValue] = {}
        for name, text in before.arguments.items():
            value = filled(text, asked)
            if value is not None:
                given[name] = value
        if before.among is not None and operation.name in self._action.service.pageable:
            given[PAGINATION] = {}
        return given

    def _asked(self, before: Before) -> dict[str, JsonValue]:
        asked = {**self._call.arguments, "@region": self._target.region}
        if any("@account" in text for text in before.arguments.values()):
            asked["@account"] = self._action.clients.account_id(self._target, self._seconds_left())
        return asked

    def _skipped(self, before: Before, found: Mapping[str, JsonValue], told: Observation) -> ActionResult:
        """It is as asked for. When an earlier attempt of this effect found nothing there, that attempt made it."""
        outcome = Outcome.MADE if told.found is None else Outcome.ALREADY_SO
        known = self._action.spec.result.members if isinstance(self._action.spec.result, ObjectType) else {}
        result = {name: value for name, value in found.items() if name in known}
        result.update({member: self._answered(text, found) for member, text in before.answer.items()})
        self._log(f"{self._place()}: {outcome.value}, nothing was sent")
        return ActionResult(outcome, result=result)

    def _answered(self, text: str, found: Mapping[str, JsonValue]) -> JsonValue:
        if text.startswith(FOUND):
            return at_path(found, text.removeprefix(FOUND))
        return filled(text, self._call.arguments)

    def _somebody_elses(self, error: Exception) -> ActionFailed:
        return ActionFailed(
            f"{self._place()}: it is there already, and belongs to another account or may not be read with these "
            f"credentials ({error_code(error)}). Nothing was changed; choose another name, or ask its owner.",
            error_class=ErrorClass.REJECTED,
            code="Foreign",
        )

    def _something_else_is_there(self, now: Observation) -> ActionFailed:
        what = ", ".join(name.lstrip("@") for name in now.differs) or "what it is cannot be told"
        return ActionFailed(
            f"{self._place()}: something of that name is there already and differs ({what}). Nothing was changed; "
            "choose another name, or ask for what is there.",
            error_class=ErrorClass.REJECTED,
            code="ExistsAndDiffers",
        )

    def _send(self, operation: OperationModel, arguments: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """One request, or one for each page. Raises ActionFailed for what is refused here, and WORLD_ERRORS."""
        self._go_on()
        plain = {name: value for name, value in arguments.items() if name != PAGINATION}
        parameters = self._parameters(operation, plain)
        client = self._action.clients.client(self._target, self._action.service.name, self._seconds_left())
        name = next(name for name, aws in self._action.service.operations.items() if aws == operation.name)
        if PAGINATION in arguments:
            answer = self._all_pages(client, name, parameters, arguments[PAGINATION])
        else:
            answer = getattr(client, name)(**parameters)
        try:
            return to_json(operation, answer, max_bytes=self._action.settings.max_body_bytes)
        except AnswerTooLong as error:
            raise self._too_long(error) from error

    def _parameters(self, operation: OperationModel, arguments: Mapping[str, JsonValue]) -> dict[str, object]:
        if operation.has_event_stream_input:
            raise ActionFailed(
                f"{self._action.spec.name} takes a stream of events, which no client for Python can send. "
                "Nothing was done; take another operation.",
                error_class=ErrorClass.PERMANENT,
                code="EventStreamInput",
            )
        try:
            parameters = to_parameters(operation, arguments)
        except ArgumentRefused as error:
            raise ActionFailed(
                f"{self._action.spec.name}: {error}", error_class=ErrorClass.REJECTED, code="ArgumentRefused"
            ) from error
        for token in operation.idempotent_members:
            parameters.setdefault(token, str(self._call.token))
        return parameters

    def _all_pages(
        self, client: Any, name: str, parameters: Mapping[str, object], paging: JsonValue
    ) -> dict[str, object]:
        bounds = {"MaxItems": self._action.settings.max_page_items, **(paging if isinstance(paging, dict) else {})}
        pages = client.get_paginator(name).paginate(**parameters, PaginationConfig=bounds)
        full: dict[str, object] = pages.build_full_result()
        return full

    def _go_on(self) -> None:
        left = self._seconds_left()
        cancelled = self._call.cancelled()
        if cancelled or (left is not None and left <= 0):
            raise ActionFailed(
                f"{self._place()}: {'cancelled' if cancelled else 'out of time'} before the request was sent; "
                "nothing was changed.",
                error_class=ErrorClass.TRANSIENT,
                code="Cancelled" if cancelled else "Timeout",
            )

    def _too_long(self, error: AnswerTooLong) -> ActionFailed:
        harmless = self._effect.effect in REPEATABLE
        return ActionFailed(
            f"{self._place()}: {error}, which is more than a result may hold. "
            "Read less of it, or raise connectors.aws.max_body_bytes.",
            error_class=ErrorClass.PERMANENT if harmless else ErrorClass.UNKNOWN,
            code="AnswerTooLong",
        )

    def _failure(self, error: Exception, operation: str, target: Target, effect: EffectClass) -> ActionFailed:
        place = Place(f"{self._action.service.name}.{operation}", target.region, target.account)
        return as_failure(error, place, effect, own_codes=self._effect.errors, secrets=self._secrets)

    def _operation(self, name: str) -> OperationModel:
        operation = self._action.service.operation(name)
        if operation is None:
            raise LookupError(f"{self._action.service.name} has no operation {name}")
        return operation

    def _place(self) -> Place:
        return Place(f"{self._action.service.name}.{self._action.name}", self._target.region, self._target.account)

    def _seconds_left(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()

    @property
    def _log(self) -> Callable[[str], None]:
        return self._call.log


def _secret_texts(of: ValueType, value: JsonValue, secret: bool = False) -> Iterator[str]:
    """Every text of `value` at a place whose type is secret: AWS quotes arguments in its messages."""
    if isinstance(of, LazyType):
        of = of.resolved
    secret = secret or of.secret
    if isinstance(value, str):
        yield from [value] if secret else []
    elif isinstance(value, list):
        items = of.items if isinstance(of, ArrayType) else ValueType()
        for item in value:
            yield from _secret_texts(items, item, secret)
    elif isinstance(value, dict):
        for option in of.options if isinstance(of, UnionType) else (of,):
            yield from _secret_members(option, value, secret)


def _secret_members(of: ValueType, value: Mapping[str, JsonValue], secret: bool) -> Iterator[str]:
    members = of.members if isinstance(of, ObjectType) else {}
    others = of.others if isinstance(of, ObjectType) else None
    for name, item in value.items():
        of_item = members[name].type if name in members else others or ValueType()
        yield from _secret_texts(of_item, item, secret)

"""Sending one operation to AWS: parameters made, tokens and marks put in, pages gathered, failures sorted."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import OperationModel

from connectors.aws.clients import Clients, TargetUnknown
from connectors.aws.effect_shapes import tag_members
from connectors.aws.effects import MARK, Effect, Mark
from connectors.aws.failures import WORLD_ERRORS, Place, as_failure
from connectors.aws.services import Service
from connectors.aws.settings import AwsSettings
from connectors.aws.shapes import PAGINATION
from connectors.aws.values import AnswerTooLong, ArgumentRefused, to_json, to_parameters
from request_models.actions import ActionCall, ActionFailed, ActionSpec, EffectClass, ErrorClass
from request_models.json_values import JsonValue
from request_models.value_types import ArrayType, LazyType, ObjectType, UnionType, ValueType


class Sender:
    """Sends what belongs to one call: the operation itself, and the reads around it. Each is sent once."""

    def __init__(
        self,
        spec: ActionSpec,
        service: Service,
        effect: Effect,
        clients: Clients,
        settings: AwsSettings,
        call: ActionCall,
    ) -> None:
        """Raises ActionFailed for a target that the settings do not know."""
        self._name = spec.name
        self._service = service
        self._effect = effect
        self._clients = clients
        self._settings = settings
        self._call = call
        self._deadline = None if call.timeout_seconds is None else time.monotonic() + call.timeout_seconds
        self._secrets = tuple(_secret_texts(spec.arguments, dict(call.arguments)))
        try:
            self.target = clients.target(call.target)
        except TargetUnknown as error:
            raise ActionFailed(
                f"{spec.name}: {error}", error_class=ErrorClass.PERMANENT, code="TargetUnknown"
            ) from error
        except WORLD_ERRORS as error:
            raise as_failure(
                error, Place(self._operation_name, "no region"), EffectClass.READ_ONLY, own_codes={}, secrets=()
            ) from error

    @property
    def place(self) -> Place:
        """Where the call is made, in words."""
        return Place(f"{self._service.name}.{self._operation_name}", self.target.region, self.target.account)

    def act(self) -> dict[str, JsonValue]:
        """Send the operation itself. Raises ActionFailed for what is refused here, and WORLD_ERRORS."""
        operation = self._operation(self._operation_name)
        arguments = dict(self._call.arguments)
        if self._effect.mark is not None:
            arguments[self._effect.mark.member] = marked(operation, self._effect.mark, arguments, str(self._call.token))
        return self._send(operation, arguments)

    def read(self, name: str, arguments: Mapping[str, JsonValue], *, all_pages: bool) -> dict[str, JsonValue]:
        """Send a read of the same service. Raises ActionFailed for what is refused here, and WORLD_ERRORS."""
        operation = self._operation(name)
        given = {name: value for name, value in arguments.items() if value is not None}
        if all_pages and operation.name in self._service.pageable:
            given[PAGINATION] = {}
        return self._send(operation, given)

    def write(self, name: str | None, arguments: Mapping[str, JsonValue]) -> None:
        """Send another operation of the same service, or the call's own with other arguments.

        Raises ActionFailed for what is refused here, and WORLD_ERRORS.
        """
        self._send(self._operation(name or self._operation_name), arguments)

    def account_id(self) -> str:
        """The account that is acted in. Raises WORLD_ERRORS."""
        return self._clients.account_id(self.target, self._seconds_left())

    def failure(self, error: Exception, operation: str | None = None) -> ActionFailed:
        """The failure of the call, or of the read `operation` beside it, which has no effect."""
        effect = self._effect.effect if operation is None else EffectClass.READ_ONLY
        place = Place(
            f"{self._service.name}.{operation or self._operation_name}", self.target.region, self.target.account
        )
        return as_failure(error, place, effect, own_codes=self._effect.errors, secrets=self._secrets)

    @property
    def _operation_name(self) -> str:
        return self._name.rpartition(".")[2]

    def _send(self, operation: OperationModel, arguments: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """One request, or one for each page."""
        self._go_on()
        plain = {name: value for name, value in arguments.items() if name != PAGINATION}
        parameters = self._parameters(operation, plain)
        client = self._clients.client(self.target, self._service.name, self._seconds_left())
        name = next(name for name, aws in self._service.operations.items() if aws == operation.name)
        if PAGINATION in arguments:
            answer = self._all_pages(client, name, parameters, arguments[PAGINATION])
        else:
            answer = getattr(client, name)(**parameters)
        try:
            return to_json(operation, answer, max_bytes=self._settings.max_body_bytes)
        except AnswerTooLong as error:
            raise self._too_long(error) from error

    def _parameters(self, operation: OperationModel, arguments: Mapping[str, JsonValue]) -> dict[str, object]:
        try:
            parameters = to_parameters(operation, arguments)
        except ArgumentRefused as error:
            raise ActionFailed(
                f"{self._name}: {error}", error_class=ErrorClass.REJECTED, code="ArgumentRefused"
            ) from error
        for token in self._token_members(operation):
            parameters.setdefault(token, str(self._call.token))
        return parameters

    def _token_members(self, operation: OperationModel) -> list[str]:
        own = self._effect.token_member
        is_own = own is not None and operation.name == self._service.operations[self._operation_name]
        return [own] if is_own and own is not None else list(operation.idempotent_members)

    def _all_pages(
        self, client: Any, name: str, parameters: Mapping[str, object], paging: JsonValue
    ) -> dict[str, object]:
        bounds = {"MaxItems": self._settings.max_page_items, **(paging if isinstance(paging, dict) else {})}
        pages = client.get_paginator(name).paginate(**parameters, PaginationConfig=bounds)
        full: dict[str, object] = pages.build_full_result()
        return full

    def _go_on(self) -> None:
        left = self._seconds_left()
        cancelled = self._call.cancelled()
        if cancelled or (left is not None and left <= 0):
            raise ActionFailed(
                f"{self.place}: {'cancelled' if cancelled else 'out of time'} before the request was sent; "
                "nothing was changed.",
                error_class=ErrorClass.TRANSIENT,
                code="Cancelled" if cancelled else "Timeout",
            )

    def _too_long(self, error: AnswerTooLong) -> ActionFailed:
        reads = self._effect.effect is EffectClass.READ_ONLY
        return ActionFailed(
            f"{self.place}: {error}, which is more than a result may hold. "
            "Read less of it, or raise connectors.aws.max_body_bytes.",
            error_class=ErrorClass.PERMANENT if reads else ErrorClass.UNKNOWN,
            code="AnswerTooLong",
        )

    def _operation(self, name: str) -> OperationModel:
        operation = self._service.operation(name)
        if operation is None:
            raise LookupError(f"{self._service.name} has no operation {name}")
        return operation

    def _seconds_left(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()


def marked(operation: OperationModel, mark: Mark, arguments: Mapping[str, JsonValue], token: str) -> JsonValue:
    """The tags that are asked for and our own, as the argument `mark.member` takes them."""
    given = arguments.get(mark.member)
    names = tag_members(operation.input_shape.members[mark.member])
    if names == ("", ""):
        return {**(given if isinstance(given, dict) else {}), MARK: token}
    key, value = names or ("Key", "Value")
    ours: JsonValue = {key: MARK, value: token}
    listed = list(given) if isinstance(given, list) else []
    if mark.resource_type is None:
        return [*listed, ours]
    for index, item in enumerate(listed):
        if isinstance(item, dict) and item.get("ResourceType") == mark.resource_type:
            tags = item.get("Tags")
            # EC2 refuses two entries for one type.
            listed[index] = {**item, "Tags": [*(tags if isinstance(tags, list) else []), ours]}
            return listed
    return [*listed, {"ResourceType": mark.resource_type, "Tags": [ours]}]


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

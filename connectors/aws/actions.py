"""The AWS connector: every operation of every service as an action, its spec made when it is asked for."""

import difflib
import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from connectors.aws.calls import AwsAction
from connectors.aws.clients import Clients, read_definitions
from connectors.aws.effect_files import OWN_FILE, load_effects
from connectors.aws.effects import Effect, Effects
from connectors.aws.services import Service, Services
from connectors.aws.settings import REGION_PATTERN, ROLE_PATTERN, AwsSettings
from request_models.actions import ActionBroken, ActionSpec, Outcome
from request_models.value_types import Member, ObjectType, StringType

NAME = "aws"
_TAG = re.compile(r"<[^>]+>")
_FIRST_SENTENCES = 400
"""Characters of AWS's documentation kept in a spec."""


_PREPARED_AT_MOST = 12
"""Services."""


class AwsConnector:
    """Finds `aws.<service>.<operation>`.

    The service is named as botocore and the AWS CLI name it, hyphens kept, and the operation as boto3 does:
    `aws.application-autoscaling.register_scalable_target`.
    Finding an action reads botocore's model of that one service and makes no client, so it needs no credentials.
    """

    def __init__(self, settings: AwsSettings, content_folders: Iterable[Path] = ()) -> None:
        """Raises EffectsInvalid, OSError for the files of effects: those of the content folders, and the settings'."""
        self._settings = settings
        self._services = Services()
        found = [folder / OWN_FILE for folder in content_folders]
        # Of content folders the first wins, of lines the last.
        own = [file for file in reversed(found) if file.is_file()]
        self._effects: Effects = load_effects([*own, *settings.effects], self._services)
        self._clients = Clients(settings)
        self._target = _target_type(settings)

    @property
    def name(self) -> str:
        return NAME

    def prepare(self, names: Iterable[str]) -> None:
        """Read the definitions of the services of these actions; of the first few, since each takes megabytes."""
        services = dict.fromkeys(name.split(".")[1] for name in names if name.count(".") == 2)
        for service in list(services)[:_PREPARED_AT_MOST]:
            if self._services.get(service) is not None:
                read_definitions(service)

    def find(self, name: str) -> AwsAction | None:
        """The action of a full name, None when AWS has no such service or operation.

        Raises ActionBroken for the few operations that take a stream of events.
        """
        parts = name.split(".")
        if len(parts) != 3 or parts[0] != NAME:
            return None
        service = self._services.get(parts[1])
        operation = None if service is None else service.operation(parts[2])
        if service is None or operation is None:
            return None
        if operation.has_event_stream_input:
            raise ActionBroken(
                "it takes a stream of events, over HTTP/2, which no client for Python can send; "
                "take another operation of the service, or a runbook"
            )
        return self._make(name, service, parts[2], operation)

    def names(self) -> Iterator[str]:
        """Full names of all operations; reads the models of all services, which takes seconds."""
        for service in self._services.all():
            for operation in service.operations:
                yield f"{NAME}.{service.name}.{operation}"

    def names_below(self, prefix: str) -> list[str]:
        """`aws.` has the services, `aws.s3.` the operations of that one: no other service's model is read."""
        parts = prefix.split(".")
        if len(parts) == 2:
            return [f"{prefix}{service}." for service in self._services.names]
        service = self._services.get(parts[1]) if len(parts) == 3 else None
        return [] if service is None else [f"{prefix}{operation}" for operation in service.operations]

    def argument_documentation(self, name: str, path: tuple[str | int, ...]) -> str:
        """The beginning of AWS's own words on an argument, or on a part of it."""
        parts = name.split(".")
        service = self._services.get(parts[1]) if len(parts) == 3 else None
        operation = None if service is None else service.operation(parts[2])
        shape = None if operation is None else operation.input_shape
        for part in path:
            shape = _part_of(shape, part)
        return "" if shape is None else _plain(shape.documentation)

    def suggestions(self, name: str) -> list[str]:
        """Near names: of the service when there is one of that name, else of the nearest services."""
        parts = name.split(".")
        service_name = parts[1] if len(parts) > 1 else ""
        operation = parts[2] if len(parts) > 2 else ""
        found: list[str] = []
        for near in self._near_services(service_name):
            service = self._services.get(near)
            if service is not None:
                if operation in service.operations:
                    return [f"{NAME}.{near}.{operation}"]
                close = difflib.get_close_matches(operation, service.operations, n=3, cutoff=0.7)
                found += [f"{NAME}.{near}.{candidate}" for candidate in close]
        return found

    def content(self, digest: str) -> None:
        """None: calls to AWS carry no content of ours."""

    def close(self) -> None:
        self._clients.close()

    def _near_services(self, name: str) -> list[str]:
        names = self._services.names
        return [name] if name in names else difflib.get_close_matches(name.replace("_", "-"), names, n=3, cutoff=0.6)

    def _make(self, name: str, service: Service, operation_name: str, operation: OperationModel) -> AwsAction:
        effect = self._effects.of(service.name, operation_name)
        spec = self._spec(name, service, operation, effect)
        return AwsAction(spec, service, effect, self._clients, self._settings)

    def _spec(self, name: str, service: Service, operation: OperationModel, effect: Effect) -> ActionSpec:
        pageable = operation.name in service.pageable
        return ActionSpec(
            name=name,
            title=f"{service.model.metadata.get('serviceId', service.name)} {operation.name}",
            arguments=service.types.arguments(operation, pageable, effect.token_member),
            result=service.types.result(operation, pageable),
            effect=effect.effect,
            # Within one API version AWS only adds, so this is what changes when the interface does.
            contract=service.model.api_version,
            system=NAME,
            target=self._target,
            token_lifetime=effect.token_lifetime,
            documentation=_plain(operation.documentation),
            reads_before=effect.before is not None,
            probes=effect.probes,
            restores=effect.restore is not None,
            settles=effect.settles,
            removes=effect.removes,
            makes=effect.outcome is Outcome.MADE,
        )


def _target_type(settings: AwsSettings) -> ObjectType:
    """`target.aws`: an account only where the settings name some, so that a wrong name is found when compiling."""
    members = {
        "region": Member(type=StringType(pattern=REGION_PATTERN)),
        "role": Member(type=StringType(pattern=ROLE_PATTERN)),
    }
    if settings.accounts:
        members["account"] = Member(type=StringType(enum=tuple(sorted(settings.accounts))))
    return ObjectType(members=members)


def _part_of(shape: Shape | None, part: str | int) -> Shape | None:
    match shape:
        case StructureShape():
            return shape.members.get(part)
        case ListShape():
            return shape.member
        case MapShape():
            return shape.value
        case _:
            return None


def _plain(documentation: str) -> str:
    """The beginning of AWS's HTML as text."""
    text = " ".join(html.unescape(_TAG.sub(" ", documentation[: 4 * _FIRST_SENTENCES])).split())
    if len(text) <= _FIRST_SENTENCES:
        return text
    return text[:_FIRST_SENTENCES].rsplit(" ", 1)[0] + " ..."

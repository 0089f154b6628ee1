"""Lines of effects held against the shapes of the operations they speak of."""

import re
from collections.abc import Callable, Iterator, Mapping

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from connectors.aws.effects import Before, Effect, Look, Mark, Restore
from connectors.aws.services import Service, Services
from request_models.actions import EffectClass
from request_models.json_values import JsonValue

GIVEN = frozenset({"@account", "@region", "@token"})
FOUND = "@found"
BEFORE = "@before"
_NAME = re.compile(r"\{([^}]*)\}")


def misfits(
    services: Services, service_name: str, operation_name: str, line: Effect, reads: Callable[[str], bool]
) -> Iterator[str]:
    """What in a line does not fit AWS; nothing for a good one. `reads("s3.head_bucket")`: it is known as read-only."""
    service = services.get(service_name)
    if service is None:
        yield f"AWS has no service '{service_name}'; write it as the AWS CLI does, hyphens kept"
        return
    operation = service.operation(operation_name)
    if operation is None:
        yield f"{service_name} has no operation '{operation_name}'; write it as boto3 does (create_bucket)"
        return
    yield from _token_misfits(operation, line)
    yield from (f"removes: it takes no '{name}'" for name in line.removes if not _has_path(operation.input_shape, name))
    if line.mark is not None:
        yield from _mark_misfits(operation, line.mark)
    if line.restore is not None and line.before is not None:
        yield from (f"restore: {what}" for what in _restore_misfits(service, operation, line.restore, line.before))
    for key, look in (("before", line.before), ("probe", line.probe)):
        if look is not None:
            yield from (f"{key}: {what}" for what in _look_misfits(service, operation, look, reads))


def _token_misfits(operation: OperationModel, line: Effect) -> Iterator[str]:
    if line.effect is not EffectClass.TAKES_TOKEN:
        return
    if line.token_member is None and not operation.idempotent_members:
        yield "it has no member for a token; name one in token_member, or choose another class"
    if line.token_member is not None and not _has_path(operation.input_shape, line.token_member):
        yield f"token_member: it takes no '{line.token_member}'"


def _mark_misfits(operation: OperationModel, mark: Mark) -> Iterator[str]:
    if not _has_path(operation.input_shape, mark.member):
        yield f"mark: it takes no '{mark.member}'"
    elif tag_members(operation.input_shape.members[mark.member]) is None:
        yield f"mark: '{mark.member}' is neither a map of tags nor a list of them"
    elif (mark.member == "TagSpecifications") != (mark.resource_type is not None):
        yield "mark: resource_type goes with TagSpecifications"


def _look_misfits(
    service: Service, operation: OperationModel, look: Look, reads: Callable[[str], bool]
) -> Iterator[str]:
    read = service.operation(look.operation)
    if read is None or not reads(f"{service.name}.{look.operation}"):
        yield f"'{look.operation}' is not known as a read-only operation of {service.name}; give it a line first"
        return
    asked = operation.input_shape
    for name, value in look.arguments.items():
        if not _has_path(read.input_shape, name):
            yield f"{look.operation} takes no '{name}'"
        yield from (f"there is no argument '{path}'" for path in _paths(value) if not _is_given(asked, path))
    found: Shape | None = read.output_shape
    if look.among is not None:
        listed = _at(found, look.among)
        if not isinstance(listed, ListShape):
            yield f"among: {look.operation} answers no list '{look.among}'"
            return
        found = None if look.every else listed.member
    yield from _place_misfits(asked, found, look)
    result = operation.output_shape.members if operation.output_shape is not None else {}
    yield from (f"answer: the result has no '{name}'" for name in look.answer if name not in result)


def _place_misfits(asked: Shape | None, found: Shape | None, look: Look) -> Iterator[str]:
    """`found` is None where all items of a list are found."""
    pairs = [(path, place) for place, value in look.identified_by.items() for path in [*_paths(value), None]]
    if isinstance(look, Before):
        pairs += list((look.same or {}).items())
    for wanted, place in pairs:
        if wanted is not None and not _is_given(asked, wanted):
            yield f"there is no argument '{wanted}'"
        if found is not None and not _has_path(found, place):
            yield f"nothing found has a '{place}'"
    for text in look.answer.values():
        place = text.removeprefix(f"{FOUND}.")
        if place != text and not (_has_path(found, place) if found is not None else place == "items"):
            yield f"answer: nothing found has a '{place}'"


def _restore_misfits(service: Service, operation: OperationModel, restore: Restore, before: Before) -> Iterator[str]:
    for way in (restore, restore.nothing):
        if way is None:
            continue
        called = operation if way.operation is None else service.operation(way.operation)
        if called is None:
            yield f"{service.name} has no operation '{way.operation}'"
        else:
            yield from _argument_misfits(service, operation, called, way.arguments, before)


def _argument_misfits(
    service: Service, asked: OperationModel, called: OperationModel, arguments: Mapping[str, JsonValue], before: Before
) -> Iterator[str]:
    """What in the arguments of a call that restores fits neither that operation nor what they are made of."""
    read = service.operation(before.operation)
    found: Shape | None = None if read is None else read.output_shape
    if before.among is not None:
        listed = _at(found, before.among)
        found = listed.member if isinstance(listed, ListShape) and not before.every else None
    for name, value in arguments.items():
        if not _has_path(called.input_shape, name):
            yield f"{called.name} takes no '{name}'"
        for path in _paths(value):
            place = path.removeprefix(f"{BEFORE}.")
            if place != path and not _has_path(found, place):
                yield f"nothing found has a '{place}'"
            elif place == path and path != BEFORE and not _is_given(asked.input_shape, path):
                yield f"there is no argument '{path}'"


def tag_members(shape: Shape) -> tuple[str, str] | None:
    """The names of key and value in a list of tags; two empty ones for a map; None for what holds no tags."""
    if isinstance(shape, MapShape):
        return "", ""
    if not isinstance(shape, ListShape) or not isinstance(shape.member, StructureShape):
        return None
    members: Mapping[str, Shape] = shape.member.members
    if "Tags" in members and "ResourceType" in members:
        return tag_members(members["Tags"])
    for key, value in (("Key", "Value"), ("key", "value"), ("TagKey", "TagValue")):
        if key in members and value in members:
            return key, value
    return None


def _paths(value: JsonValue) -> Iterator[str]:
    """The arguments that an argument of a read is made of."""
    match value:
        case str() if value.startswith("="):
            return
        case str() if "{" in value:
            yield from _NAME.findall(value)
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _paths(item)
        case list():
            for item in value:
                yield from _paths(item)
        case _:
            return


def _is_given(shape: Shape | None, path: str) -> bool:
    return path in GIVEN or _has_path(shape, path)


def _has_path(shape: Shape | None, path: str) -> bool:
    return _at(shape, path) is not None


def _at(shape: Shape | None, path: str) -> Shape | None:
    for name in path.split("."):
        if isinstance(shape, MapShape):
            shape = shape.value
            continue
        if not isinstance(shape, StructureShape) or name not in shape.members:
            return None
        shape = shape.members[name]
    return shape

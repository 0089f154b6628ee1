"""AWS shapes as value types: what an operation takes and what it answers, known when a model is compiled.

What fits here is taken by botocore's own validation of parameters. The reverse does not hold: these types refuse more,
so that it is found before the call and not by AWS. They are stricter only in this:

- a text must be one of its shape's `enum`, and match its `pattern` where that can be said in ECMA-262 (patterns.py);
  so must the names of a map's members;
- nothing is longer or greater than its shape's `max`; of maps and blobs, botocore and we count nothing;
- true and false are no numbers (Python takes them for 1 and 0);
- bytes are Base64 text, and times are date-times of RFC 3339 with an offset (botocore takes any text for bytes, and
  guesses at times, numbers of seconds among them);
- `PaginationConfig` is known where botocore can gather pages; botocore takes it in another call, not as a parameter.

What botocore takes and JSON cannot say: file-like objects, bytes, tuples, datetimes and decimals.
"""

import math
import threading
from collections.abc import Callable

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.utils import is_json_value_header

from connectors.aws.patterns import ecma_pattern
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    LazyType,
    Member,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
    check_value,
)

PAGINATION = "PaginationConfig"
"""The argument that gathers all pages of an answer, as botocore names it; no operation has a member of that name."""

_PAGINATION_MEMBER = Member(
    type=ObjectType(
        members={
            "MaxItems": Member(type=IntegerType(minimum=1)),
            "PageSize": Member(type=IntegerType(minimum=1)),
            "StartingToken": Member(type=StringType(min_length=1)),
        },
        description="Gathers all pages of the answer, up to MaxItems; NextToken in the result says that there is more.",
    )
)


class ShapeTypes:
    """The types of one service's shapes, made when needed and kept. Safe in threads.

    Lengths, ranges, patterns and enums are those that AWS documents. In results they say what is known, for checking
    expressions against; AWS adds enum values whenever it likes, so a result must not be refused for them.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._lock = threading.RLock()
        self._arguments = _Translation(f"{service}/", self._lock, unions_are_exact=True)
        self._results = _Translation(f"{service}/result/", self._lock, unions_are_exact=False)

    def arguments(self, operation: OperationModel, pageable: bool, token_member: str | None = None) -> ObjectType:
        """What the operation takes. Its idempotency token need not be given: the call's own is sent.

        `token_member` takes the token where botocore does not mark a member for it.
        """
        shape = operation.input_shape
        given = self._arguments.members(shape) if isinstance(shape, StructureShape) else {}
        # Botocore would make a random token up; the effect's own is sent, so that a resend is known as one.
        tokens = {*operation.idempotent_members, token_member} if shape is not None else set()
        members = {
            name: Member(type=member.type, required=member.required and name not in tokens)
            for name, member in given.items()
        }
        if pageable:
            members[PAGINATION] = _PAGINATION_MEMBER
        return ObjectType(members=members)

    def result(self, operation: OperationModel, pageable: bool) -> ObjectType:
        """What the operation answers; empty for those that answer nothing."""
        shape = operation.output_shape
        members = self._results.members(shape) if isinstance(shape, StructureShape) else {}
        if pageable:
            members.setdefault("NextToken", Member(type=StringType()))
        return ObjectType(members=members)


class _Translation:
    """Shapes to types in one direction; `unions_are_exact` where exactly one member of a tagged union must be given."""

    def __init__(self, prefix: str, lock: threading.RLock, *, unions_are_exact: bool) -> None:
        self._prefix = prefix
        self._lock = lock
        self._unions_are_exact = unions_are_exact
        self._made: dict[str, ValueType] = {}
        self._making: set[str] = set()

    def members(self, shape: StructureShape) -> dict[str, Member]:
        required = set(shape.required_members)
        return {
            name: Member(type=self.type_of(member), required=name in required) for name, member in shape.members.items()
        }

    def type_of(self, shape: Shape) -> ValueType:
        """The type of a shape. A shape that holds itself is described lazily at the place where it does."""
        if shape.type_name not in {"structure", "list", "map"}:
            return _scalar(shape)
        if shape.serialization.get("eventstream"):
            return self._event_stream(shape)
        with self._lock:
            made = self._made.get(shape.name)
            if made is not None:
                return made
            if shape.name in self._making:
                return LazyType(name=self._prefix + shape.name, resolve=self._later(shape), secret=_is_secret(shape))
            self._making.add(shape.name)
            try:
                made = self._made[shape.name] = self._container(shape)
            finally:
                self._making.discard(shape.name)
            return made

    def _later(self, shape: Shape) -> Callable[[], ValueType]:
        return lambda: self.type_of(shape)

    def _container(self, shape: Shape) -> ValueType:
        secret = _is_secret(shape)
        match shape:
            case StructureShape() if shape.is_document_type:
                return AnyType(secret=secret)
            case StructureShape() if shape.is_tagged_union and self._unions_are_exact:
                return UnionType(options=self._exact_options(shape), secret=secret)
            case StructureShape():
                return ObjectType(members=self.members(shape), secret=secret)
            case ListShape():
                return ArrayType(
                    items=self.type_of(shape.member),
                    min_items=shape.metadata.get("min"),
                    max_items=shape.metadata.get("max"),
                    secret=secret,
                )
            case MapShape():
                return self._map(shape, secret)
            case _:
                raise TypeError(f"the shape {shape.name} has the unknown type {shape.type_name}")

    def _exact_options(self, shape: StructureShape) -> tuple[ValueType, ...]:
        return tuple(
            ObjectType(members={name: Member(type=member.type, required=True)})
            for name, member in self.members(shape).items()
        )

    def _map(self, shape: MapShape, secret: bool) -> ObjectType:
        value = self.type_of(shape.value)
        if not self._unions_are_exact:
            return ObjectType(others=value, secret=secret)
        keys = _string(shape.key, secret=False)
        if keys.enum:
            fitting = [key for key in keys.enum if not check_value(keys, key)]
            return ObjectType(members={key: Member(type=value) for key in fitting}, secret=secret)
        return ObjectType(others=value, keys=None if keys == StringType() else keys, secret=secret)

    def _event_stream(self, shape: Shape) -> ValueType:
        events = ObjectType(members=self.members(shape)) if isinstance(shape, StructureShape) else AnyType()
        return ArrayType(items=events, secret=_is_secret(shape))


def _scalar(shape: Shape) -> ValueType:
    secret = _is_secret(shape)
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if is_json_value_header(shape):
        return AnyType(secret=secret)
    match shape.type_name:
        case "string" | "character":
            return _string(shape, secret)
        case "integer" | "long":
            return IntegerType(minimum=_ceiling(least), maximum=_floor(most), secret=secret)
        case "float" | "double":
            return NumberType(minimum=least, maximum=most, secret=secret)
        case "boolean":
            return BooleanType(secret=secret)
        case "timestamp":
            return StringType(format="date-time", secret=secret)
        case "blob":
            # Lengths of blobs count bytes, not the characters of their Base64.
            return StringType(format="byte", secret=secret)
        case _:
            raise TypeError(f"the shape {shape.name} has the unknown type {shape.type_name}")


def _string(shape: Shape, secret: bool) -> StringType:
    enum = shape.metadata.get("enum")
    pattern = shape.metadata.get("pattern")
    # A member that becomes part of the host's name cannot be empty, as in botocore's own validation.
    least = shape.metadata.get("min", 1 if shape.serialization.get("hostLabel") else None)
    return StringType(
        enum=tuple(enum) if enum else None,
        pattern=ecma_pattern(pattern) if pattern else None,
        min_length=least,
        max_length=shape.metadata.get("max"),
        secret=secret,
    )


def _ceiling(bound: float | None) -> int | None:
    return None if bound is None else math.ceil(bound)


def _floor(bound: float | None) -> int | None:
    return None if bound is None else math.floor(bound)


def _is_secret(shape: Shape) -> bool:
    return bool(shape.metadata.get("sensitive"))

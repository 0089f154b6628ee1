"""The types of the names that are in scope of every expression: who asked, for whom, and the request itself."""

from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    Member,
    NullType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
)


def _object(members: dict[str, ValueType], others: ValueType | None = None) -> ObjectType:
    return ObjectType(members={name: Member(type=kind, required=True) for name, kind in members.items()}, others=others)


_FILLED = StringType(min_length=1)

PERSON = _object(
    {
        "id": _FILLED,
        "name": StringType(),
        "email": StringType(),
        "groups": ArrayType(items=StringType()),
        "manager": UnionType(options=(StringType(), NullType())),
        "active": BooleanType(),
    },
    others=AnyType(),
)
"""`requester` and `user`; further attributes of the directory are of any type and may be absent."""

REQUEST = _object({"id": _FILLED, "model": _FILLED, "submitted": DateTimeType()})
"""`request`: `request.submitted` is the only clock."""

NOTIFIED_REQUEST = _object(
    {
        "id": _FILLED,
        "model": _FILLED,
        "submitted": DateTimeType(),
        "state": StringType(),
        "reason": StringType(),
    }
)
"""`request` in `notify`: the state it came into, and why."""

STEP_STATE = StringType(enum=("done", "skipped", "failed"))
"""`steps.ID.state`."""

ROOTS = ("inputs", "values", "requester", "user", "request", "settings", "steps")
"""The names that are in scope nearly everywhere."""
EXTRA_ROOTS = ("args", "result", "item", "event")
"""Names that exist in some places only."""

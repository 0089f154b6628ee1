"""The actions of the engine itself: tasks for people, waiting, and ordering another model. `flows/` runs them."""

from collections.abc import Mapping

from request_models.actions import ActionSpec, EffectClass
from request_models.value_types import (
    AnyType,
    DateTimeType,
    Member,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
)

HUMAN_TASK = "human.task"
WAIT_EVENT = "wait.event"
WAIT_UNTIL = "wait.until"
REQUEST_SUBMIT = "request.submit"

_TEXT = StringType(min_length=1)
_DURATION = StringType(format="duration")
_MOMENT = UnionType(options=(StringType(format="date-time"), StringType(format="date"), DateTimeType()))


def _map(required: Mapping[str, ValueType], optional: Mapping[str, ValueType] | None = None) -> ObjectType:
    needed = {name: Member(type=kind, required=True) for name, kind in required.items()}
    return ObjectType(members={**needed, **{name: Member(type=kind) for name, kind in (optional or {}).items()}})


ENGINE_SPECS: Mapping[str, ActionSpec] = {
    spec.name: spec
    for spec in (
        ActionSpec(
            name=HUMAN_TASK,
            title="A task for people",
            arguments=_map(
                {"team": _TEXT, "instructions": _TEXT},
                {"within": _DURATION, "title": _TEXT, "assignee": _TEXT},
            ),
            result=ObjectType(),
            effect=EffectClass.NOT_REPEATABLE,
            documentation="Assigns work to a team and waits for it, holding no worker. `returns` types what the person "
            "gives back. It counts as a touch.",
        ),
        ActionSpec(
            name=WAIT_EVENT,
            title="Wait for an event",
            arguments=_map({"event": _TEXT}, {"key": _TEXT, "within": _DURATION}),
            result=AnyType(),
            effect=EffectClass.READ_ONLY,
            documentation="Waits for an event of this name, and of this key if one is given, that comes in over the "
            "API. The result is the event's data, typed by `returns`.",
        ),
        ActionSpec(
            name=WAIT_UNTIL,
            title="Wait until a moment",
            arguments=_map({"at": _MOMENT}),
            result=ObjectType(),
            effect=EffectClass.READ_ONLY,
            documentation="Waits until a moment, holding no worker; one that has passed is not waited for.",
        ),
        ActionSpec(
            name=REQUEST_SUBMIT,
            title="Order another model",
            arguments=_map({"model": _TEXT}, {"inputs": ObjectType(others=AnyType()), "user": _TEXT}),
            result=_map({"id": StringType(), "state": StringType(enum=("fulfilled",))}, {"outputs": AnyType()}),
            effect=EffectClass.TAKES_TOKEN,
            documentation="Orders another model for the same user and waits until it is fulfilled. Its undo cancels or "
            "undoes the child.",
        ),
    )
}
"""The engine's actions, by name."""


def submit_spec(inputs: ObjectType, outputs: ObjectType) -> ActionSpec:
    """The spec of `request.submit` for one model, with its inputs and outputs typed."""
    spec = ENGINE_SPECS[REQUEST_SUBMIT]
    needed = any(member.required for member in inputs.members.values())
    members = {**spec.arguments.members, "inputs": Member(type=inputs, required=needed)}
    result = _map({"id": StringType(), "state": StringType(enum=("fulfilled",)), "outputs": outputs})
    return ActionSpec(
        name=spec.name,
        title=spec.title,
        arguments=ObjectType(members=members),
        result=result,
        effect=spec.effect,
        documentation=spec.documentation,
    )

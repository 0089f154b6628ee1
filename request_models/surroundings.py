"""What a model is compiled against: the actions, settings and calendars there are, and the models it may order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from request_models.actions import ActionCatalogue
from request_models.json_values import JsonValue
from request_models.value_types import ObjectType


@dataclass(frozen=True)
class Interface:
    """What a model takes and gives when another orders it. `orders` are the models it orders itself."""

    inputs: ObjectType
    outputs: ObjectType
    orders: frozenset[str] = frozenset()


class ModelCatalogue(Protocol):
    """The other models."""

    def interface(self, model: str) -> Interface | None: ...

    def names(self) -> list[str]: ...


@dataclass(frozen=True)
class Surroundings:
    """Everything outside a model's file that its meaning depends on.

    `calendars` are the pinned forms by name; None where they are not known, and then not checked. `models` is None
    where a model is looked at alone: orders of others are then not checked.
    """

    actions: ActionCatalogue
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    calendars: Mapping[str, JsonValue] | None = None
    models: ModelCatalogue | None = None

    def interface(self, model: str) -> Interface | None:
        """The interface of another model, None when it is not known."""
        return None if self.models is None else self.models.interface(model)

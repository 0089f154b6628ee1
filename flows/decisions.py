"""What the blocks of a plan decide, once, and how they end: the terms in which the walk speaks to the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flows.records.states import StepState
from request_models.json_values import JsonValue


@dataclass(frozen=True)
class Decision:
    """What a block decided, once: its condition, or the items of its loop by key; and how it ended, and why."""

    when: bool | None = None
    items: tuple[tuple[str, JsonValue], ...] = ()
    ended: StepState | None = None
    message: str = ""


class Decided(Protocol):
    """What blocks decided so far."""

    def recorded(self, place: str, item_key: str) -> Decision | None: ...


@dataclass(frozen=True)
class KnownDecisions:
    """What blocks had decided at one moment, by place and the key of the item."""

    known: Mapping[tuple[str, str], Decision]

    def recorded(self, place: str, item_key: str) -> Decision | None:
        return self.known.get((place, item_key))


class Decisions(Decided, Protocol):
    """The record of what blocks decided and how they ended."""

    def record(self, place: str, item_key: str, decision: Decision) -> Decision: ...

    def ended(self, place: str, item_key: str, state: StepState, message: str = "") -> None: ...

    def forget(self, place: str, item_key: str, steps: Sequence[str]) -> None:
        """Have a block, and the steps in it, as if they had never run: all of it was taken back."""

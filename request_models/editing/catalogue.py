"""What an editor needs of a catalogue besides specs: names level by level, and the words of each argument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from request_models.actions import ActionBroken, ActionCatalogue, ActionSpec
from request_models.editing.language import Language
from request_models.engine_actions import ENGINE_SPECS
from request_models.json_values import JsonValue


class BrowsedCatalogue(ActionCatalogue, Protocol):
    """A catalogue that can be looked through without loading it all."""

    def names_below(self, prefix: str) -> Iterable[str]:
        """What follows a prefix that is empty or ends with a dot: full names, and further prefixes (`aws.s3.`)."""
        ...

    def argument_documentation(self, name: str, path: tuple[str | int, ...]) -> str:
        """What the system's own documentation says of an argument; empty when it says nothing."""
        ...

    def host_groups(self) -> Iterable[str]:
        """The groups of hosts that are known, for `hosts:`."""
        ...


@dataclass(frozen=True)
class Knowledge:
    """What a model is edited against: the actions there are, and the settings models may read."""

    actions: BrowsedCatalogue
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    language: Language = field(default_factory=Language)

    def spec(self, name: str) -> ActionSpec | None:
        """The interface of an action; None when there is none, or none that can be offered."""
        if name in ENGINE_SPECS:
            return ENGINE_SPECS[name]
        try:
            return self.actions.spec(name) if name else None
        except ActionBroken:
            return None

    def names_below(self, prefix: str) -> list[str]:
        """As the catalogue has them, with the actions of the engine itself."""
        systems = {f"{name.partition('.')[0]}." for name in ENGINE_SPECS}
        own = sorted(systems) if not prefix else [name for name in ENGINE_SPECS if name.startswith(prefix)]
        return [*self.actions.names_below(prefix), *own]

"""The gates: the least evidence on which an edit may be proposed. Shipped values, changed by settings."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from ruamel.yaml import YAML

from flows.errors import SettingsError

_SHIPPED = Path(__file__).with_name("gates.yaml")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gate(_Part):
    """One detector's gate: in words, in numbers, and the sizes of effects it is measured with."""

    gate: str
    edit: str
    near: dict[str, JsonValue] = {}
    twice: dict[str, JsonValue] = {}
    numbers: dict[str, float] = {}

    def __getitem__(self, name: str) -> float:
        return self.numbers[name]


class Family(_Part):
    """How the tests of one review, and those of all reviews, are taken together."""

    false_discovery_rate: float
    spent_across_reviews: bool


class Gates(_Part):
    """All gates."""

    family: Family
    interval: float
    detectors: dict[str, Gate]


@cache
def shipped() -> Gates:
    """The gates that are shipped."""
    return Gates.model_validate(YAML(typ="safe").load(_SHIPPED.read_text(encoding="utf-8")))


def gates_with(changes: Mapping[str, Mapping[str, float]]) -> Gates:
    """The shipped gates with numbers changed, by detector. Raises SettingsError for one that is not there."""
    gates = shipped()
    detectors = dict(gates.detectors)
    for name, numbers in changes.items():
        if name not in detectors:
            raise SettingsError(
                f"review.gates names {name!r}, which is no detector. There are: {', '.join(detectors)}."
            )
        unknown = sorted(set(numbers) - set(detectors[name].numbers))
        if unknown:
            known = ", ".join(detectors[name].numbers) or "none"
            raise SettingsError(f"review.gates.{name} has no number {', '.join(unknown)}; it has: {known}.")
        try:
            changed = {**detectors[name].numbers, **numbers}
            detectors[name] = detectors[name].model_copy(update={"numbers": changed})
        except ValidationError as error:
            raise SettingsError(f"review.gates.{name}: {error}") from None
    return gates.model_copy(update={"detectors": detectors})

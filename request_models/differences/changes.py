"""One change between two versions of a model, and the parts of a model that it can be in."""

from dataclasses import dataclass
from enum import StrEnum

from request_models.json_values import JsonValue


class Area(StrEnum):
    """What part of a model a change is in, in the order of a model's keys."""

    MODEL = "model"
    OWNERS = "owners"
    SUPPLIERS = "suppliers"
    ELIGIBLE = "eligible"
    PREREQUISITES = "prerequisites"
    INPUTS = "inputs"
    VALUES = "values"
    APPROVALS = "approvals"
    DUE = "due"
    STARTS = "starts"
    LOCKS = "locks"
    STEPS = "steps"
    UNDO = "undo"
    VERIFY = "verify"
    OUTPUTS = "outputs"
    NOTIFY = "notify"
    FEEDBACK = "feedback"
    TRIGGERS = "triggers"
    LEASE = "lease"
    CALENDARS = "calendars"
    TEXTS = "texts"


@dataclass(frozen=True)
class Change:
    """One change. `name` is the input, step, value or other part it concerns, empty for the model's own keys.

    `refuses` says that an order which was valid before may be refused now, because of this change; `delays` that new
    orders may wait for something that they did not wait for.
    """

    area: Area
    name: str
    message: str
    refuses: bool = False
    delays: bool = False

    def to_json(self) -> dict[str, JsonValue]:
        """The change for tools."""
        return {
            "area": str(self.area),
            "name": self.name,
            "message": self.message,
            "refuses": self.refuses,
            "delays": self.delays,
        }

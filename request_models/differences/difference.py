"""What changed between two versions of a model, in the practice's words, and what it means for orders and requests.

Nothing is silent: what `_PARTS` has no words for is told as it is written, field by field.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from request_models.differences.blocks import changed_blocks, say_failure
from request_models.differences.changes import Area, Change
from request_models.differences.ending import (
    changed_calendars,
    changed_lease,
    changed_notices,
    changed_outputs,
    changed_questions,
    changed_triggers,
    changed_verify,
)
from request_models.differences.meaning import for_new_orders, for_requests_in_flight
from request_models.differences.ordering import (
    changed_approvals,
    changed_eligible,
    changed_input_rules,
    changed_inputs,
    changed_locks,
    changed_prerequisites,
    changed_starts,
    changed_suppliers,
)
from request_models.differences.service import changed_due, changed_owners, changed_values
from request_models.differences.texts import changed_texts
from request_models.differences.words import becomes, same
from request_models.json_values import JsonValue
from request_models.plan import Plan


@dataclass(frozen=True)
class Difference:
    """All changes from one plan to another, in the order of a model's keys."""

    before: Plan
    after: Plan
    changes: tuple[Change, ...]

    @cached_property
    def same_plan(self) -> bool:
        """Whether both do the same: texts may still differ."""
        return self.before.digest == self.after.digest

    @property
    def in_flight(self) -> tuple[str, ...]:
        """What the changes mean for requests that were accepted with the plan before, a sentence each."""
        return for_requests_in_flight(self.before, self.after, self.changes)

    @property
    def new_orders(self) -> tuple[str, ...]:
        """What the changes mean for orders from now on, a sentence each."""
        return for_new_orders(self.before, self.after, self.changes)

    def to_json(self) -> dict[str, JsonValue]:
        """The difference for tools."""
        return {
            "before": {"model": self.before.model, "digest": self.before.digest},
            "after": {"model": self.after.model, "digest": self.after.digest},
            "same_plan": self.same_plan,
            "changes": [change.to_json() for change in self.changes],
            "may_refuse": any(change.refuses for change in self.changes),
            "may_delay": any(change.delays for change in self.changes),
            "in_flight": list(self.in_flight),
            "new_orders": list(self.new_orders),
        }


def difference(before: Plan, after: Plan) -> Difference:
    """Compare two plans: two versions of one model, as a rule."""
    was, now = before.without_texts(), after.without_texts()
    changes = list(changed_texts(before, after))
    for item in fields(Plan):
        if not same(was.get(item.name), now.get(item.name)):
            area, told = _PARTS.get(item.name, (Area.MODEL, _unworded))
            changes += list(told(before, after)) or [_as_written(area, item.name, before, after)]
    areas = list(Area)
    return Difference(before, after, tuple(sorted(changes, key=lambda change: areas.index(change.area))))


def render_difference(found: Difference) -> str:
    """The difference for people: what changed, by area, then what it means."""
    lines = []
    for area in Area:
        changes = [change for change in found.changes if change.area is area]
        if changes:
            lines += [f"{area}:", *(f"  {'!' if change.refuses else '-'} {change.message}" for change in changes)]
    lines += [] if lines else ["Nothing changed."]
    return "\n".join([*lines, "", *found.in_flight, *found.new_orders]) + "\n"


def _as_written(area: Area, field: str, before: Plan, after: Plan) -> Change:
    what = field.replace("_", " ")
    return Change(area, "", f"`{what}` is written otherwise: {becomes(getattr(before, field), getattr(after, field))}")


def _unworded(_before: Plan, _after: Plan) -> Iterator[Change]:
    return iter(())


def _model(before: Plan, after: Plan) -> Iterator[Change]:
    yield Change(Area.MODEL, "", f"these are two models: {before.model} and {after.model}")


def _kind(before: Plan, after: Plan) -> Iterator[Change]:
    yield Change(Area.MODEL, "", f"its kind is {after.kind}, no longer {before.kind}")


def _service(before: Plan, after: Plan) -> Iterator[Change]:
    yield Change(Area.MODEL, "", f"it belongs to the service {after.service}, no longer to {before.service}")


def _on_failure(before: Plan, after: Plan) -> Iterator[Change]:
    message = f"a failure {say_failure(after.on_failure)}; before: {say_failure(before.on_failure)}"
    yield Change(Area.MODEL, "", message)


_PARTS: Mapping[str, tuple[Area, Callable[[Plan, Plan], Iterator[Change]]]] = {
    "model": (Area.MODEL, _model),
    "kind": (Area.MODEL, _kind),
    "service": (Area.MODEL, _service),
    "on_failure": (Area.MODEL, _on_failure),
    "owners": (Area.OWNERS, changed_owners),
    "suppliers": (Area.SUPPLIERS, changed_suppliers),
    "eligible": (Area.ELIGIBLE, changed_eligible),
    "prerequisites": (Area.PREREQUISITES, changed_prerequisites),
    "inputs": (Area.INPUTS, changed_inputs),
    "input_rules": (Area.INPUTS, changed_input_rules),
    "values": (Area.VALUES, changed_values),
    "approvals": (Area.APPROVALS, changed_approvals),
    "due": (Area.DUE, changed_due),
    "starts": (Area.STARTS, changed_starts),
    "locks": (Area.LOCKS, changed_locks),
    "blocks": (Area.STEPS, changed_blocks),
    "verify": (Area.VERIFY, changed_verify),
    "outputs": (Area.OUTPUTS, changed_outputs),
    "notify": (Area.NOTIFY, changed_notices),
    "questions": (Area.FEEDBACK, changed_questions),
    "triggers": (Area.TRIGGERS, changed_triggers),
    "lease": (Area.LEASE, changed_lease),
    "calendars": (Area.CALENDARS, changed_calendars),
}
"""What tells of each field of a plan."""

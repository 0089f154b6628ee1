"""A world that requests act on and that is taken back: what is made in it, what was there before, what is broken."""

from dataclasses import replace

import pytest

from connectors.memory import Killed
from flows.records.rows import EffectRow, LeftOver, RequestRow, UndoRow
from flows.records.states import RequestState, StepState
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    EffectClass,
    ErrorClass,
    Outcome,
)
from request_models.json_values import JsonValue
from request_models.plan import (
    Group,
    Parallel,
    Step,
    Undo,
    UndoAction,
)
from staging import CALLER, House, expression, plan_of, step, text

MEMBERS: dict[str, JsonValue] = {"members": {"type": "array", "items": {"type": "string"}}}


class World:
    """A set of things, that `stage.make` puts a thing into and `stage.take` takes it out of; what was there stays."""

    def __init__(self, house: House, *there: str) -> None:
        self.things = list(there)
        self.taken: list[str] = []
        self.broken: set[str] = set()
        self.dies: set[str] = set()
        house.stage.action("make", behave=self.make)
        house.stage.action("take", behave=self.take)

    def make(self, call: ActionCall) -> ActionResult:
        name = str(call.arguments["text"])
        self._check(f"make {name}")
        if name in self.things:
            return ActionResult(Outcome.ALREADY_SO, {"id": f"id-{name}"})
        self.things.append(name)
        return ActionResult(Outcome.MADE, {"id": f"id-{name}"})

    def take(self, call: ActionCall) -> ActionResult:
        name = str(call.arguments["text"]).removeprefix("id-")
        self._check(f"take {name}")
        if name in self.things:
            self.things.remove(name)
            self.taken.append(name)
        if f"after take {name}" in self.dies:
            raise Killed
        return ActionResult(Outcome.CHANGED, {"id": f"id-{name}"})

    def _check(self, what: str) -> None:
        if what in self.dies:
            raise Killed
        if what in self.broken:
            raise ActionFailed(f"cannot {what}", error_class=ErrorClass.PERMANENT, code="Broken")


def undo_action(source: str = "args.text", **more: object) -> UndoAction:
    given: dict[str, object] = {"arguments": text(expression(source)), **more}
    return UndoAction(uses="stage.take", contract="1", effect=EffectClass.IDEMPOTENT, **given)  # type: ignore[arg-type]  # fields by name


def making(path: str, undo: Undo | None = None, **more: object) -> Step:
    return replace(step(path, **more), uses="stage.make", undo=undo or Undo(actions=(undo_action(),)))  # type: ignore[arg-type]  # fields by name


def effects_of(house: House, request: RequestRow) -> dict[tuple[str, str], EffectRow]:
    rows = house.records.read(lambda tx: tx.effects.all(request.id))
    return {(row.path, row.item_key): row for row in rows}


def states_of(house: House, request: RequestRow) -> dict[str, StepState]:
    rows = house.records.read(lambda tx: tx.steps.all(request.id))
    return {f"{row.path}{f'[{row.item_key}]' if row.item_key else ''}": row.state for row in rows}


def undo_of(house: House, request: RequestRow) -> UndoRow:
    undo = house.records.read(lambda tx: tx.undos.get(request.id))
    assert undo is not None
    return undo


def left_over(house: House, request: RequestRow) -> tuple[LeftOver, ...]:
    return undo_of(house, request).left_over


def cancel(house: House, request: RequestRow, why: str = "not needed") -> RequestRow:
    return house.lifecycle.cancel(request.id, CALLER, why)


def take_back(house: House, request: RequestRow) -> list[str]:
    """Run the undo in the flow run that the dispatcher would make for it."""
    return house.run(house.dispatched(request))


def kill(house: House, request: RequestRow) -> None:
    """Run into a kill, and let the claim end as the death of its process does."""
    with pytest.raises(Killed):
        house.run(request)
    let_claim_end(house, request)


def let_claim_end(house: House, request: RequestRow) -> None:
    """As the death of its holder does."""
    claim = house.records.read(lambda tx: tx.claims.get(request.id))
    assert claim is not None
    house.records.run(lambda tx: tx.claims.release(claim))


def held(house: House, *steps: Step | Group | Parallel, **inputs: JsonValue) -> RequestRow:
    """A request whose last step has failed."""
    house.stage.action("fail", behave=fails)
    schema = MEMBERS if inputs else None
    request = house.order(plan_of(*steps, step("fail"), inputs=schema), **inputs)
    house.run(request)
    assert house.now(request).state is RequestState.ON_HOLD, house.now(request).state_reason
    return request


def fails(call: ActionCall) -> ActionResult:
    raise ActionFailed("it is broken", error_class=ErrorClass.PERMANENT, code="Broken")

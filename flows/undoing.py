"""Taking back what the steps of a request did, in reverse order (invariants 5 and 7).

Only what was made is undone by the undo of its step; what was changed is put back as it was; what was so already, or
only read, is left alone. Each call of an undo is recorded as a step of its own (`create.undo.0`): evaluated once, with
intent, token and retries, so that an undo that was killed half-way is gone on with.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from flows.child_undo import ChildUndo
from flows.proof import NotUndone, Proof
from flows.reached import Reached, is_beside
from flows.records.rows import EffectRow, LeftOver
from flows.records.states import EffectState, StepState
from flows.undo_ledger import Forward, Key, UndoLedger, undo_path
from flows.walk import PASSED, STOPPED, Passage, StepReport, Unit, passage_of
from request_models.actions import ActionResult, EffectClass, Outcome, Presence
from request_models.engine_actions import REQUEST_SUBMIT
from request_models.json_values import JsonValue
from request_models.plan import Call, Expression, Literal, MapOf, Step, UndoAction, call_fields
from request_models.secrecy import secret_pointers

RESTORE = "restore"
_THERE = frozenset({Outcome.MADE, Outcome.CHANGED})


@dataclass(frozen=True, kw_only=True)
class UndoUnit(Unit):
    """One call of the undo of `forward`; `call` is what that did. `restores`: it puts back what was there before."""

    forward: Unit
    call: Forward
    called: str
    restores: bool = False
    before: JsonValue = None

    @property
    def label(self) -> str:
        """As operators call it: `create.undo`, `add[anna].undo.1`."""
        return self.called


@dataclass(frozen=True)
class Undone:
    """How far an undo came, and what was not taken back, in the order in which it was done."""

    passage: Passage
    left_over: tuple[LeftOver, ...]


class Undoing:
    """One undo, of a whole request or of a block.

    `children` are the requests that steps ordered. `run` brings a call of an undo to its outcome. `adopt` records that
    an effect nobody knew of is there. `leaves`: what cannot be taken back may be left, so that it keeps nothing before
    it from being taken back. Every write raises ClaimLost once the claim is stale.
    """

    def __init__(
        self,
        ledger: UndoLedger,
        proof: Proof,
        children: ChildUndo,
        run: Callable[[Unit], StepReport],
        adopt: Callable[[Unit, EffectRow, ActionResult], None],
        stop: threading.Event,
        *,
        leaves: bool = False,
    ) -> None:
        self._leaves = leaves
        self._ledger = ledger
        self._proof = proof
        self._children = children
        self._run = run
        self._adopt = adopt
        self._stop = stop
        self._reached: dict[Key, Reached] = {}
        self._along: defaultdict[Key, list[EffectRow]] = defaultdict(list)
        self._left: list[LeftOver] = []

    def take_back(self, reached: Sequence[Reached]) -> Undone:
        """Take back what these steps did, the latest first. What comes before something that is stuck waits for it."""
        self._reached = {one.key: one for one in reached}
        passage, stuck = PASSED, list[Reached]()
        effects = self._ledger.effects()
        self._children.stop(effect for effect in effects if self._ordered(effect))
        for effect in reversed(effects):
            one = self._reached.get((effect.path, effect.item_key))
            if one is None or not _may_be_there(one.unit.step, effect):
                continue
            if self._stop.is_set():
                passage |= STOPPED
                break
            first = next((other for other in stuck if not is_beside(one.place, other.place)), None)
            if first is not None:
                self._leave(one, effect, f"`{first.unit.label}` has to be taken back first")
                continue
            came_of_it = self._one(one, effect)
            passage |= came_of_it
            if came_of_it.pauses or (came_of_it.failures and not self._leaves):
                stuck.append(one)
        for cover, effects in self._along.items():
            for effect in effects:
                self._leave(self._reached[effect.path, effect.item_key], effect, f"it goes along with `{cover[0]}`")
        for one in reached:
            if one.unit.step.uses == REQUEST_SUBMIT:
                self._left += reversed(self._children.left_over(*one.key))
        return Undone(passage, tuple(reversed(self._left)))

    def _ordered(self, effect: EffectRow) -> bool:
        """Whether it is the order of another model that is to be taken back with it."""
        one = self._reached.get((effect.path, effect.item_key))
        return one is not None and _takes_back_its_order(one.unit.step) and _may_be_there(one.unit.step, effect)

    def _one(self, one: Reached, effect: EffectRow) -> Passage:
        """Take back one effect. What cannot be is a failure, and left for a person."""
        try:
            forward = self._ledger.forward(one.unit, effect)
            if effect.state is EffectState.UNKNOWN:
                found = self._found_out(one, forward)
                if found is None:
                    return PASSED
                forward = found
            passage = self._by_its_undo(one, forward)
        except NotUndone as error:
            label = f"{one.unit.label}.undo"
            path = undo_path(one.unit.step.path, "0")
            passage = Passage(
                (StepReport(path, StepState.FAILED, message=self._ledger.masked(str(error)), label=label),)
            )
        if passage.failures:
            self._leave(one, effect, "; ".join(report.message for report in passage.failures))
        return passage

    def _found_out(self, one: Reached, forward: Forward) -> Forward | None:
        """What is known of an effect nobody knew of, after looking for it; None when there is nothing to take back."""
        finding = self._proof.of_unknown(one.unit, forward)
        if finding is None:
            return forward  # its own undo runs without the result
        if finding.answer is not None:
            self._adopt(one.unit, forward.effect, finding.answer)
            known = cast(EffectRow, self._ledger.effect(one.key))
            return self._ledger.forward(one.unit, known) if known.outcome in _THERE else None
        if finding.presence is Presence.ABSENT:
            self._ledger.absent(forward.effect)
            return None
        if finding.presence is Presence.CANNOT_TELL and forward.pre_read is None:
            return forward
        raise NotUndone(
            f"Nobody knows whether {forward.effect.action} had its effect, and what is there may not be this request's:"
            f" {finding.seen} A person must look at the target and settle what is there."
        )

    def _by_its_undo(self, one: Reached, forward: Forward) -> Passage:
        undo = one.unit.step.undo
        if _takes_back_its_order(one.unit.step):
            return self._order(one, forward)
        if undo is None or undo.none is not None:
            why = "its model does not say how to take it back" if undo is None else str(undo.none)
            self._leave(one, forward.effect, why)
            return PASSED
        if undo.covered_by is not None:
            return self._covered(one, forward, undo.covered_by)
        if forward.effect.outcome is Outcome.CHANGED:
            return self._put_back(one, forward)
        return self._acted(one, forward, undo.actions)

    def _order(self, one: Reached, forward: Forward) -> Passage:
        """Take back an order of another model: wait until what was ordered is taken back."""
        child = self._children.take_back(forward.effect)
        if child is None:
            self._leave(one, forward.effect, "a person did it by hand, and has to take it back")
            return PASSED
        if child.state.ended:
            return self._is_taken_back(one, forward, f"request {child.id} is {child.state.value}")
        return Passage(pauses=(self._children.wait(child),))

    def _covered(self, one: Reached, forward: Forward, name: str) -> Passage:
        cover = self._cover(one, name)
        if cover is not None:
            takes_along = self._taking_along(cover)
            if takes_along is not None:
                self._along[takes_along.key].append(forward.effect)
                return PASSED
        elif not self._proof.action(one.unit, forward).spec.restores:
            self._leave(one, forward.effect, f"it goes along with `{name}`, which is not taken back now")
            return PASSED
        return self._put_back(one, forward)

    def _cover(self, one: Reached, name: str) -> Reached | None:
        """The step that covers another: in the same item, or in one around it."""
        for frame in reversed(tuple(one.unit.frame.chain())):
            found = self._reached.get((name, frame.key))
            if found is not None:
                return found
        return None

    def _taking_along(self, cover: Reached) -> Reached | None:
        """The step whose undo takes along what a cover covers; None if that did not make what it is there for."""
        effect, undo = self._ledger.effect(cover.key), cover.unit.step.undo
        if effect is None:
            return None
        if undo is not None and undo.covered_by is not None:
            above = self._cover(cover, undo.covered_by)
            return None if above is None else self._taking_along(above)
        return cover if effect.state is EffectState.UNKNOWN or effect.outcome is Outcome.MADE else None

    def _acted(self, one: Reached, forward: Forward, actions: Sequence[UndoAction]) -> Passage:
        for number, action in enumerate(actions):
            passage = passage_of(self._run(_unit_of(one.unit, forward, action, number, len(actions))))
            if passage.failures and self._is_gone(one, forward):
                break
            if not passage.goes_on:
                return passage
        if any(action.polling is not None for action in actions):
            return self._is_taken_back(one, forward, "undone; its undo looked until it was so")
        return self._proved(one, forward, "undone")

    def _is_gone(self, one: Reached, forward: Forward) -> bool:
        """Whether it is proved that nothing is left to take back, whatever became of the undo's call."""
        finding = self._proof.of_absence(one.unit, forward, patient=False)
        return finding is not None and finding.presence is Presence.ABSENT

    def _put_back(self, one: Reached, forward: Forward) -> Passage:
        """Put back what was there before: what a call changed, or nothing where it made something."""
        action = self._proof.action(one.unit, forward)
        effect = forward.effect
        if effect.outcome is Outcome.CHANGED and effect.before is None:
            raise NotUndone(f"{effect.action} changed what was there, and what that was is not on record.")
        if effect.state is EffectState.UNKNOWN or not action.spec.restores:
            raise NotUndone(_cannot_put_back(forward))
        passage = passage_of(self._run(_restoring(one.unit, forward)))
        return self._proved(one, forward, "put back as it was") if passage.goes_on else passage

    def _proved(self, one: Reached, forward: Forward, said: str) -> Passage:
        """Look whether it is gone. An undo that succeeded and left it there did not do what it is for."""
        finding = self._proof.of_absence(one.unit, forward, patient=True)
        if finding is None:
            return self._is_taken_back(one, forward, f"{said}; nothing can look whether it is gone")
        if finding.presence is Presence.OURS:
            self._ledger.did_not_hold(one.key)
            raise NotUndone(f"Its undo succeeded, but what it made is still there: {finding.seen}")
        proof = {
            Presence.ABSENT: f"looked for, and gone: {finding.seen}",
            Presence.FOREIGN: f"what is there now is not this request's: {finding.seen}",
            Presence.CANNOT_TELL: f"looking for it does not tell: {finding.seen}",
        }[finding.presence]
        return self._is_taken_back(one, forward, f"{said}; {proof}")

    def _is_taken_back(self, one: Reached, forward: Forward, said: str) -> Passage:
        self._ledger.taken_back((forward.effect, *self._along.pop(one.key, ())), self._ledger.masked(said))
        return PASSED

    def _leave(self, one: Reached, effect: EffectRow, why: str) -> None:
        outcome = effect.state.value if effect.outcome is None else effect.outcome.value
        self._left.append(LeftOver(effect.path, effect.item_key, one.unit.label, effect.action, outcome, why))


def _takes_back_its_order(step: Step) -> bool:
    """Whether the step's undo is to take back what it ordered, which needs not be said."""
    return step.uses == REQUEST_SUBMIT and step.undo is None


def _may_be_there(step: Step, effect: EffectRow) -> bool:
    """Whether an effect is there, or may be, and is this request's to take back."""
    if effect.state is EffectState.DONE:
        return effect.outcome in _THERE
    return effect.state is EffectState.UNKNOWN and step.effect is not EffectClass.READ_ONLY


def _unit_of(unit: Unit, forward: Forward, action: UndoAction, number: int, of: int) -> UndoUnit:
    step = Step(**call_fields(action), path=undo_path(unit.step.path, str(number)), when=action.when)
    called = f"{unit.label}.undo" if of == 1 else f"{unit.label}.undo.{number}"
    return UndoUnit(step=step, frame=unit.frame, forward=unit, call=forward, called=called)


def _restoring(unit: Unit, forward: Forward) -> UndoUnit:
    """The call that puts back what was there: made with the arguments, hosts and target of the call it follows."""
    secret = {pointer.split("/")[1] for pointer in secret_pointers(unit.step.arguments) if pointer}
    members = {name: Expression(f"args[{name!r}]", secret=name in secret) for name in forward.arguments}
    same: Call = replace(
        unit.step,
        arguments=MapOf(members),
        hosts=Literal(list(forward.row.hosts)) if forward.row.hosts else None,
        target={key: Literal(value) for key, value in forward.row.target.items()},
        expect=None,
        otherwise=None,
        polling=None,
    )
    step = Step(**call_fields(same), path=undo_path(unit.step.path, RESTORE))
    before = forward.before if forward.effect.outcome is Outcome.CHANGED else None
    called = f"{unit.label}.undo"
    return UndoUnit(
        step=step, frame=unit.frame, forward=unit, call=forward, called=called, restores=True, before=before
    )


def _cannot_put_back(forward: Forward) -> str:
    action = forward.effect.action
    if forward.effect.outcome is Outcome.MADE:
        return (
            f"{action} made something in what had been there before, which is not taken away, and cannot put that back"
            " as it was. A person must take out what was made."
        )
    return (
        f"{action} changed what was there before ({_named(forward.before)}), and cannot put it back: what was there is"
        " kept with the request. A person must restore it."
    )


def _named(before: JsonValue) -> str:
    """What was there, by name only: there may be a secret in it."""
    return ", ".join(before) if isinstance(before, dict) and before else "see the record"

"""Fix and go on: the inputs of a request on hold are corrected, and only what depends on the correction runs again.

What is done, had an effect and depends on the correction is taken back first, by the run that goes on, with the inputs
as they were; then the correction holds (`flows.correcting`). What cannot be taken back is named, and nothing changes.
Steps that were not reached simply see the new inputs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from connectors.errors import UnknownAction
from connectors.registry import Registry
from flows.acceptance import ScopeOf, accepted_inputs, frozen_values, lock_names, refuse_ineligible, secret_values
from flows.approval_asking import INPUTS_CHANGED
from flows.block_ledger import decisions_of
from flows.correcting import apply_correction, may_be_there
from flows.decisions import KnownDecisions
from flows.errors import InvalidInputs, NotPossible
from flows.impact import Impact, ImpactSearch
from flows.interventions import CORRECTING, Act, Held, Interventions, end_what_waits, go_on_from_hold
from flows.places import label_of, surrounds
from flows.records.approval_rows import ApprovalState
from flows.records.corrections import NewCorrection
from flows.records.rows import EffectRow, RequestRow, StepRow
from flows.records.states import EffectState, TouchKind
from flows.scope import Scope, order_scope, request_frames
from flows.touching import touch_hold
from flows.undo_ledger import Key
from request_models.actions import ActionBroken, Outcome
from request_models.dependence import concerned_approvals, dependents, nodes_of_call, reads_any
from request_models.expressions import ExpressionError
from request_models.json_values import JsonValue, canonical_json
from request_models.plan import Plan, Step

_NAMED = 10
"""So many steps are named in a reason; the record has all of them."""


@dataclass(frozen=True)
class Correction:
    """Inputs that are to be others, by name, and the names of those that are not to be given at all."""

    inputs: Mapping[str, JsonValue]
    unset: tuple[str, ...] = ()


class Corrections:
    """Corrects the inputs of requests on hold."""

    def __init__(
        self, interventions: Interventions, registry: Registry, public_settings: Mapping[str, JsonValue]
    ) -> None:
        self._interventions = interventions
        self._registry = registry
        self._public = public_settings

    def fix(self, act: Act, correction: Correction) -> RequestRow:
        """Change inputs, judged as those of an order are, and let the request go on.

        A correction that still waits for what depends on it to be taken back is corrected further. Raises what
        `Interventions` raises, and InvalidInputs, NotEligible.
        """
        return self._interventions.act(act, CORRECTING, lambda held: self._fix(held, act, correction))

    def _fix(self, held: Held, act: Act, correction: Correction) -> RequestRow:
        tx, request, plan, actor = held.tx, held.request, held.plan, act.caller.person.id
        pending = tx.corrections.pending(held.id)
        old = _known(tx.secrets.reveal(held.id, request.inputs))
        wished = old if pending is None else _known(tx.secrets.reveal(held.id, pending.inputs))
        given = {name: value for name, value in {**wished, **correction.inputs}.items() if name not in correction.unset}
        scope_of = self._scope_of(request, plan)
        inputs = _accepted(plan, given, correction.inputs, scope_of)
        scope = scope_of(inputs)
        values = frozen_values(plan, scope)
        refuse_ineligible(plan, {**scope, "values": values})
        locks = lock_names(plan, {**scope, "values": values})
        if not _different(wished, inputs):
            raise NotPossible("These are the inputs that the request has: nothing would change. Retry it instead.")
        changed = _different(old, inputs)
        new = self._sealed(held, act, inputs, values, changed)
        before = {} if request.values is None else _known(tx.secrets.reveal(held.id, request.values))
        others = _different(before, values)
        impact = self._impact(held, new, changed, others)
        there = _Undoable(held, self._registry).to_take_back(impact.steps)
        if there and frozenset(locks) != {row.name for row in tx.locks.of(held.id)}:
            raise NotPossible(
                f"With these inputs the request needs other locks, and first {_labels(held, there)} would have to be "
                "taken back under those it has. Have everything undone, and order anew."
            )
        touch_hold(tx, request, TouchKind.FIX, actor, act.remark)
        row = tx.corrections.ask(replace(new, steps=impact.steps, decisions=impact.decisions))
        for path, item_key in impact.steps:
            end_what_waits(held, path, item_key, actor, "the inputs of its request are corrected")
        asked_again = _withdraw(held, changed, values.keys() - others)
        parts = [f"changed: {_listed(sorted(changed))}", f"concerned: {_labels(held, impact.steps)}"]
        parts += [f"taken back first: {_labels(held, there)}"] if there else []
        parts += [f"asked again: {_listed(asked_again)}"] if asked_again else []
        said = f"{act.remark.why} ({'; '.join(parts)})"
        tx.audit.add(held.id, actor, INPUTS_CHANGED, request.state, request.state, said)
        if not there:
            apply_correction(tx, row, held.claim.epoch)
            tx.locks.want(held.id, locks)
        return go_on_from_hold(held, actor, f"its inputs were corrected: {act.remark.why}")

    def _sealed(
        self,
        held: Held,
        act: Act,
        inputs: dict[str, JsonValue],
        values: dict[str, JsonValue],
        changed: Collection[str],
    ) -> NewCorrection:
        """The correction as it is recorded, before it is known what depends on it."""
        tx, plan = held.tx, held.plan
        owner = f"corrections/{tx.corrections.next_number(held.id)}"
        before = tx.secrets.reveal(held.id, held.request.inputs)
        secret = [f"/{name}" for name in plan.secret_inputs]
        return NewCorrection(
            request_id=held.id,
            actor=act.caller.person.id,
            why=act.remark.why,
            changed=tuple(sorted(changed)),
            before=tx.secrets.seal(held.id, f"{owner}/before", before, secret),
            inputs=tx.secrets.seal(held.id, f"{owner}/inputs", inputs, secret),
            values=tx.secrets.seal(held.id, f"{owner}/values", values, secret_values(plan)),
            steps=(),
            decisions=(),
        )

    def _impact(self, held: Held, new: NewCorrection, inputs: Collection[str], values: Collection[str]) -> Impact:
        """What stands otherwise. Raises NotPossible where that cannot be told, or a correction cannot change it."""
        tx, plan = held.tx, held.plan
        changed = frozenset({f"inputs.{name}" for name in inputs} | {f"values.{name}" for name in values})
        read_again = _read_again(plan, changed)
        blocks = decisions_of(tx, held.id)
        taken_back = next((place for place, _ in blocks if place.endswith("/undo")), None)
        if taken_back is not None:
            raise NotPossible(
                "What a failed block did is being taken back, and that is on hold. Retry goes on with it; after that "
                "the inputs can be corrected."
            )
        corrected = replace(held.request, inputs=new.inputs, values=new.values)
        rows = {(row.path, row.item_key): row for row in tx.steps.all(held.id)}
        frames = request_frames(tx, plan, corrected, self._public)
        search = ImpactSearch(rows, lambda row: _arguments(held, row), KnownDecisions(blocks), frames)
        try:
            found = search.of(plan, changed)
        except ExpressionError as error:
            raise NotPossible(f"With these inputs the items of a loop cannot be told: {error}") from None
        return replace(found, steps=(*read_again, *found.steps))

    def _scope_of(self, request: RequestRow, plan: Plan) -> ScopeOf:
        def scope_of(inputs: Mapping[str, JsonValue]) -> Scope:
            return order_scope(
                plan,
                request_id=request.id,
                submitted=request.submitted,
                requester=request.requester,
                user=request.requested_for,
                inputs=inputs,
                public_settings=self._public,
            )

        return scope_of


def _accepted(
    plan: Plan, given: Mapping[str, JsonValue], corrected: Mapping[str, JsonValue], scope_of: ScopeOf
) -> dict[str, JsonValue]:
    """The inputs as an order with them would be accepted; what is not asked any more is left out."""
    try:
        return accepted_inputs(plan, given, scope_of)
    except InvalidInputs as error:
        unasked = {fault.pointer.removeprefix("/") for fault in error.problems if fault.code == "not-asked"}
        if not unasked or unasked & corrected.keys():
            raise
        return accepted_inputs(plan, {name: one for name, one in given.items() if name not in unasked}, scope_of)


def _withdraw(held: Held, changed: Collection[str], same: Collection[str]) -> list[str]:
    """Have those approvals asked again that covered what is corrected, and those not decided yet; gives their names."""
    concerned = concerned_approvals(
        held.plan, {f"inputs.{name}" for name in changed}, {f"values.{name}" for name in same}
    )
    rows = [row for row in held.tx.approvals.of(held.id) if row.state is not ApprovalState.WITHDRAWN]
    again = [row for row in rows if row.approval in concerned or row.state is ApprovalState.OPEN]
    for row in again:
        held.tx.approvals.withdraw(row.id, "the inputs were corrected")
    return [row.approval for row in again]


def _known(revealed: JsonValue) -> dict[str, JsonValue]:
    return revealed if isinstance(revealed, dict) else {}


def _different(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> set[str]:
    """The names whose values are not the same; `1`, `1.0` and `true` are three values."""
    return {name for name in old.keys() | new.keys() if _written(old, name) != _written(new, name)}


def _written(values: Mapping[str, JsonValue], name: str) -> bytes | None:
    return canonical_json(values[name]) if name in values else None


def _arguments(held: Held, row: StepRow) -> dict[str, JsonValue]:
    return _known(held.tx.secrets.reveal(held.id, row.arguments))


def _read_again(plan: Plan, changed: Collection[str]) -> list[Key]:
    """The prerequisites that are read anew. Raises NotPossible where something goes by what one of them answered."""
    concerned = [read for read in plan.prerequisites if reads_any(nodes_of_call(read), changed)]
    for read in concerned:
        name = read.path.removeprefix("prerequisites.")
        if dependents(plan, {f"facts.{name}"}):
            raise NotPossible(
                f"The prerequisite `{name}` was judged by what is corrected, and steps go by what it answered. Cancel "
                "the request and order anew, or correct only what that does not depend on."
            )
    return [(read.path, "") for read in concerned]


def _labels(held: Held, keys: Collection[Key]) -> str:
    """The steps as operators call them."""
    around = surrounds(held.plan)
    return _listed([label_of(around[path], item_key) if path in around else path for path, item_key in keys])


def _listed(names: list[str]) -> str:
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more]) or "none"


class _Undoable:
    """Judges of steps that depend on a correction whether what they did can be taken back."""

    def __init__(self, held: Held, registry: Registry) -> None:
        self._held = held
        self._registry = registry
        self._steps = {step.path: step for step in held.plan.steps}

    def to_take_back(self, keys: Collection[Key]) -> list[Key]:
        """Those of which something is there, or may be. Raises NotPossible if it cannot be taken back, naming them."""
        found = {key: effect for key in keys if (effect := self._there(key)) is not None}
        refused = [
            _refusal(_labels(self._held, [key]), effect, why)
            for key, effect in found.items()
            if (why := self._obstacle(key, effect, found)) is not None
        ]
        if refused:
            more = [f"And {len(refused) - _NAMED} more."] if len(refused) > _NAMED else []
            raise NotPossible(" ".join([*refused[:_NAMED], *more]))
        return list(found)

    def _there(self, key: Key) -> EffectRow | None:
        effect = self._held.tx.effects.current(self._held.id, *key)
        return effect if may_be_there(self._steps.get(key[0]), effect) else None

    def _obstacle(self, key: Key, effect: EffectRow, found: Mapping[Key, EffectRow]) -> str | None:
        step = self._steps[key[0]]
        undo = step.undo
        if undo is None:
            return "its model does not say how"
        if undo.none is not None:
            return f"its model says: {undo.none.rstrip('.')}"
        if undo.covered_by is not None:
            alone = effect.state is EffectState.DONE and self._puts_back(step, effect)
            if self._goes_along(key, found) or alone:
                return None
            return f"it goes along with `{undo.covered_by}`, which does not depend on the correction and stays"
        if effect.outcome is Outcome.CHANGED and not self._puts_back(step, effect):
            return "it changed what was there before, and cannot put that back"
        return None

    def _goes_along(self, key: Key, found: Mapping[Key, EffectRow]) -> bool:
        """Whether what covers a step is taken back too, and takes it along."""
        undo = self._steps[key[0]].undo
        if undo is None or undo.covered_by is None:
            return key in found and found[key].outcome is not Outcome.CHANGED
        parts = key[1].split("/") if key[1] else []
        around = ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)]
        cover = next((one for item in around if (one := (undo.covered_by, item)) in found), None)
        return cover is not None and self._goes_along(cover, found)

    def _puts_back(self, step: Step, effect: EffectRow) -> bool:
        if effect.outcome is Outcome.CHANGED and effect.before is None:
            return False
        pinned = step.content_digest
        content = None if pinned is None else self._held.tx.content.get(pinned)
        try:
            action = self._registry.action(step.uses) if content is None else self._registry.pinned(step.uses, content)
        except (UnknownAction, ActionBroken):
            return False
        return action.spec.restores


def _refusal(label: str, effect: EffectRow, why: str) -> str:
    if effect.state is EffectState.DONE:
        return (
            f"The step {label} depends on what is corrected, and what it did ({effect.action}) is there and cannot be "
            f"taken back: {why}. Correct only what it does not depend on, or undo the request and order anew."
        )
    return (
        f"The step {label} depends on what is corrected, it is not known what it did ({effect.action}), and it cannot "
        f"be taken back: {why}. Look at the target, then complete the step by hand, or retry it as it is."
    )

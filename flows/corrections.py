"""Fix and go on: the inputs of a request on hold are corrected, and only what depends on the correction runs again.

Steps that were not reached simply see the new inputs. One that is done and had an effect would have to be undone
before it can run with others; it is named, and nothing is changed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flows.acceptance import ScopeOf, accepted_inputs, frozen_values, refuse_ineligible, secret_values
from flows.approval_asking import INPUTS_CHANGED
from flows.errors import InvalidInputs, NotPossible
from flows.interventions import Act, Held, Interventions, end_what_waits, go_on_from_hold
from flows.places import Surround, label_of, surrounds
from flows.records.approval_rows import ApprovalState
from flows.records.rows import EffectRow, RequestRow, StepRow
from flows.records.states import PROVED_ABSENT, EffectState, TouchKind
from flows.scope import Scope, order_scope
from flows.touching import touch_hold
from request_models.actions import Outcome
from request_models.dependence import concerned_approvals, dependents
from request_models.json_values import JsonValue, canonical_json
from request_models.plan import Plan


@dataclass(frozen=True)
class Correction:
    """Inputs that are to be others, by name, and the names of those that are not to be given at all."""

    inputs: Mapping[str, JsonValue]
    unset: tuple[str, ...] = ()


class Corrections:
    """Corrects the inputs of requests on hold."""

    def __init__(self, interventions: Interventions, public_settings: Mapping[str, JsonValue]) -> None:
        self._interventions = interventions
        self._public = public_settings

    def fix(self, act: Act, correction: Correction) -> RequestRow:
        """Change inputs, judged as those of an order are, and let the request go on.

        Raises what `Interventions` raises, and InvalidInputs, NotEligible.
        """
        return self._interventions.act(act, "correcting its inputs", lambda held: self._fix(held, act, correction))

    def _fix(self, held: Held, act: Act, correction: Correction) -> RequestRow:
        tx, request, plan = held.tx, held.request, held.plan
        old = _known(tx.secrets.reveal(held.id, request.inputs))
        given = {name: value for name, value in {**old, **correction.inputs}.items() if name not in correction.unset}
        scope_of = self._scope_of(request, plan)
        inputs = _accepted(plan, given, correction.inputs, scope_of)
        scope = scope_of(inputs)
        values = frozen_values(plan, scope)
        refuse_ineligible(plan, {**scope, "values": values})
        changed = _different(old, inputs)
        if not changed:
            raise NotPossible("These are the inputs that the request has: nothing would change. Retry it instead.")
        before = {} if request.values is None else _known(tx.secrets.reveal(held.id, request.values))
        same = values.keys() - _different(before, values)
        again = dependents(plan, {f"inputs.{name}" for name in changed}, {f"values.{name}" for name in same})
        forgotten = _forget(held, again, act.caller.person.id)
        withdrawn = _withdraw(held, changed, same)
        touch_hold(tx, request, TouchKind.FIX, act.caller.person.id, act.remark)
        tx.requests.set_inputs(
            held.id, tx.secrets.seal(held.id, "inputs", inputs, [f"/{name}" for name in plan.secret_inputs])
        )
        tx.requests.set_values(held.id, tx.secrets.seal(held.id, "values", values, secret_values(plan)))
        again_asked = f"; asked again: {', '.join(withdrawn)}" if withdrawn else ""
        parts = f"changed: {', '.join(sorted(changed))}; run again: {', '.join(forgotten) or 'none'}{again_asked}"
        said = f"{act.remark.why} ({parts})"
        tx.audit.add(held.id, act.caller.person.id, INPUTS_CHANGED, request.state, request.state, said)
        return go_on_from_hold(held, act.caller.person.id, f"its inputs were corrected: {act.remark.why}")

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


def _known(revealed: JsonValue) -> dict[str, JsonValue]:
    return revealed if isinstance(revealed, dict) else {}


def _different(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> set[str]:
    """The names whose values are not the same; `1`, `1.0` and `true` are three values."""
    return {name for name in old.keys() | new.keys() if _written(old, name) != _written(new, name)}


def _written(values: Mapping[str, JsonValue], name: str) -> bytes | None:
    return canonical_json(values[name]) if name in values else None


def _forget(held: Held, again: Collection[str], actor: str) -> list[str]:
    """Have what depends on the correction as if it had never run; gives the steps. Raises NotPossible."""
    tx, epoch, around = held.tx, held.claim.epoch, surrounds(held.plan)
    rows = [row for row in tx.steps.all(held.id) if row.path in again]
    effects = {(row.path, row.item_key): tx.effects.current(held.id, row.path, row.item_key) for row in rows}
    labels = {(row.path, row.item_key): _label(around, row) for row in rows}
    for key, effect in effects.items():
        _refuse_what_must_be_undone(labels[key], effect)
    for row in rows:
        effect = effects[row.path, row.item_key]
        if effect is not None and effect.state is EffectState.DONE:
            tx.effects.close(effect.id, EffectState.UNDONE, None, None, epoch)  # it had made nothing
        end_what_waits(held, row.path, row.item_key, actor)
        tx.steps.forget(held.id, row.path, epoch, item_key=row.item_key)
    for place in {one.place for path in again for one in around.get(path, ())}:
        for what in (place, f"{place}/items", f"{place}/item"):
            tx.blocks.forget(held.id, what, epoch)
    return [labels[row.path, row.item_key] for row in rows]


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


def _label(around: Mapping[str, tuple[Surround, ...]], row: StepRow) -> str:
    return label_of(around[row.path], row.item_key) if row.path in around else row.path


def _refuse_what_must_be_undone(label: str, effect: EffectRow | None) -> None:
    if effect is None or effect.state in PROVED_ABSENT or effect.outcome in {Outcome.READ, Outcome.ALREADY_SO}:
        return
    if effect.state is EffectState.DONE:
        raise NotPossible(
            f"The step {label} depends on what is corrected, and what it did ({effect.action}) is there. It has to be "
            "undone first: undo the request and order anew, or correct only what it does not depend on."
        )
    raise NotPossible(
        f"The step {label} depends on what is corrected, and it is not known what it did ({effect.action}). Look at "
        "the target, then complete the step by hand, or retry it as it is."
    )

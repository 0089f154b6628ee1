"""Requests that a step of another request ordered (`request.submit`), each exactly once.

The order and the intent of the step's effect are one transaction, and the effect's token is the Idempotency-Key: after
a crash the child is there or it is not, and it is found again by its parent.

Undo: whoever takes the step back cancels or undoes that request and waits for its end (`child_undo`), which wakes the
parent as any end of a child does.
"""

from typing import Final

from flows.errors import RequestRefused
from flows.lifecycle import CREATE, FOR_OTHERS, Caller, Lifecycle, Order
from flows.records.records import Transaction
from flows.records.rows import EffectRow, Person, RequestRow
from flows.records.states import EffectState
from request_models.json_values import JsonValue, escape_pointer

CHANNEL: Final = "request"
"""The channel of what a request orders."""

ORDERING: Final = "orderly:request"
"""Whose Idempotency-Keys those of such orders are."""


def child_of(tx: Transaction, request_id: str, path: str, item_key: str = "") -> RequestRow | None:
    """The request that a step, or an item of it, has ordered; None if it has not, or if that one is taken back."""
    effect = tx.effects.current(request_id, path, item_key)
    if effect is None or effect.state is EffectState.UNDONE:
        return None
    return ordered_by(tx, effect)


def ordered_by(tx: Transaction, effect: EffectRow) -> RequestRow | None:
    """The request that was ordered with the token of an effect, whatever became of it; None if none was."""
    ordered = tx.idempotency.find(ORDERING, str(effect.token))
    return None if ordered is None else tx.requests.get(ordered.request_id)


def order_child(
    tx: Transaction, lifecycle: Lifecycle, parent: RequestRow, arguments: dict[str, JsonValue], token: str
) -> RequestRow:
    """Order what a step's arguments say, for the parent's user unless they name another. Raises RequestRefused."""
    model, inputs = arguments.get("model"), arguments.get("inputs", {})
    if not isinstance(model, str) or not isinstance(inputs, dict):
        raise RequestRefused("The step's arguments name no model and inputs.")
    order = Order(
        model=model,
        inputs=inputs,
        requested_for=_user(parent, arguments.get("user")),
        channel=CHANNEL,
        idempotency_key=token,
        parent=parent.id,
    )
    caller = Caller(ORDERING, parent.requester, frozenset({CREATE, FOR_OTHERS}))
    return lifecycle.submit_within(tx, order, caller).request


def outputs_of(tx: Transaction, child: RequestRow) -> tuple[dict[str, JsonValue], list[str]]:
    """The outputs of a fulfilled request by name, secrets revealed, and pointers to those that are secret."""
    if child.outputs is None:
        return {}, []
    shown = tx.secrets.reveal(child.id, child.outputs)
    values = shown if isinstance(shown, dict) else {}
    outputs = {name: one["value"] for name, one in values.items() if isinstance(one, dict)}
    secret = {pointer.split("/")[1] for pointer in child.outputs.secret_pointers}
    return outputs, [f"/{name}" for name in map(escape_pointer, outputs) if name in secret]


def _user(parent: RequestRow, user: JsonValue) -> Person:
    """The person of an id; of those the parent knows, all that is known."""
    if not isinstance(user, str) or user == parent.requested_for.id:
        return parent.requested_for
    return parent.requester if user == parent.requester.id else Person(id=user)

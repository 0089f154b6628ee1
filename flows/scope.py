"""What expressions see: the names of design section 3, built from the record with secrets revealed.

A scope lives in memory only, for one rendering; it is never stored, logged or handed to Prefect.
"""

from collections.abc import Mapping
from datetime import datetime

from flows.frames import Entry, Frames
from flows.records.records import Transaction
from flows.records.rows import Person, RequestRow, StepRow
from flows.records.states import StepState
from request_models.inputs import scope_inputs
from request_models.json_values import JsonValue
from request_models.plan import Plan

Scope = dict[str, object]


def order_scope(
    plan: Plan,
    *,
    request_id: str,
    submitted: datetime,
    requester: Person,
    user: Person,
    inputs: Mapping[str, JsonValue],
    public_settings: Mapping[str, JsonValue],
) -> Scope:
    """What is known when a request is accepted; `values` are added as they are computed."""
    return {
        "inputs": scope_inputs(plan, inputs),
        "values": {},
        "requester": _person(requester),
        "user": _person(user),
        "request": {"id": request_id, "model": plan.model, "submitted": submitted},
        "settings": dict(public_settings),
        "steps": {},
        "facts": {},
    }


def request_frames(
    tx: Transaction, plan: Plan, request: RequestRow, public_settings: Mapping[str, JsonValue]
) -> Frames:
    """What the steps of a request see: the order, its values, and every step that has come to an outcome."""
    inputs = tx.secrets.reveal(request.id, request.inputs)
    scope = order_scope(
        plan,
        request_id=request.id,
        submitted=request.submitted,
        requester=request.requester,
        user=request.requested_for,
        inputs=inputs if isinstance(inputs, dict) else {},
        public_settings=public_settings,
    )
    if request.values is not None:
        scope["values"] = tx.secrets.reveal(request.id, request.values)
    untold = {StepState.STARTED, StepState.UNDONE}
    ended = [row for row in tx.steps.all(request.id) if row.state not in untold]
    return Frames(scope, {(row.path, row.item_key): step_entry(tx, row) for row in ended})


def step_entry(tx: Transaction, row: StepRow) -> Entry:
    """What `steps.ID` holds of a step, secrets revealed."""
    entry: Entry = {"state": row.state.value, "args": tx.secrets.reveal(row.request_id, row.arguments)}
    if row.result is not None:
        entry["result"] = tx.secrets.reveal(row.request_id, row.result)
    return entry


def _person(person: Person) -> dict[str, JsonValue]:
    return {
        **person.attributes,
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "groups": list(person.groups),
        "manager": person.manager,
        "active": person.active,
    }

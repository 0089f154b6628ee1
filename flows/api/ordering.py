"""From the wire shape of an order to the order."""

import hashlib

from flows.api.shapes import Beneficiary, NewOrder, SourceShape
from flows.lifecycle import Order, Source
from flows.records.rows import Person
from request_models.json_values import canonical_json


def order_of(order: NewOrder, idempotency_key: str | None) -> Order:
    """The order that a body says."""
    return Order(
        model=order.model,
        inputs=order.inputs,
        requested_for=beneficiary_of(order.requested_for),
        source=_source(order.source),
        channel="api",
        idempotency_key=idempotency_key,
        # Of what the body says, not of its bytes: a client may write its members in another order when it repeats.
        body_digest=hashlib.sha256(canonical_json(order.model_dump(mode="json", exclude_unset=True))).hexdigest(),
        not_before=order.not_before,
    )


def beneficiary_of(given: str | Beneficiary | None) -> Person | None:
    """Whom it is for, as far as the body says; None for the caller."""
    match given:
        case None:
            return None
        case str():
            return Person(id=given)
        case Beneficiary():
            return Person(
                id=given.id, name=given.name, email=given.email, groups=tuple(given.groups), manager=given.manager
            )


def _source(given: SourceShape | None) -> Source | None:
    return None if given is None else Source(system=given.system, id=given.id, url=given.url)

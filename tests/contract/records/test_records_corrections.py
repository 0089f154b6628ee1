"""Corrections of inputs: who changed what, and of each request at most one that does not hold yet."""

from collections.abc import Callable
from typing import Any

import pytest

from flows.records.corrections import CorrectionRow, NewCorrection
from flows.records.errors import Conflict
from flows.records.records import Records
from flows.records.rows import RequestRow, Sealed
from flows.records.states import CorrectionState


def correction(request: RequestRow, region: str = "eu-west-1\0") -> NewCorrection:
    return NewCorrection(
        request_id=request.id,
        actor="anna",
        why="a typing error \N{LADY BEETLE}",
        changed=("pin", "region"),
        before=Sealed("corrections/1/before", {"region": "mars", "pin": None}, ("/pin",)),
        inputs=Sealed("corrections/1/inputs", {"region": region, "pin": None}, ("/pin",)),
        values=Sealed("corrections/1/values", {}),
        steps=(("create", ""), ("add", "anna/x~1y")),
        decisions=(("/1/items", ""), ("/1/item", "anna")),
    )


def ask(records: Records, new: NewCorrection) -> CorrectionRow:
    return records.run(lambda tx: tx.corrections.ask(new))


def test_a_correction_is_kept_as_it_was_asked_until_it_holds(
    records: Records, order: Callable[..., RequestRow], clock: Any
) -> None:
    request, other = order(), order()
    new = correction(request)
    row = ask(records, new)
    assert row == CorrectionRow(**vars(new), number=1, state=CorrectionState.PENDING, asked=records.now(), settled=None)
    assert records.read(lambda tx: tx.corrections.pending(request.id)) == row
    assert records.read(lambda tx: tx.corrections.pending(other.id)) is None
    clock.advance(seconds=3)
    records.run(lambda tx: tx.corrections.applied(row))
    assert records.read(lambda tx: tx.corrections.pending(request.id)) is None
    (held,) = records.read(lambda tx: tx.corrections.of(request.id))
    assert (held.state, held.settled) == (CorrectionState.APPLIED, records.now())
    with pytest.raises(Conflict):
        records.run(lambda tx: tx.corrections.applied(row))


def test_one_that_is_pending_is_withdrawn_by_the_next_and_they_are_counted(
    records: Records, order: Callable[..., RequestRow]
) -> None:
    request = order()
    assert records.read(lambda tx: tx.corrections.next_number(request.id)) == 1
    ask(records, correction(request))
    second = ask(records, correction(request, "eu-west-2"))
    assert second.number == 2
    assert records.read(lambda tx: tx.corrections.next_number(request.id)) == 3
    assert [row.state for row in records.read(lambda tx: tx.corrections.of(request.id))] == [
        CorrectionState.WITHDRAWN,
        CorrectionState.PENDING,
    ]
    assert records.run(lambda tx: tx.corrections.withdraw(request.id))
    assert not records.run(lambda tx: tx.corrections.withdraw(request.id))

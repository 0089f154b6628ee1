"""The outbox: told at least once, in due time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flows.records.records import Records, Transaction
from flows.records.rows import OutboxRow, RequestRow


def due(records: Records, clock: Any, limit: int = 10, kind: str = "dispatch") -> list[OutboxRow]:
    return records.read(lambda tx: tx.outbox.due(kind, clock(), limit))


def test_a_message_is_due_until_it_is_done(records: Records, order: Callable[..., RequestRow], clock: Any) -> None:
    request = order()
    message = records.run(lambda tx: tx.outbox.put("dispatch", request.id, {"to": "\0📨"}, clock()))
    assert due(records, clock) == [
        OutboxRow(
            id=message,
            kind="dispatch",
            request_id=request.id,
            payload={"to": "\0📨"},
            created=clock(),
            available_at=clock(),
            attempts=0,
            error=None,
        )
    ]
    assert due(records, clock) != []
    records.run(lambda tx: tx.outbox.done(message))
    assert due(records, clock) == []


def test_messages_of_another_kind_or_of_later_are_not_due(records: Records, clock: Any) -> None:
    records.run(lambda tx: tx.outbox.put("callback", None, None))
    records.run(lambda tx: tx.outbox.put("dispatch", None, None, clock() + timedelta(seconds=1)))
    assert due(records, clock) == []
    clock.advance(seconds=1)
    assert len(due(records, clock)) == 1


def test_a_deferred_message_comes_back_with_what_went_wrong(records: Records, clock: Any) -> None:
    message = records.run(lambda tx: tx.outbox.put("dispatch", None, 1))
    records.run(lambda tx: tx.outbox.defer(message, "HTTP 503", clock() + timedelta(seconds=5)))
    assert due(records, clock) == []
    clock.advance(seconds=5)
    (again,) = due(records, clock)
    assert (again.attempts, again.error) == (1, "HTTP 503")


def test_what_waited_longest_comes_first_and_no_more_than_asked_for(records: Records, clock: Any) -> None:
    def put(late: int) -> int:
        return records.run(lambda tx: tx.outbox.put("dispatch", None, late, clock() - timedelta(seconds=late)))

    made = [put(late) for late in (1, 3, 2)]
    assert [row.id for row in due(records, clock, limit=2)] == [made[1], made[2]]


def test_a_message_put_in_a_transaction_that_fails_is_never_told(records: Records, clock: Any) -> None:
    def put_and_fail(tx: Transaction) -> None:
        tx.outbox.put("dispatch", None, 1)
        raise KeyError

    with pytest.raises(KeyError):
        records.run(put_and_fail)
    assert due(records, clock) == []

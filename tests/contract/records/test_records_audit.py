"""Invariant 10: every change of state is an event in a chain that shows what was done to it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update

from flows.records.audit import REASONS_ERASED
from flows.records.errors import NotFound
from flows.records.records import Records, Transaction
from flows.records.rows import RequestRow
from flows.records.states import RequestState
from flows.records.tables import audit, requests

Order = Callable[..., RequestRow]


@pytest.fixture
def request_id(records: Records, order: Order) -> str:
    request = order()

    def hold(tx: Transaction) -> None:
        for to in (RequestState.SCHEDULED, RequestState.IN_PROGRESS, RequestState.ON_HOLD):
            tx.requests.move(request.id, to, actor="ann", why="Host unreachable\0 🙁")

    records.run(hold)
    return request.id


def problems(records: Records, request_id: str) -> list[str]:
    return [problem.message for problem in records.read(lambda tx: tx.audit.verify(request_id))]


def tamper(records: Records, *statements: Any) -> None:
    with records._engine.begin() as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount


def event(request_id: str, sequence: int) -> Any:
    return (audit.c.request_id == request_id) & (audit.c.sequence == sequence)


def test_each_move_says_who_when_from_to_and_why(records: Records, request_id: str, clock: Any) -> None:
    events = records.read(lambda tx: tx.audit.of(request_id))
    assert [(e.sequence, e.actor, e.event, e.from_state, e.to_state) for e in events] == [
        (1, "desk", "submitted", None, RequestState.VALIDATING),
        (2, "ann", "moved", RequestState.VALIDATING, RequestState.SCHEDULED),
        (3, "ann", "moved", RequestState.SCHEDULED, RequestState.IN_PROGRESS),
        (4, "ann", "moved", RequestState.IN_PROGRESS, RequestState.ON_HOLD),
    ]
    assert {e.at for e in events} == {clock()}
    assert events[3].why == "Host unreachable\0 🙁"


def test_an_untouched_chain_holds(records: Records, request_id: str) -> None:
    records.run(lambda tx: tx.audit.add(request_id, "prefect-ui", "retried", why="reason unknown"))
    assert problems(records, request_id) == []
    assert records.run(lambda tx: tx.audit.verify(request_id)) == []


def test_a_move_that_is_rolled_back_leaves_no_event(records: Records, request_id: str) -> None:
    def move_and_fail(tx: Transaction) -> None:
        tx.requests.move(request_id, RequestState.IN_PROGRESS, actor="ann", why="")
        raise KeyError

    with pytest.raises(KeyError):
        records.run(move_and_fail)
    assert len(records.read(lambda tx: tx.audit.of(request_id))) == 4
    assert problems(records, request_id) == []


@pytest.mark.parametrize(
    "altered",
    [
        {"actor": "Ann"},
        {"event": "noved"},
        {"to_state": RequestState.CANCELLED},
        {"from_state": None},
        {"why_digest": "0" * 64},
        {"hash": "0" * 64},
    ],
    ids=lambda altered: next(iter(altered)),
)
@pytest.mark.parametrize("sequence", [1, 3, 4])
def test_an_altered_event_is_found(records: Records, request_id: str, sequence: int, altered: dict[str, Any]) -> None:
    before = records.read(lambda tx: tx.audit.of(request_id))[sequence - 1]
    if all(getattr(before, name) == value for name, value in altered.items()):
        altered = {"from_state": RequestState.REJECTED}  # the first event has no state before it
    tamper(records, update(audit).where(event(request_id, sequence)).values(**altered))
    assert problems(records, request_id)


def test_a_time_altered_by_a_microsecond_is_found(records: Records, request_id: str, clock: Any) -> None:
    clock.advance(microseconds=1)
    tamper(records, update(audit).where(event(request_id, 2)).values(at=clock()))
    assert problems(records, request_id) == ["The event does not fit its hash: altered."]


def test_an_altered_reason_is_found(records: Records, request_id: str) -> None:
    tamper(records, update(audit).where(event(request_id, 4)).values(why="All well"))
    assert problems(records, request_id) == ["Its reason was altered."]


def test_a_reason_taken_away_is_found(records: Records, request_id: str) -> None:
    tamper(records, update(audit).where(event(request_id, 4)).values(why=None, why_salt=None))
    assert problems(records, request_id) == ["Its reason is gone and was never erased."]


def test_a_removed_event_is_found(records: Records, request_id: str) -> None:
    tamper(records, delete(audit).where(event(request_id, 2)))
    assert problems(records, request_id) == [
        "It stands in place 2: one is missing.",
        "4 events were recorded, 3 are there.",
    ]


def test_a_removed_event_is_found_when_those_after_it_close_up(records: Records, request_id: str) -> None:
    tamper(
        records,
        delete(audit).where(event(request_id, 2)),
        update(audit).where(event(request_id, 3)).values(sequence=2),
        update(audit).where(event(request_id, 4)).values(sequence=3),
        update(requests).where(requests.c.id == request_id).values(audit_count=3),
    )
    assert "The event does not fit its hash: altered." in problems(records, request_id)


def test_a_cut_off_tail_is_found(records: Records, request_id: str) -> None:
    tamper(records, delete(audit).where(event(request_id, 4)))
    assert problems(records, request_id) == ["4 events were recorded, 3 are there."]
    tamper(records, update(requests).where(requests.c.id == request_id).values(audit_count=3))
    assert problems(records, request_id) == ["The last event is not the one the request's row knows."]


def test_a_chain_removed_as_a_whole_is_found(records: Records, request_id: str) -> None:
    tamper(records, delete(audit).where(audit.c.request_id == request_id))
    assert problems(records, request_id) == ["4 events were recorded, 0 are there."]


def test_events_of_another_request_do_not_fit(records: Records, request_id: str, order: Order) -> None:
    other = order()
    tamper(
        records,
        delete(audit).where(audit.c.request_id == other.id),
        update(audit).where(event(request_id, 1)).values(request_id=other.id),
    )
    assert "The event does not fit its hash: altered." in problems(records, other.id)


def test_reasons_are_erased_and_the_chain_still_holds(records: Records, request_id: str) -> None:
    records.run(lambda tx: tx.audit.erase_reasons(request_id, "privacy-officer", "asked by the person"))
    events = records.read(lambda tx: tx.audit.of(request_id))
    assert [e.why for e in events] == [None] * 4 + ["asked by the person"]
    assert events[-1].event == REASONS_ERASED
    assert problems(records, request_id) == []


def test_the_trail_of_an_unknown_request_is_neither_added_to_nor_verified(records: Records) -> None:
    with pytest.raises(NotFound):
        records.run(lambda tx: tx.audit.add("nobody", "ann", "looked"))
    with pytest.raises(NotFound):
        records.run(lambda tx: tx.audit.verify("nobody"))

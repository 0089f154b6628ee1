"""Approvals on each database: what is asked of whom, decisions made once, links that are bound and used once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flows.records.approval_rows import (
    ANY_TURN,
    ApprovalFilter,
    ApprovalRow,
    ApprovalState,
    Decision,
    LinkRow,
    NewApproval,
    NewDecision,
    NewLink,
    NewSeat,
    SeatKind,
)
from flows.records.errors import Conflict, NotFound
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.rows import RequestRow, Sealed
from flows.records.states import RequestState

Order = Callable[..., RequestRow]


def new(request: RequestRow, approval: str = "large", generation: int = 1, **more: Any) -> NewApproval:
    given = {"due": None, "remind_at": None, "escalate_at": None, "next_at": None, **more}
    return NewApproval(
        id=f"{request.id}-{approval}-{generation}",
        request_id=request.id,
        approval=approval,
        generation=generation,
        digest="d" * 64,
        quorum=1,
        in_turn=False,
        message=Sealed("m", "words"),
        **given,
    )


def ask(records: Records, wanted: NewApproval, *seats: NewSeat) -> ApprovalRow:
    return records.run(lambda tx: tx.approvals.add(wanted, seats))


def decision(row: ApprovalRow, approver: str, wanted: Decision = Decision.APPROVE) -> NewDecision:
    return NewDecision(approval_id=row.id, approver=approver, email="", seat="group:g", decision=wanted,
                       digest=row.digest, via="api", asked=row.asked, reason="so")  # fmt: skip


def found_by(records: Records, token: str) -> LinkRow | None:
    return records.read(lambda tx: tx.approvals.link_of(token))


def test_what_is_asked_is_there_as_it_was_asked(records: Records, order: Order, clock: Any) -> None:
    request = order()
    seats = (
        NewSeat(person="carl", origin="manager:user", since=clock()),
        NewSeat(group_name="g", origin="group:g", position=1),
        NewSeat(person="zoe", origin="person:zoe", position=ANY_TURN, kind=SeatKind.ESCALATED, since=clock()),
    )
    wanted = new(request, due=clock() + timedelta(days=2))
    row = ask(records, wanted, *seats)
    assert (row.state, row.asked, row.due, row.message) == (ApprovalState.OPEN, clock(), wanted.due, wanted.message)
    found = records.read(lambda tx: tx.approvals.seats(row.id))
    assert [NewSeat(**{name: getattr(one, name) for name in NewSeat.__dataclass_fields__}) for one in found] == [*seats]
    assert [one.who for one in found] == ["person:carl", "group:g", "person:zoe"]
    with pytest.raises(Conflict):
        ask(records, replace(wanted, id="another"))


def test_it_is_listed_for_whoever_is_asked_by_now(records: Records, order: Order, clock: Any) -> None:
    request = order()
    row = ask(
        records,
        new(request),
        NewSeat(person="carl", origin="", since=clock()),
        NewSeat(group_name="g", origin="", position=1),
    )
    other = ask(records, new(request, "other"), NewSeat(group_name="h", origin="", since=clock()))

    def listed(person: str, *groups: str) -> list[str]:
        wanted = ApprovalFilter(person=person, groups=groups)
        return [one.id for one in records.read(lambda tx: tx.approvals.list(wanted))]

    assert (listed("carl"), listed("dora", "g"), listed("dora"), listed("CARL")) == ([row.id], [], [], [])
    assert listed("carl", "h") == sorted([row.id, other.id])
    assert [one.who for one in records.run(lambda tx: tx.approvals.begin_turn(row.id, 1))] == ["group:g"]
    assert records.run(lambda tx: tx.approvals.begin_turn(row.id, 1)) == []
    assert listed("dora", "g") == [row.id]


def test_one_decides_once_and_a_decided_approval_stays_so(records: Records, order: Order) -> None:
    row = ask(records, new(order()))
    records.run(lambda tx: tx.approvals.decide(decision(row, "carl")))
    with pytest.raises(Conflict):
        records.run(lambda tx: tx.approvals.decide(decision(row, "carl", Decision.REJECT)))
    done = records.run(lambda tx: tx.approvals.finish(row.id, ApprovalState.APPROVED, ""))
    assert (done.state, done.version) == (ApprovalState.APPROVED, row.version + 1)
    with pytest.raises(Conflict, match="is approved"):
        records.run(lambda tx: tx.approvals.decide(decision(row, "dora")))
    with pytest.raises(Conflict, match="is approved"):
        records.run(lambda tx: tx.approvals.finish(row.id, ApprovalState.REJECTED, ""))
    with pytest.raises(NotFound):
        records.run(lambda tx: tx.approvals.finish("nothing", ApprovalState.REJECTED, ""))
    assert [one.approver for one in records.read(lambda tx: tx.approvals.decisions(row.id))] == ["carl"]


def test_asked_anew_it_has_another_generation_and_what_was_decided_is_kept(records: Records, order: Order) -> None:
    request = order()
    row = ask(records, new(request))
    records.run(lambda tx: tx.approvals.decide(decision(row, "carl")))
    records.run(lambda tx: tx.approvals.finish(row.id, ApprovalState.APPROVED, ""))
    records.run(lambda tx: tx.approvals.withdraw(row.id, "corrected"))
    assert records.read(lambda tx: tx.approvals.current(request.id, "large")) is None
    assert records.read(lambda tx: tx.approvals.generations(request.id, "large")) == 1
    again = ask(records, new(request, generation=2))
    assert records.read(lambda tx: tx.approvals.current(request.id, "large")) == again
    assert len(records.read(lambda tx: tx.approvals.decisions(row.id))) == 1


@pytest.mark.parametrize("end", [RequestState.CANCELLED, RequestState.REJECTED])
def test_a_request_that_has_ended_asks_nothing_more(records: Records, order: Order, end: RequestState) -> None:
    request = order()
    row = ask(records, new(request))
    records.run(lambda tx: tx.requests.move(request.id, end, actor="a", why="over"))
    found = records.read(lambda tx: tx.approvals.get(row.id))
    assert found is not None
    assert (found.state, found.reason) == (ApprovalState.WITHDRAWN, "over")


def test_the_keeper_looks_at_what_is_due_and_then_when_it_said(records: Records, order: Order, clock: Any) -> None:
    row = ask(records, new(order(), next_at=clock() + timedelta(hours=1)))
    assert records.read(lambda tx: tx.approvals.due(clock(), 9)) == []
    clock.advance(hours=1)
    assert [one.id for one in records.read(lambda tx: tx.approvals.due(clock(), 9))] == [row.id]
    records.run(lambda tx: tx.approvals.looked_at(row.id, None, reminded=clock()))
    assert records.read(lambda tx: tx.approvals.due(clock(), 9)) == []
    found = records.read(lambda tx: tx.approvals.get(row.id))
    assert found is not None
    assert found.reminded == clock()


def test_a_link_is_found_by_its_token_alone_and_used_once(
    records: Records, order: Order, clock: Any, keyring: Keyring
) -> None:
    row = ask(records, new(order()))
    link = NewLink(id="one", approval_id=row.id, person="carl", email="c@example.org", group_name=None,
                   digest=row.digest, expires=clock() + timedelta(days=1))  # fmt: skip
    records.run(lambda tx: tx.approvals.add_link(link))
    records.run(lambda tx: tx.approvals.add_link(replace(link, id="two", person="dora")))

    def token(link_id: str) -> str:
        found = records.read(lambda tx: tx.approvals.link(link_id))
        assert found is not None
        return records.read(lambda tx: tx.approvals.token(found))

    mine, hers = token("one"), token("two")
    found = records.read(lambda tx: tx.approvals.link_of(mine))
    assert found is not None
    assert (found.person, found.used) == ("carl", None)
    keyring.rotate()
    assert token("one") == mine
    for wrong in (f"two.{mine.partition('.')[2]}", "one.", "one", "", f"{mine}=", mine.swapcase(), hers[::-1]):
        assert found_by(records, wrong) is None
    assert records.run(lambda tx: tx.approvals.use_link("one")) is True
    assert records.run(lambda tx: tx.approvals.use_link("one")) is False

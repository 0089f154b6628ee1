"""Who may decide an approval: the one who is asked, never a party in whatever disguise, nobody twice."""

from datetime import UTC, datetime

import pytest

from flows.approval_rules import Parties, same_person, seat_to_decide, turn
from flows.errors import MayNotDecide
from flows.records.approval_rows import ANY_TURN, ApprovalRow, ApprovalState, Decision, DecisionRow, Seat
from flows.records.rows import Person, Sealed

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ANNA = Person("anna", email="anna@example.org", groups=("engineering",))
BEN = Person("ben")
PARTIES = Parties(((ANNA, "ordered this"), (BEN, "is the one it is for")))


def approval(quorum: int = 1, *, in_turn: bool = False) -> ApprovalRow:
    return ApprovalRow(
        id="a", request_id="r", approval="large", generation=1, digest="d", quorum=quorum, in_turn=in_turn,
        message=Sealed("m", ""), due=None, remind_at=None, escalate_at=None, next_at=None, state=ApprovalState.OPEN,
        asked=NOW, reminded=None, escalated=None, silent=None, decided=None, reason="", version=1,
    )  # fmt: skip


def seat(who: str, position: int = 0, *, asked: bool = True) -> Seat:
    kind, _, name = who.partition(":")
    person, group = (name, None) if kind == "person" else (None, name)
    return Seat(id=position, approval_id="a", person=person, group_name=group, origin=who, position=position,
                since=NOW if asked else None)  # fmt: skip


def decided(approver: str, decision: Decision = Decision.APPROVE, email: str = "") -> DecisionRow:
    return DecisionRow(id=1, approval_id="a", approver=approver, email=email, seat="", decision=decision, digest="d",
                       via="api", asked=NOW, reason="", decided=NOW)  # fmt: skip


@pytest.mark.parametrize(
    "disguise",
    [
        Person("anna", groups=("approvers",)),
        Person("ANNA", groups=("approvers",)),
        Person(" anna ", groups=("approvers",)),
        Person("\uff41\uff4e\uff4e\uff41", groups=("approvers",)),
        Person("anna@example.org", groups=("approvers",)),
        Person("second-account", email="Anna@Example.org", groups=("approvers",)),
        Person("Ben", groups=("approvers",)),
    ],
)
def test_neither_requester_nor_user_decides_however_they_write_themselves(disguise: Person) -> None:
    with pytest.raises(MayNotDecide, match="nobody approves a request of his own"):
        seat_to_decide(approval(), disguise, PARTIES, [seat("group:approvers")], [])


def test_who_is_asked_decides_in_person_or_as_one_of_a_group_and_only_exactly_so() -> None:
    seats = [seat("person:carl"), seat("group:approvers")]
    assert seat_to_decide(approval(), Person("carl", groups=("approvers",)), PARTIES, seats, []).person == "carl"
    assert seat_to_decide(approval(), Person("dora", groups=("approvers",)), PARTIES, seats, []).person is None
    for stranger in (Person("CARL"), Person("dora", groups=("Approvers",)), Person("approvers"), Person("")):
        with pytest.raises(MayNotDecide, match="is not asked of"):
            seat_to_decide(approval(), stranger, PARTIES, seats, [])


@pytest.mark.parametrize(
    "again",
    [
        Person("carl", groups=("approvers",)),
        Person("CARL", groups=("approvers",)),
        Person("carl2", email="CARL@example.org", groups=("approvers",)),
    ],
)
def test_nobody_decides_twice_by_whatever_right(again: Person) -> None:
    seats, before = [seat("person:carl"), seat("group:approvers")], [decided("carl", email="carl@example.org")]
    with pytest.raises(MayNotDecide, match="has decided this approval already"):
        seat_to_decide(approval(2), again, PARTIES, seats, before)


def test_who_has_handed_it_over_decides_no_more_not_even_as_one_of_a_group() -> None:
    seats, before = [seat("person:carl"), seat("group:approvers")], [decided("carl", Decision.DELEGATE)]
    with pytest.raises(MayNotDecide, match="has handed this approval over"):
        seat_to_decide(approval(), Person("carl", groups=("approvers",)), PARTIES, seats, before)


def test_in_turn_each_waits_for_the_one_before_and_the_last_in_line_give_what_is_missing() -> None:
    seats = [seat("person:carl"), seat("group:approvers", 1, asked=False), seat("person:zoe", ANY_TURN)]
    row, dora = approval(3, in_turn=True), Person("dora", groups=("approvers",))
    with pytest.raises(MayNotDecide, match="is not asked of dora"):
        seat_to_decide(row, dora, PARTIES, seats, [])
    assert seat_to_decide(row, Person("zoe"), PARTIES, seats, []).position == ANY_TURN
    seats[1] = seat("group:approvers", 1)
    first = [decided("carl")]
    assert turn(seats, first) == 1
    assert seat_to_decide(row, dora, PARTIES, seats, first).position == 1
    both = [*first, decided("dora")]
    assert seat_to_decide(row, Person("emil", groups=("approvers",)), PARTIES, seats, both).position == 1


def test_in_turn_the_turn_of_one_who_has_a_later_turn_too_is_the_later_one() -> None:
    seats = [seat("group:approvers", 0), seat("group:approvers", 1)]
    chosen = seat_to_decide(approval(2, in_turn=True), Person("dora", groups=("approvers",)), PARTIES, seats,
                            [decided("carl")])  # fmt: skip
    assert chosen.position == 1


def test_people_without_an_address_are_not_one_person_for_that() -> None:
    assert not same_person(Person("carl"), Person("dora"))
    assert not same_person(Person("carl", email=""), Person("dora", email=""))
    assert not same_person(Person("carl", email="a@example.org"), Person("dora", email="b@example.org"))

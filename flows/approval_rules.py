"""Who may decide an approval, and what becomes of it by what was decided: rules only, nothing is read or written.

To let somebody decide, an identity must be exactly the one that is asked. To keep somebody from deciding, looking alike
is enough: another case, another Unicode form, or the same mail address count as the same person.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flows.errors import MayNotDecide
from flows.records.approval_rows import ANY_TURN, ApprovalRow, Decision, DecisionRow, NewSeat, Seat
from flows.records.rows import Person


@dataclass(frozen=True)
class Parties:
    """The people whom the request is of: none of them may approve it. `of` says of each what makes him a party."""

    of: tuple[tuple[Person, str], ...]

    def why_not(self, person: Person) -> str | None:
        """Why a person may not decide; None if he is no party."""
        return next((why for party, why in self.of if same_person(party, person)), None)


def same_person(one: Person, other: Person) -> bool:
    """Whether two identities must be taken for one person."""
    if folded(one.id) == folded(other.id):
        return True
    addresses = {folded(text) for text in (one.id, one.email) if "@" in text}
    return bool(addresses & {folded(text) for text in (other.id, other.email) if "@" in text})


def folded(text: str) -> str:
    """A text without what only looks different."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


def seat_of(person: Person, seats: Iterable[Seat]) -> Seat | None:
    """By what right a person may decide now: the own seat before that of a group."""
    asked = [seat for seat in seats if seat.since is not None]
    own = [seat for seat in asked if seat.person is not None and seat.person == person.id]
    groups = [seat for seat in asked if seat.group_name is not None and seat.group_name in person.groups]
    return next(iter([*own, *groups]), None)


def seat_to_decide(
    approval: ApprovalRow, person: Person, parties: Parties, seats: Sequence[Seat], decisions: Sequence[DecisionRow]
) -> Seat:
    """The seat by which a person may decide now. Raises MayNotDecide."""
    why = parties.why_not(person)
    if why is not None:
        raise MayNotDecide(f"{person.id} {why}: nobody approves a request of his own.")
    before = next((one for one in decisions if same_person(Person(one.approver, email=one.email), person)), None)
    if before is not None and before.decision is Decision.DELEGATE:
        raise MayNotDecide(f"{person.id} has handed this approval over ({before.reason}); it is another's to decide.")
    if before is not None:
        raise MayNotDecide(f"{person.id} has decided this approval already; it needs {approval.quorum} people.")
    asked = whose_turn(seats, decisions) if approval.in_turn else list(seats)
    seat = seat_of(person, asked)
    if seat is None:
        over = " any more" if seat_of(person, seats) else ""
        raise MayNotDecide(f"This approval is not asked of {person.id}{over}. It is asked of: {named(asked)}.")
    return seat


def approvals_in(decisions: Iterable[DecisionRow]) -> int:
    """How many people have approved."""
    return sum(one.decision is Decision.APPROVE for one in decisions)


def turn(seats: Iterable[NewSeat], decisions: Iterable[DecisionRow]) -> int:
    """Whose turn it is: each approval passes it on, and the last in line give all that are still missing."""
    return min(approvals_in(decisions), max((seat.position for seat in seats), default=0))


def whose_turn(seats: Iterable[Seat], decisions: Sequence[DecisionRow]) -> list[Seat]:
    """The seats whose turn it is, those for any turn too."""
    all_seats = list(seats)
    now = turn(all_seats, decisions)
    return [seat for seat in all_seats if seat.position in {ANY_TURN, now}]


def named(seats: Iterable[NewSeat]) -> str:
    """Seats in words, as models write them."""
    return ", ".join(dict.fromkeys(seat.who for seat in seats)) or "nobody"

"""What people do to approvals: see them, approve, reject, delegate; and what follows from it.

Only here is a decision made, by whoever is asked, under the digest of what he saw, and with a reason for a refusal
(invariant 8). Each is one transaction with its audit event and what follows: the request goes on, or has ended.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from flows.approval_asking import parties_of, tell
from flows.approval_rules import approvals_in, same_person, seat_of, seat_to_decide, turn
from flows.errors import ApprovalClosed, ApprovalNotFound, InvalidInputs, MayNotDecide, OtherDigest
from flows.frames import PREREQUISITES, ROOT
from flows.lifecycle import READ_ALL, Caller
from flows.records.approval_rows import (
    ApprovalFilter,
    ApprovalRow,
    ApprovalState,
    Decision,
    DecisionRow,
    NewDecision,
    NewSeat,
    Seat,
    SeatKind,
)
from flows.records.records import Records, Transaction
from flows.records.rows import Person, RequestRow
from flows.records.states import RequestState
from flows.reversal import begin_undo
from flows.scheduling import schedule
from flows.scope import request_frames
from flows.waking import wake
from request_models.dependence import held_back
from request_models.json_values import JsonValue
from request_models.plan import Approval, Plan, Step

DECIDE = "approvals:decide"
MOST_SHOWN = 200

DECIDED = {
    Decision.APPROVE: "approval_given",
    Decision.REJECT: "approval_refused",
    Decision.DELEGATE: "approval_delegated",
}
"""Audit events of the approval's request."""

Whose = Literal["mine", "all"]


@dataclass(frozen=True)
class ShownInput:
    """One thing that was asked for; `titles` by language. Of a secret one the value is null."""

    name: str
    titles: Mapping[str, str]
    value: JsonValue
    secret: bool

    @property
    def words(self) -> str:
        """The value for a person to read."""
        if self.secret:
            return "(secret)"
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True)
class ShownApproval:
    """An approval with exactly what would be done: the request, its plan, and what it is asked about.

    `decidable`: the one who looks may decide it now.
    """

    row: ApprovalRow
    request: RequestRow
    plan: Plan
    approval: Approval
    seats: tuple[Seat, ...]
    decisions: tuple[DecisionRow, ...]
    facts: Mapping[str, JsonValue]
    decidable: bool = False

    @property
    def inputs(self) -> list[ShownInput]:
        """What was asked for, in the order of the form; those for approvers only too."""
        given = cast(Mapping[str, JsonValue], self.request.inputs.public)
        secret = {pointer.split("/")[1] for pointer in self.request.inputs.secret_pointers}
        properties = cast(Mapping[str, Any], self.plan.inputs.get("properties", {}))
        names = dict.fromkeys([*(name for name in self.plan.input_order if name in given), *given])
        found = []
        for name in names:
            schema = properties.get(name, {})
            titles = schema.get("x-titles") or {"en": schema.get("title", name)}
            found.append(ShownInput(name, titles, given[name], name in secret))
        return found

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that wait for it."""
        return held_back(self.plan, self.approval)


@dataclass(frozen=True)
class Verdict:
    """What somebody decides of what he saw: `digest` names that. `via`: `api`, or `link` for one in a mail."""

    decision: Decision
    digest: str
    reason: str = ""
    via: str = "api"


class Approvals:
    """What can be done to approvals. One that is not the caller's to see does not exist for him (ApprovalNotFound)."""

    def __init__(self, records: Records, public_settings: Mapping[str, JsonValue]) -> None:
        self._records = records
        self._public = public_settings

    def list(
        self, caller: Caller, whose: Whose, state: ApprovalState | None = ApprovalState.OPEN, request: str | None = None
    ) -> list[ShownApproval]:
        """Approvals that are asked of the caller, or all there are. Raises NotAllowed.

        At most `MOST_SHOWN` and one more, by which it is seen that there are more.
        """
        caller.require(DECIDE)
        person, groups = caller.person.id, caller.person.groups
        wanted = ApprovalFilter(state=state, person=person, groups=groups, request_id=request, limit=MOST_SHOWN + 1)
        if whose == "all":
            caller.require(READ_ALL)
            wanted = ApprovalFilter(state=state, request_id=request, limit=MOST_SHOWN + 1)

        def look(tx: Transaction) -> list[ShownApproval]:
            found = [shown(tx, row, caller) for row in tx.approvals.list(wanted)]
            mine = whose == "mine" and state is ApprovalState.OPEN
            return [one for one in found if one.decidable] if mine else found

        return self._records.read(look)

    def get(self, approval_id: str, caller: Caller) -> ShownApproval:
        """One approval. Raises NotAllowed, ApprovalNotFound."""
        caller.require(DECIDE)
        return self._records.read(lambda tx: shown(tx, _visible(tx, approval_id, caller), caller))

    def decide(self, approval_id: str, caller: Caller, verdict: Verdict) -> ShownApproval:
        """Record a decision, and what follows from it.

        Raises NotAllowed, ApprovalNotFound, ApprovalClosed, OtherDigest, MayNotDecide.
        """
        return self._records.run(lambda tx: self.decide_within(tx, approval_id, caller, verdict))

    def decide_within(self, tx: Transaction, approval_id: str, caller: Caller, verdict: Verdict) -> ShownApproval:
        """The same, in a transaction of the caller's."""
        request, row, seat = _to_act_on(tx, approval_id, caller, verdict.digest)
        _record(tx, row, seat, caller.person, verdict)
        why = f"{row.approval}, as {seat.who}" + (f": {verdict.reason}" if verdict.reason else "")
        tx.audit.add(request.id, caller.person.id, DECIDED[verdict.decision], request.state, request.state, why)
        if verdict.decision is Decision.REJECT:
            refuse(tx, request, row, caller.person.id, f"{caller.person.id} refused `{row.approval}`: {verdict.reason}")
        else:
            self._approved(tx, request, row, caller.person.id)
        return shown(tx, _required(tx, approval_id), caller)

    def delegate(self, approval_id: str, caller: Caller, to: str, reason: str) -> ShownApproval:
        """Have another person decide in the caller's place. Raises as `decide`."""

        def write(tx: Transaction) -> ShownApproval:
            request, row, seat = _to_act_on(tx, approval_id, caller, None)
            _refuse_delegate(tx, request, row, caller.person, Person(to))
            verdict = Verdict(Decision.DELEGATE, row.digest, f"to {to}: {reason}")
            _record(tx, row, seat, caller.person, verdict)
            made = tx.approvals.add_seat(
                row.id,
                NewSeat(
                    person=to,
                    origin=f"delegated by {caller.person.id}, {seat.who}",
                    position=seat.position,
                    kind=SeatKind.DELEGATED,
                    delegated_by=caller.person.id,
                    since=tx.now(),
                ),
            )
            why = f"{row.approval}, as {seat.who}, {verdict.reason}"
            tx.audit.add(request.id, caller.person.id, DECIDED[Decision.DELEGATE], request.state, request.state, why)
            tell(tx, row, [made], "delegated")
            return shown(tx, _required(tx, approval_id), caller)

        return self._records.run(write)

    def _approved(self, tx: Transaction, request: RequestRow, row: ApprovalRow, actor: str) -> None:
        """What follows from one more approval: it is enough, or the next in turn are asked."""
        decisions = tx.approvals.decisions(row.id)
        if approvals_in(decisions) < row.quorum:
            if row.in_turn:
                asked = tx.approvals.begin_turn(row.id, turn(tx.approvals.seats(row.id), decisions))
                tell(tx, row, asked, "asked")
            return
        tx.approvals.finish(row.id, ApprovalState.APPROVED, "")
        why = f"`{row.approval}` is approved by {', '.join(_who(decisions))}"
        if request.started is not None:
            wake(tx, request.id, actor, why)
        elif request.state is RequestState.AWAITING_APPROVAL and not _open(tx, request.id):
            self._schedule(tx, request, actor, why)

    def _schedule(self, tx: Transaction, request: RequestRow, actor: str, why: str) -> None:
        plan = tx.plans.get(request.plan_digest)
        scope = request_frames(tx, plan, request, self._public).scope(ROOT)
        try:
            schedule(tx, request, plan, scope, tx.now(), why, actor)
        except InvalidInputs as error:
            tx.requests.move(request.id, RequestState.REJECTED, actor=actor, why=f"{error} Order anew.")


def refuse(tx: Transaction, request: RequestRow, row: ApprovalRow, actor: str, why: str) -> None:
    """End an approval as refused, and the request with it: what it did before is taken back."""
    tx.approvals.finish(row.id, ApprovalState.REJECTED, why)
    if request.started is None:
        tx.requests.move(request.id, RequestState.REJECTED, actor=actor, why=why)
    elif request.state is not RequestState.UNDOING and not request.state.ended:
        begin_undo(tx, request, RequestState.REJECTED, actor, why)


def shown(tx: Transaction, row: ApprovalRow, caller: Caller | None = None) -> ShownApproval:
    """An approval with all that it is about."""
    request = tx.requests.get(row.request_id)
    assert request is not None, "an approval's request is never deleted"
    plan = tx.plans.get(request.plan_digest)
    approval = next(one for one in plan.approvals if one.id == row.approval)
    facts = {
        step.path.removeprefix(PREREQUISITES): step.result.public
        for step in tx.steps.all(request.id)
        if step.path.startswith(PREREQUISITES) and step.result is not None
    }
    seats, decisions = tuple(tx.approvals.seats(row.id)), tuple(tx.approvals.decisions(row.id))
    found = ShownApproval(row, request, plan, approval, seats, decisions, facts)
    decidable = caller is not None and _may_decide(tx, found, caller.person)
    return ShownApproval(row, request, plan, approval, seats, decisions, facts, decidable)


def _may_decide(tx: Transaction, one: ShownApproval, person: Person) -> bool:
    if one.row.state is not ApprovalState.OPEN:
        return False
    try:
        seat_to_decide(one.row, person, parties_of(tx, one.request), one.seats, one.decisions)
    except MayNotDecide:
        return False
    return True


def _to_act_on(
    tx: Transaction, approval_id: str, caller: Caller, digest: str | None
) -> tuple[RequestRow, ApprovalRow, Seat]:
    """The request, its open approval, and the caller's seat; nobody else changes them until the transaction ends."""
    caller.require(DECIDE)
    seen = _visible(tx, approval_id, caller)
    request = tx.requests.get_for_update(seen.request_id)
    row = tx.approvals.get_for_update(approval_id)
    assert request is not None, "an approval's request is never deleted"
    assert row is not None, "an approval is never deleted"
    seats, decisions = tx.approvals.seats(row.id), tx.approvals.decisions(row.id)
    if row.state is not ApprovalState.OPEN:
        raise ApprovalClosed(row.id, row.state.value, ", ".join(_who(decisions)))
    if digest is not None and digest != row.digest:
        raise OtherDigest(digest, row.digest)
    return request, row, seat_to_decide(row, caller.person, parties_of(tx, request), seats, decisions)


def _visible(tx: Transaction, approval_id: str, caller: Caller) -> ApprovalRow:
    """An approval that is asked of the caller, that he decided, or is a party of; or any, for whoever reads all."""
    row = tx.approvals.get(approval_id)
    if row is None:
        raise ApprovalNotFound(approval_id)
    person, request = caller.person, tx.requests.get(row.request_id)
    asked = seat_of(person, tx.approvals.seats(row.id)) is not None
    decided = any(one.approver == person.id for one in tx.approvals.decisions(row.id))
    own = request is not None and person.id in {request.requester.id, request.requested_for.id}
    if not (asked or decided or own or caller.may(READ_ALL)):
        raise ApprovalNotFound(approval_id)
    return row


def _required(tx: Transaction, approval_id: str) -> ApprovalRow:
    row = tx.approvals.get(approval_id)
    if row is None:
        raise ApprovalNotFound(approval_id)
    return row


def _open(tx: Transaction, request_id: str) -> list[ApprovalRow]:
    return tx.approvals.list(ApprovalFilter(request_id=request_id))


def _record(tx: Transaction, row: ApprovalRow, seat: Seat, person: Person, verdict: Verdict) -> None:
    asked: datetime = seat.since or row.asked
    tx.approvals.decide(
        NewDecision(
            approval_id=row.id,
            approver=person.id,
            email=person.email,
            seat=seat.who if seat.delegated_by is None else seat.origin,
            decision=verdict.decision,
            digest=verdict.digest,
            via=verdict.via,
            asked=asked,
            reason=verdict.reason,
        )
    )


def _refuse_delegate(tx: Transaction, request: RequestRow, row: ApprovalRow, giver: Person, to: Person) -> None:
    """Raise MayNotDecide if that person must not decide, or has done so."""
    why = parties_of(tx, request).why_not(to)
    if why is not None:
        raise MayNotDecide(f"It cannot be handed to {to.id}, who {why}.")
    if same_person(giver, to):
        raise MayNotDecide("It is yours already: hand it to somebody else, or decide.")
    before = [Person(one.approver, email=one.email) for one in tx.approvals.decisions(row.id)]
    if any(same_person(to, one) for one in before):
        raise MayNotDecide(f"It cannot be handed to {to.id}, who has decided it, or handed it over, already.")


def _who(decisions: Iterable[DecisionRow]) -> list[str]:
    return [one.approver for one in decisions if one.decision is not Decision.DELEGATE]

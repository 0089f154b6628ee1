"""Deciding by the link of a mail: its holder counts as whom the mail was sent to, once, for what he was shown."""

from dataclasses import dataclass
from enum import StrEnum

from flows.approval_rules import same_person
from flows.approvals import DECIDE, Approvals, ShownApproval, Verdict, shown
from flows.approver_directory import ApproverDirectory
from flows.lifecycle import Caller
from flows.records.approval_rows import ApprovalState, Decision, LinkRow
from flows.records.records import Records, Transaction
from flows.records.rows import Person

VIA = "link"
_LONGEST_TOKEN = 200


class LinkState(StrEnum):
    """What a link is good for."""

    GOOD = "good"
    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    CLOSED = "closed"
    NOT_YOURS = "not yours"


@dataclass(frozen=True)
class Opened:
    """What somebody sees who opens a link. `why` is said where it is good for nothing."""

    state: LinkState
    approval: ShownApproval | None = None
    person: str = ""
    why: str = ""


class ApprovalLinks:
    """Opens links, and decides by them. Opening one changes nothing, for programs open what is in mails."""

    def __init__(self, records: Records, approvals: Approvals, directory: ApproverDirectory) -> None:
        self._records = records
        self._approvals = approvals
        self._directory = directory

    def open(self, token: str) -> Opened:
        """What a link is for, and whether it is still good."""
        return self._records.read(lambda tx: self._opened(tx, token)[0])

    def decide(self, token: str, decision: Decision, reason: str) -> Opened:
        """Decide by a good link, which is used up by it; of any other, what `open` says of it."""

        def write(tx: Transaction) -> Opened:
            opened, link = self._opened(tx, token)
            if link is None or opened.state is not LinkState.GOOD:
                return opened
            if not tx.approvals.use_link(link.id):
                return Opened(LinkState.USED, opened.approval, link.person)
            verdict = Verdict(decision, link.digest, reason, VIA)
            decided = self._approvals.decide_within(tx, link.approval_id, self._caller(tx, link), verdict)
            return Opened(LinkState.GOOD, decided, link.person)

        return self._records.run(write)

    def _opened(self, tx: Transaction, token: str) -> tuple[Opened, LinkRow | None]:
        link = tx.approvals.link_of(token) if len(token) <= _LONGEST_TOKEN and token.isascii() else None
        row = None if link is None else tx.approvals.get(link.approval_id)
        if link is None or row is None:
            return Opened(LinkState.UNKNOWN), None
        caller = self._caller(tx, link)
        approval = shown(tx, row, caller)
        if link.used is not None:
            return Opened(LinkState.USED, approval, link.person), link
        if row.state is not ApprovalState.OPEN:
            return Opened(LinkState.CLOSED, approval, link.person, row.reason), link
        if link.expires <= tx.now():
            return Opened(LinkState.EXPIRED, approval, link.person), link
        if not approval.decidable:
            return Opened(LinkState.NOT_YOURS, approval, link.person, _why_not(approval, caller.person)), link
        return Opened(LinkState.GOOD, approval, link.person), link

    def _caller(self, tx: Transaction, link: LinkRow) -> Caller:
        """Whom the mail was sent to, in the groups that he is in now, as far as we know."""
        known = self._directory.person(tx, link.person)
        groups = known.groups if known is not None else ()
        name = known.name if known is not None else ""
        person = Person(link.person, name, link.email, tuple(groups))
        return Caller(f"link:{link.id}", person, frozenset({DECIDE}))


def _why_not(approval: ShownApproval, person: Person) -> str:
    before = [one for one in approval.decisions if same_person(Person(one.approver, email=one.email), person)]
    return "You have decided it, or handed it over, already." if before else "It is not asked of you any more."

"""The rows of approvals: what is asked of whom, what was decided, and the links that mails carry."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flows.records.rows import Sealed


class ApprovalState(StrEnum):
    """Where an approval stands; `withdrawn`: its request does not want it any more, or it was asked anew."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Decision(StrEnum):
    """What one person decided; `delegate`: that another decides in his place."""

    APPROVE = "approve"
    REJECT = "reject"
    DELEGATE = "delegate"


class SeatKind(StrEnum):
    """How somebody came to be asked: by the model, once a reminder went unheard, or by one who was asked."""

    ASKED = "asked"
    ESCALATED = "escalated"
    DELEGATED = "delegated"


ANY_TURN = -1
"""The position of who may decide whosever turn it is."""


@dataclass(frozen=True, kw_only=True)
class NewSeat:
    """Somebody who may decide: a person or a group, exactly one. `origin` is how the model says it (`manager:user`).

    `position` is the turn, from 0, or `ANY_TURN`. `since` is when they were asked; None: it is not their turn yet.
    """

    person: str | None = None
    group_name: str | None = None
    origin: str
    position: int = 0
    kind: SeatKind = SeatKind.ASKED
    delegated_by: str | None = None
    since: datetime | None = None

    @property
    def who(self) -> str:
        """As a model writes it: `person:ID`, `group:NAME`."""
        return f"group:{self.group_name}" if self.person is None else f"person:{self.person}"


@dataclass(frozen=True, kw_only=True)
class Seat(NewSeat):
    """A seat as recorded."""

    id: int
    approval_id: str


@dataclass(frozen=True, kw_only=True)
class NewApproval:
    """An approval to be asked. `digest` is of exactly what is shown to be approved; a decision names it.

    `approval` is its name in the model; each time it is asked anew its `generation` rises. `next_at` is when the
    keeper looks at it next: to remind, to escalate, or since the time is over.
    """

    id: str
    request_id: str
    approval: str
    generation: int
    digest: str
    quorum: int
    in_turn: bool
    message: Sealed
    due: datetime | None
    remind_at: datetime | None
    escalate_at: datetime | None
    next_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ApprovalRow(NewApproval):
    """An approval as it stands. `reminded`, `escalated` and `silent` are when the keeper did, or found, so."""

    state: ApprovalState
    asked: datetime
    reminded: datetime | None
    escalated: datetime | None
    silent: datetime | None
    decided: datetime | None
    reason: str
    version: int


@dataclass(frozen=True, kw_only=True)
class NewDecision:
    """What one person decided. `asked` is when that person was; `via` is `api` or `link`; `seat` is by what right."""

    approval_id: str
    approver: str
    email: str
    seat: str
    decision: Decision
    digest: str
    via: str
    asked: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class DecisionRow(NewDecision):
    """A decision as recorded."""

    id: int
    decided: datetime


@dataclass(frozen=True, kw_only=True)
class ApprovalFilter:
    """Which approvals to list, those due first; what is None does not restrict.

    `person` and `groups` together: those that wait for that person or for one of the groups.
    """

    state: ApprovalState | None = ApprovalState.OPEN
    person: str | None = None
    groups: tuple[str, ...] | None = None
    request_id: str | None = None
    limit: int = 200


@dataclass(frozen=True, kw_only=True)
class NewLink:
    """A link in a mail: whose it is, for which approval and which digest. `group_name`: the group he was asked in."""

    id: str
    approval_id: str
    person: str
    email: str
    group_name: str | None
    digest: str
    expires: datetime


@dataclass(frozen=True, kw_only=True)
class LinkRow(NewLink):
    """A link as recorded. `key_id` names the key that signs it; `used` is when a decision was made with it."""

    key_id: str
    created: datetime
    used: datetime | None

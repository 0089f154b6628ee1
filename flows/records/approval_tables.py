"""The tables of approvals."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from flows.records.approval_rows import ApprovalState, Decision, SeatKind
from flows.records.column_types import ExactText, KeyText, Moment, SealedBytes, StateText
from flows.records.tables import SerialInteger, metadata

approvals = Table(
    "approvals",
    metadata,
    Column("id", ExactText, primary_key=True),
    Column("request_id", ExactText, ForeignKey("requests.id"), nullable=False),
    Column("approval", KeyText, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("quorum", Integer, nullable=False),
    Column("in_turn", Boolean, nullable=False),
    Column("message", SealedBytes, nullable=False),
    Column("due", Moment),
    Column("remind_at", Moment),
    Column("escalate_at", Moment),
    Column("next_at", Moment),
    Column("state", StateText(ApprovalState), nullable=False),
    Column("asked", Moment, nullable=False),
    Column("reminded", Moment),
    Column("escalated", Moment),
    Column("silent", Moment),
    Column("decided", Moment),
    Column("reason", ExactText, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("request_id", "approval", "generation"),
    Index(None, "state", "next_at"),
)

approval_seats = Table(
    "approval_seats",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("approval_id", ExactText, ForeignKey("approvals.id"), nullable=False),
    Column("person", KeyText),
    Column("group_name", KeyText),
    Column("origin", ExactText, nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", StateText(SeatKind), nullable=False),
    Column("delegated_by", ExactText),
    Column("since", Moment),
    Index(None, "approval_id"),
    Index(None, "person"),
    Index(None, "group_name"),
)

approval_decisions = Table(
    "approval_decisions",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("approval_id", ExactText, ForeignKey("approvals.id"), nullable=False),
    Column("approver", KeyText, nullable=False),
    Column("email", ExactText, nullable=False),
    Column("seat", ExactText, nullable=False),
    Column("decision", StateText(Decision), nullable=False),
    Column("digest", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("asked", Moment, nullable=False),
    Column("reason", ExactText, nullable=False),
    Column("decided", Moment, nullable=False),
    UniqueConstraint("approval_id", "approver"),
)

approval_links = Table(
    "approval_links",
    metadata,
    Column("id", Text, primary_key=True),
    Column("approval_id", ExactText, ForeignKey("approvals.id"), nullable=False),
    Column("person", KeyText, nullable=False),
    Column("email", ExactText, nullable=False),
    Column("group_name", KeyText),
    Column("digest", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("created", Moment, nullable=False),
    Column("used", Moment),
    Index(None, "approval_id"),
)

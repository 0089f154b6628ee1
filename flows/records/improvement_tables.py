"""The tables of the register of improvements (practice, row 16)."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from flows.records.column_types import ExactText, JsonBytes, Moment, StateText
from flows.records.improvement_states import ImprovementState
from flows.records.tables import SerialInteger, metadata

reviews = Table(
    "reviews",
    metadata,
    Column("history_digest", Text, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("made", Moment, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("model", ExactText, nullable=False),
    Column("detector", Text, nullable=False),
    Column("finding", JsonBytes, nullable=False),
    Column("made", Moment, nullable=False),
    Column("seen", Moment, nullable=False),
)

improvement_decisions = Table(
    "improvement_decisions",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("finding_id", Text, ForeignKey("findings.id"), nullable=False),
    Column("state", StateText(ImprovementState), nullable=False),
    Column("actor", ExactText, nullable=False),
    Column("at", Moment, nullable=False),
    Column("reason", ExactText, nullable=False),
    Index(None, "finding_id"),
)

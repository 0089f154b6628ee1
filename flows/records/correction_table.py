"""The table of corrections of inputs."""

from sqlalchemy import Column, ForeignKey, Integer, Table

from flows.records.column_types import ExactText, JsonBytes, Moment, NamesBytes, SealedBytes, StateText
from flows.records.states import CorrectionState
from flows.records.tables import metadata

corrections = Table(
    "corrections",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", StateText(CorrectionState), nullable=False),
    Column("actor", ExactText, nullable=False),
    Column("why", ExactText, nullable=False),
    Column("asked", Moment, nullable=False),
    Column("settled", Moment),
    Column("changed", NamesBytes, nullable=False),
    Column("before", SealedBytes, nullable=False),
    Column("inputs", SealedBytes, nullable=False),
    Column("frozen_values", SealedBytes, nullable=False),  # VALUES is a word of SQL
    Column("steps", JsonBytes, nullable=False),
    Column("decisions", JsonBytes, nullable=False),
)

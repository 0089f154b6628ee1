"""The tables of the locks of requests."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, text

from flows.records.column_types import ExactText, KeyText, Moment
from flows.records.tables import metadata

locks = Table(
    "locks",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("name", KeyText, primary_key=True),
    Column("ticket", BigInteger),  # null: it does not stand in the queue
    Column("turn", BigInteger),
    Column("asked", Moment),
    Column("held_since", Moment),
    Column("number", BigInteger),
    Index(
        "ix_locks_queue", "name", sqlite_where=text("ticket IS NOT NULL"), postgresql_where=text("ticket IS NOT NULL")
    ),
)

lock_counter = Table(
    "lock_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
"""One row. Whoever counts on is alone with the queue until its transaction ends."""

"""The history format: tables, their columns, and what each holds. Moments are UTC microseconds since 1970.

One file a table, `NAME.parquet` or `NAME.jsonl`, in one folder. A table may be absent, which is as an empty one; a
column that is not required may be absent, which is as one without values. Further columns are passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from flows.errors import OrderlyError


class HistoryError(OrderlyError):
    """A history that cannot be read or made; the message says what is wrong with which file."""


class Kind(StrEnum):
    """What a column holds; the value is its type in DuckDB. `JSON` is a text that is JSON."""

    TEXT = "VARCHAR"
    INTEGER = "BIGINT"
    NUMBER = "DOUBLE"
    MOMENT = "TIMESTAMP_US"
    FLAG = "BOOLEAN"
    JSON = "JSON"

    @property
    def sql(self) -> str:
        """The type its values are stored as: moments as whole microseconds, JSON as the text it is."""
        stored = {Kind.MOMENT: "BIGINT", Kind.JSON: "VARCHAR"}
        return stored.get(self, self.value)


@dataclass(frozen=True)
class Column:
    """One column. A row without a value in a `required` one is refused."""

    name: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True)
class Table:
    """One table. Rows with the same `key` are one row told twice; without a key, rows that are alike throughout."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)


def _table(name: str, key: str, **columns: Kind) -> Table:
    keys = tuple(key.split())
    return Table(name, tuple(Column(column, kind, column in keys) for column, kind in columns.items()), keys)


_T, _I, _N, _M, _F, _J = Kind.TEXT, Kind.INTEGER, Kind.NUMBER, Kind.MOMENT, Kind.FLAG, Kind.JSON

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        _table(
            "requests",
            "id",
            id=_T,
            model=_T,
            model_version=_I,
            plan_digest=_T,
            arm=_T,
            requester=_T,
            requester_group=_T,
            channel=_T,
            inputs=_J,
            submitted=_M,
            started=_M,
            ended=_M,
            closed_at=_M,
            state=_T,
            due_seconds=_N,
            clock_stopped_seconds=_N,
            parent=_T,
            cancelled_by=_T,
        ),
        _table(
            "steps",
            "request path item_key attempt",
            request=_T,
            path=_T,
            item_key=_T,
            attempt=_I,
            action=_T,
            queued=_M,
            started=_M,
            ended=_M,
            outcome=_T,
            error_class=_T,
            error_code=_T,
            supplier=_T,
            touched=_F,
        ),
        _table(
            "approvals",
            "request approval approver",
            request=_T,
            approval=_T,
            approver=_T,
            asked=_M,
            decided=_M,
            decision=_T,
        ),
        _table(
            "touches",
            "",
            request=_T,
            path=_T,
            kind=_T,
            actor=_T,
            team=_T,
            started=_M,
            ended=_M,
            minutes=_N,
            label=_T,
        ),
        _table("feedback", "request", request=_T, asked=_M, given=_M, rating=_N, comment=_T, answers=_J),
        _table("plans", "digest", digest=_T, plan=_J),
        _table("findings", "id", id=_T, made=_M, detector=_T, edit=_J, prediction=_J),
        _table("decisions", "", finding=_T, state=_T, actor=_T, when=_M, reason=_T),
    )
}
"""The tables of design section 9, in the order in which they are written."""

ENDED_STATES = ("fulfilled", "failed", "cancelled", "rejected")
"""States of a request after which nothing more happens by itself."""

"""From a database row to a frozen dataclass, field by column of the same name."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Result, Row, Select, Table, select

R = TypeVar("R")


def select_rows(kind: type[Any], table: Table, named: Mapping[str, str] | None = None) -> Select[Any]:
    """Select the columns a dataclass needs; `named` maps a field to a column of another name."""
    return _selected(kind, table, tuple((named or {}).items()))  # type: ignore[arg-type] # a class can be hashed


@cache  # a step reads some twenty rows, and putting a select together takes longer than running it
def _selected(kind: type[Any], table: Table, named: tuple[tuple[str, str], ...]) -> Select[Any]:
    columns: list[ColumnElement[Any]] = []
    for field in fields(kind):
        name = dict(named).get(field.name, field.name)
        columns.append(table.c[name].label(field.name))
    return select(*columns)


def one(kind: type[R], row: Row[Any] | None) -> R | None:
    """The dataclass of a row, None of no row."""
    return None if row is None else kind(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public way, despite the name


def each(kind: type[R], rows: Result[Any]) -> list[R]:
    """The dataclasses of some rows."""
    return [kind(**row) for row in rows.mappings()]

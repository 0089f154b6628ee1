"""A history in DuckDB: read from its files, cleaned, and asked in SQL. The only importer of duckdb."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import duckdb

from flows.review.history import TABLES, Column, HistoryError, Kind, Table

Row = tuple[Any, ...]

_SUFFIXES = (".parquet", ".jsonl")
_MEMORY = "400MB"
"""What DuckDB may take; more is spilled into a folder that goes with the warehouse."""


@dataclass(frozen=True)
class Doubt:
    """Something in the history that was put right or set aside, and how many rows it concerns."""

    what: str
    rows: int


class Warehouse:
    """One history, in memory. Use as a context manager, or close it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, spill: "TemporaryDirectory[str]") -> None:
        self._connection = connection
        self._spill = spill
        self.doubts: tuple[Doubt, ...] = ()

    @classmethod
    def empty(cls) -> Self:
        """A warehouse without tables."""
        # What a history is comes from files that are named to us: no extension, no address, is loaded for its sake.
        settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        spill = TemporaryDirectory(prefix="orderly-review-")
        more = {"preserve_insertion_order": "false", "memory_limit": _MEMORY, "temp_directory": spill.name}
        connection = duckdb.connect(":memory:", config={**settings, **more})
        connection.execute("SET TimeZone = 'UTC'")
        return cls(connection, spill)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a history. Raises HistoryError for a folder that holds none, and for a file that cannot be read."""
        if not folder.is_dir():
            raise HistoryError(f"There is no folder {folder}. `orderly history export {folder}` makes one.")
        if _file_of(folder, "requests") is None:
            raise HistoryError(
                f"{folder} holds no history: neither requests.parquet nor requests.jsonl is there. "
                f"`orderly history export {folder}` writes one from the records."
            )
        made = cls.read_unchecked(folder)
        try:
            made.doubts = tuple(made.clean())
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    def read_unchecked(cls, folder: Path) -> Self:
        """As `open`, of files just written by ourselves: nothing in them is put right."""
        made = cls.empty()
        try:
            for name, table in TABLES.items():
                made.load(table, _file_of(folder, name))
        except BaseException:
            made.close()
            raise
        return made

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query; values stand for `?`."""
        return self._connection.execute(sql, list(values)).fetchall()

    def one(self, sql: str, values: Sequence[object] = ()) -> Row:
        """The first row of a query that has one always."""
        return self.rows(sql, values)[0]

    def each(self, sql: str, values: Sequence[object] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a query, each by column name."""
        found = self._connection.execute(sql, list(values))
        names = [str(column[0]) for column in found.description or ()]
        for row in found.fetchall():
            yield dict(zip(names, row, strict=True))

    def columns(self, sql: str, values: Sequence[object] = ()) -> Mapping[str, Any]:
        """The columns of a query as numpy arrays, by name."""
        return self._connection.execute(sql, list(values)).fetchnumpy()

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """Do what gives no rows."""
        self._connection.execute(sql, list(values))

    def write(self, folder: Path, *, lines: bool = False) -> Mapping[str, int]:
        """Write every table into a folder, as Parquet or as JSON lines; gives the rows of each.

        Rows stand in the order of all their columns, so that the same history gives the same files.
        """
        folder.mkdir(parents=True, exist_ok=True)
        counts = {}
        for table in TABLES.values():
            target = folder / f"{table.name}{'.jsonl' if lines else '.parquet'}"
            chosen = ", ".join(_written(column, lines=lines) for column in table.columns)
            query = f"SELECT {chosen} FROM {table.name} ORDER BY ALL"
            written = "FORMAT json" if lines else "FORMAT parquet, COMPRESSION zstd"
            (count,) = self.one(f"COPY ({query}) TO {quoted(str(target))} ({written})")
            counts[table.name] = int(count)
        return counts

    def digest(self) -> str:
        """A digest of what is in the history, whatever the order of its rows."""
        parts = []
        for table in TABLES.values():
            columns = ", ".join(f'"{name}"' for name in table.names)
            parts.append(self.one(f"SELECT count(*), bit_xor(hash({columns})), sum(hash({columns})) FROM {table.name}"))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def close(self) -> None:
        """Let go of the memory."""
        self._connection.close()
        self._spill.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # reading

    def load(self, table: Table, file: Path | None) -> None:
        """Make a table of a file, or an empty one of none. Raises HistoryError."""
        if file is None or file.stat().st_size == 0:
            self.make(table)
            return
        try:
            source = self._source(table, file)
            self.run(f"CREATE TABLE {table.name} AS SELECT {source}")
        except duckdb.Error as error:
            raise HistoryError(f"{file} cannot be read: {_first_line(error)}") from error
        missing = " OR ".join(f"{column.name} IS NULL" for column in table.columns if column.required)
        if missing:
            (count,) = self.one(f"SELECT count(*) FROM {table.name} WHERE {missing}")
            if count:
                names = ", ".join(column.name for column in table.columns if column.required)
                raise HistoryError(f"{file}: {count} rows lack one of {names}, which every row must have.")

    def make(self, table: Table) -> None:
        """An empty table."""
        columns = ", ".join(f'"{column.name}" {column.kind.sql}' for column in table.columns)
        self.run(f"CREATE TABLE {table.name} ({columns})")

    def _source(self, table: Table, file: Path) -> str:
        if file.suffix == ".jsonl":
            types = ", ".join(f"{quoted(c.name)}: {quoted(_read_as(c))}" for c in table.columns)
            reading = f"read_json({quoted(str(file))}, format = 'newline_delimited', columns = {{{types}}})"
            present = set(table.names)
        else:
            reading = f"read_parquet({quoted(str(file))})"
            present = {str(row[0]) for row in self.rows(f"DESCRIBE SELECT * FROM {reading}")}
            lacking = [c.name for c in table.columns if c.required and c.name not in present and c.name != "item_key"]
            if lacking:
                raise HistoryError(f"{file} has no column {', '.join(lacking)}; see docs/review.md for the format.")
        return f"{', '.join(_loaded(column, present) for column in table.columns)} FROM {reading}"

    def clean(self) -> Iterator[Doubt]:
        """Put right what cannot be: rows told twice, steps of no request, moments in the wrong order."""
        for table in TABLES.values():
            repeated = self._distinct(table)
            if repeated:
                yield Doubt(f"rows of `{table.name}` told twice; one of each is kept", repeated)
        (strange,) = self.one("SELECT count(*) FROM steps WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = request)")
        if strange:
            self.run("DELETE FROM steps WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = request)")
            yield Doubt("steps of requests that are not in the history; set aside", strange)
        for name, first, second in (
            ("requests", "submitted", "ended"),
            ("steps", "started", "ended"),
            ("steps", "queued", "started"),
            ("approvals", "asked", "decided"),
        ):
            (skewed,) = self.one(f"SELECT count(*) FROM {name} WHERE {second} < {first}")
            if skewed:
                # Two clocks disagree: that it happened is known, how long it took is not.
                self.run(f"UPDATE {name} SET {first} = NULL WHERE {second} < {first}")
                yield Doubt(f"`{name}` where {second} is before {first}; how long it took is taken as unknown", skewed)

    def _distinct(self, table: Table) -> int:
        """Remove rows told twice; gives how many. Of two that differ, the one that knows more, then the later."""
        key = ", ".join(table.key) if table.key else ", ".join(f'"{name}"' for name in table.names)
        total, kinds = self.one(f"SELECT count(*), count(DISTINCT hash({key})) FROM {table.name}")
        if total == kinds:
            return 0
        if table.key:
            # when it ended first of all: the row that knows more
            others = [column for column in reversed(table.columns) if column.name not in table.key]
            others.sort(key=lambda column: column.kind is not Kind.MOMENT)
            order = ", ".join(f'"{column.name}" DESC NULLS LAST' for column in others)
            kept = f"SELECT * FROM {table.name} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1"
        else:
            kept = f"SELECT DISTINCT * FROM {table.name}"
        self.run(f"CREATE OR REPLACE TABLE {table.name} AS {kept}")
        (left,) = self.one(f"SELECT count(*) FROM {table.name}")
        return int(total - left)


def write_lines(file: Path, rows: Iterable[Mapping[str, object]]) -> int:
    """Write rows as JSON lines; gives how many."""
    count = 0
    with file.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n")
            count += 1
    return count


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _file_of(folder: Path, name: str) -> Path | None:
    found = [folder / f"{name}{suffix}" for suffix in _SUFFIXES if (folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise HistoryError(f"{folder} holds both {found[0].name} and {found[1].name}; remove one of them.")
    return found[0] if found else None


def _read_as(column: Column) -> str:
    return "BIGINT" if column.kind is Kind.MOMENT else column.kind.value


def _loaded(column: Column, present: set[str]) -> str:
    if column.name == "item_key":
        return "coalesce(item_key, '') AS item_key" if "item_key" in present else "'' AS item_key"
    if column.name not in present:
        return f'NULL::{column.kind.sql} AS "{column.name}"'
    return f'CAST("{column.name}" AS {column.kind.sql}) AS "{column.name}"'


def _written(column: Column, *, lines: bool) -> str:
    return (
        f'CAST("{column.name}" AS JSON) AS "{column.name}"'
        if lines and column.kind is Kind.JSON
        else f'"{column.name}"'
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]

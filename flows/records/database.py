"""Engines for the two databases, and what their errors mean to us.

SQLite: WAL, `synchronous=FULL` so that accepted is safe (invariant 1), `BEGIN IMMEDIATE` so that a transaction that
will write never has to start over half-way. PostgreSQL: READ COMMITTED with row locks, which the stores take where
they read before they write; `synchronous_commit=on` for the same promise.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url

from flows.records.errors import Conflict, RecordsBusy, RecordsError, RecordsUnavailable
from request_models.json_values import NotJsonError

READ_ONLY = "orderly_read_only"
"""Execution option of a connection whose transactions only read."""

BUSY_SECONDS = 5
"""How long a statement waits for another's lock before the transaction is given up (and repeated by `Records.run`)."""

# serialization_failure, deadlock_detected, lock_not_available: PostgreSQL, appendix A
_BUSY_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
_BUSY_SQLITE = ("database is locked", "database table is locked", "database schema is locked")


def open_engine(database_url: str) -> Engine:
    """An engine for `sqlite:///FILE` or `postgresql://...`; raises RecordsUnavailable for any other URL."""
    try:
        url = make_url(database_url)
    except exc.ArgumentError as error:
        raise RecordsUnavailable(
            "The records' database URL cannot be read; write sqlite:///FILE or postgresql://..."
        ) from error
    match url.get_backend_name():
        case "sqlite":
            return _sqlite(url)
        case "postgresql":
            return _postgresql(url)
        case other:
            raise RecordsUnavailable(
                f"Records are kept in SQLite or PostgreSQL, not in {other!r}; write sqlite:///FILE or postgresql://..."
            )


def reads_only(connection: Connection) -> bool:
    """Whether the connection's transaction only reads; row locks, which count as writes, are left out then."""
    return bool(connection.get_execution_options().get(READ_ONLY, False))


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise RecordsUnavailable("Records in memory would not outlive the process; write sqlite:///FILE.")
    file = Path(str(url.database))
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # personal data: for its owner only
    except OSError as error:
        raise RecordsUnavailable(f"The records {file} cannot be opened: {error.strerror or error}.") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise RecordsUnavailable(f"The file system of {file} does not allow SQLite's WAL; choose a local disk.")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = reads_only(connection)
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,  # connections that died while idle are replaced, not handed out
        connect_args={"connect_timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {BUSY_SECONDS * 1000}")
            cursor.execute("SET synchronous_commit = on")
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if reads_only(connection):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return engine


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the database's errors into those of `flows.records.errors`."""
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict(f"The records refused a row that does not fit those there are: {_reason(error)}") from error
    except exc.DBAPIError as error:
        raise _unavailable(error) from error
    except exc.StatementError as error:
        # a value that a column type refused; the caller knows it by its own name
        if isinstance(error.orig, NotJsonError | ValueError | RecordsError):
            raise error.orig from None
        raise
    except exc.TimeoutError as error:
        raise RecordsBusy("All connections to the records are in use.") from error


def _unavailable(error: exc.DBAPIError) -> RecordsUnavailable:
    reason = _reason(error)
    if not error.connection_invalidated and _is_busy(error, reason):
        return RecordsBusy(f"The records are busy: {reason}")
    return RecordsUnavailable(f"The records cannot be used: {reason}")


def _is_busy(error: exc.DBAPIError, reason: str) -> bool:
    return getattr(error.orig, "sqlstate", None) in _BUSY_SQLSTATES or reason.startswith(_BUSY_SQLITE)


def _reason(error: exc.DBAPIError) -> str:
    """The database's own first line: the statement and its values, which may be personal, are left out.

    PostgreSQL puts values on the lines after the first (DETAIL).
    """
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__

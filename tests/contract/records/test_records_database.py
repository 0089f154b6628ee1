"""The database beneath: accepted is safe, busy is ridden out, one process migrates, trouble is named."""

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url

from flows.records.errors import RecordsBusy, RecordsUnavailable, SchemaMismatch
from flows.records.keyring import Keyring
from flows.records.records import Records, Transaction
from flows.records.rows import RequestFilter, RequestRow, Sealed
from flows.records.tables import metadata

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, database_url: str) -> str:
    """A database nobody migrated."""
    if database_url.startswith("sqlite"):
        return database_url
    return str(request.getfixturevalue("fresh_postgres_url"))


@pytest.fixture
def unmigrated(empty_url: str, keyring: Keyring) -> Iterator[Records]:
    opened = Records.open(empty_url, keyring)
    yield opened
    opened.close()


def test_every_connection_of_the_pool_makes_a_commit_durable(records: Records, database_url: str) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(records._engine.connect()) for _ in range(5)]
        for connection in connections:
            if database_url.startswith("sqlite"):
                settings = ["synchronous", "journal_mode", "foreign_keys", "busy_timeout"]
                values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in settings]
                connection.rollback()  # the next one may begin to write only then
                assert values == [2, "wal", 1, 5000]
            else:
                assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
                assert connection.execute(text("SHOW fsync")).scalar_one() == "on"


@sqlite_only
def test_a_commit_is_there_for_a_process_that_opens_the_database_after_a_kill(
    records: Records, database_url: str, order: Callable[..., RequestRow]
) -> None:
    """What is committed is in the files: a copy taken without closing holds it."""
    request = order()
    file = Path(str(make_url(database_url).database))
    copy = file.parent / "copy"
    copy.mkdir()
    for name in ("records.db", "records.db-wal"):
        (copy / name).write_bytes((file.parent / name).read_bytes())
    with sqlite3.connect(copy / "records.db") as connection:
        assert connection.execute("SELECT id FROM requests").fetchall() == [(request.id,)]
    connection.close()


@sqlite_only
def test_a_full_disk_is_named_and_what_was_recorded_stays(
    records: Records, database_url: str, order: Callable[..., RequestRow]
) -> None:
    request = order()
    with records._engine.begin() as connection:  # the pool's only connection, which the next transactions use too
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(RecordsUnavailable, match="full"):
        records.run(lambda tx: tx.requests.set_values(request.id, Sealed("values", "x" * 1_000_000)))
    assert records.read(lambda tx: tx.requests.get(request.id)) == request
    assert order().version == 1


@sqlite_only
def test_the_database_file_is_for_its_owner_only(records: Records, database_url: str) -> None:
    file = Path(str(make_url(database_url).database))
    for written in file.parent.iterdir():
        assert stat.S_IMODE(written.stat().st_mode) == 0o600, written


def test_the_migrations_make_exactly_the_tables_the_code_uses(records: Records) -> None:
    with records._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(records: Records, order: Callable[..., RequestRow]) -> None:
    request = order()
    records.migrate()
    records.ready()
    assert records.read(lambda tx: tx.requests.get(request.id)) == request


def test_of_many_that_migrate_at_once_one_does_and_all_find_it_done(empty_url: str) -> None:
    gate = threading.Barrier(4)

    def start(_: int) -> None:
        opened = Records.open(empty_url, Keyring.in_memory())
        gate.wait(timeout=30)
        opened.migrate()
        opened.ready()
        opened.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))


def test_records_without_tables_are_not_ready(unmigrated: Records) -> None:
    with pytest.raises(SchemaMismatch, match="no tables yet"):
        unmigrated.ready()
    with pytest.raises(RecordsUnavailable, match="cannot be used"):
        unmigrated.read(lambda tx: tx.requests.get("x"))


def test_tables_of_a_newer_version_are_left_alone(unmigrated: Records) -> None:
    unmigrated.migrate()
    with unmigrated._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    for use in (unmigrated.ready, unmigrated.migrate):
        with pytest.raises(SchemaMismatch, match="revision later"):
            use()


def test_a_migration_that_fails_leaves_nothing_half_done(unmigrated: Records) -> None:
    with unmigrated._engine.begin() as connection:
        connection.execute(text("CREATE TABLE outbox (id INTEGER)"))  # in the way of the last tables
    with pytest.raises(RecordsUnavailable, match="outbox"):
        unmigrated.migrate()
    with unmigrated._engine.begin() as connection:
        connection.execute(text("DROP TABLE outbox"))
    unmigrated.migrate()
    unmigrated.ready()


def test_reading_sees_one_moment_and_waits_for_no_writer(records: Records, order: Callable[..., RequestRow]) -> None:
    first = order()
    with ThreadPoolExecutor(1) as pool:

        def look_twice(tx: Transaction) -> list[int]:
            counts = [len(tx.requests.list(RequestFilter()).items)]
            pool.submit(order).result(timeout=30)
            return [*counts, len(tx.requests.list(RequestFilter()).items)]

        assert records.read(look_twice) == [1, 1]
    assert len(records.read(lambda tx: tx.requests.list(RequestFilter())).items) == 2
    assert first.version == 1


def test_reading_cannot_write(records: Records, order: Callable[..., RequestRow]) -> None:
    request = order()
    with pytest.raises(RecordsUnavailable, match=r"read.?only"):
        records.read(lambda tx: tx.outbox.put("dispatch", request.id, None))
    records.run(lambda tx: tx.outbox.put("dispatch", request.id, None))


def test_a_transaction_inside_a_transaction_is_refused_at_once(records: Records) -> None:
    with records.transaction(), pytest.raises(RuntimeError, match="open in this thread already"):
        records.read(lambda tx: tx.requests.get("x"))
    records.run(lambda tx: tx.requests.get("x"))


@sqlite_only
def test_a_busy_database_is_ridden_out(records: Records, database_url: str, clock: Any) -> None:
    """The lock is held until the first wait for it is over and a second try began."""
    tries = threading.Semaphore(0)
    event.listen(records._engine, "engine_connect", lambda _: tries.release())
    blocker = sqlite3.connect(str(make_url(database_url).database), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        putting = pool.submit(records.run, lambda tx: tx.outbox.put("dispatch", None, 1))
        assert tries.acquire(timeout=30)
        assert tries.acquire(timeout=30)
        assert not putting.done()
        blocker.execute("ROLLBACK")
        putting.result(timeout=60)
    blocker.close()
    assert len(records.read(lambda tx: tx.outbox.due("dispatch", clock(), 9))) == 1


@postgresql_only
def test_work_is_repeated_from_the_start_after_a_deadlock(
    records: Records, database_url: str, order: Callable[..., RequestRow]
) -> None:
    first, second = order(), order()
    gate = threading.Barrier(2)
    runs: list[str] = []

    def cross(one: str, other: str) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            runs.append(one)
            tx.requests.set_cancelled_by(one, "ann")
            if len(runs) <= 2:
                gate.wait(timeout=30)
            tx.requests.set_cancelled_by(other, "ann")

        return work

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(records.run, [cross(first.id, second.id), cross(second.id, first.id)]))
    assert len(runs) == 3
    rows = records.read(lambda tx: [tx.requests.get(first.id), tx.requests.get(second.id)])
    assert [row and row.version for row in rows] == [3, 3]


@sqlite_only
def test_a_busy_database_wears_out_patience_in_the_end(records: Records, database_url: str, keyring: Keyring) -> None:
    impatient = Records.open(database_url, keyring, patience=0.05)
    tries: list[int] = []

    def busy(_: Transaction) -> None:
        tries.append(1)
        raise RecordsBusy("busy")

    with pytest.raises(RecordsBusy):
        impatient.run(busy)
    impatient.close()
    assert len(tries) > 1


@postgresql_only
def test_a_lost_connection_is_named_and_the_next_one_is_new(records: Records, database_url: str) -> None:
    killer = create_engine(database_url, isolation_level="AUTOCOMMIT")
    runs: list[int] = []

    def lose_it(tx: Transaction) -> None:
        runs.append(1)
        tx.outbox.put("dispatch", None, 1)
        with killer.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        tx.outbox.put("dispatch", None, 2)

    with pytest.raises(RecordsUnavailable) as lost:
        records.run(lose_it)
    killer.dispose()
    assert not isinstance(lost.value, RecordsBusy)
    assert runs == [1]
    records.ready()


def test_a_server_that_does_not_answer_is_named(keyring: Keyring, free_port: Callable[[], int]) -> None:
    away = Records.open(f"postgresql://orderly@127.0.0.1:{free_port()}/orderly", keyring)
    with pytest.raises(RecordsUnavailable, match="cannot be used"):
        away.ready()
    away.close()


def test_an_error_never_shows_the_values_of_a_statement(records: Records, database_url: str) -> None:
    with pytest.raises(RecordsUnavailable) as refused:
        records.read(lambda tx: tx.outbox.put("dispatch", None, "canary"))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://localhost/orderly", "not in 'mysql'"),
        ("sqlite://", "outlive the process"),
        ("sqlite:///:memory:", "outlive the process"),
        ("records.db", "cannot be read"),
    ],
)
def test_a_database_we_cannot_use_is_refused_with_what_to_write_instead(keyring: Keyring, url: str, why: str) -> None:
    with pytest.raises(RecordsUnavailable, match=why):
        Records.open(url, keyring)


def test_a_file_that_is_no_database_is_refused(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "records.db").write_bytes(b"no database" * 1000)
    opened = Records.open(f"sqlite:///{tmp_path / 'records.db'}", keyring)
    with pytest.raises(RecordsUnavailable, match="not a database"):
        opened.migrate()
    opened.close()


def test_a_folder_that_cannot_be_made_is_named(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordsUnavailable, match=r"records\.db cannot be opened"):
        Records.open(f"sqlite:///{tmp_path / 'file' / 'records.db'}", keyring)

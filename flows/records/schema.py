"""Bringing the tables to this version (invariant 12: one process migrates, the others wait)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from flows.records.errors import SchemaMismatch

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 0x6F726465726C79  # "orderly" in ASCII: the number of PostgreSQL's advisory lock
_WAIT_SECONDS = 300


def migrate(engine: Engine) -> None:
    """Run the missing migrations, all in one transaction; raises SchemaMismatch when the tables are newer than we.

    On SQLite the transaction is itself the lock (BEGIN IMMEDIATE), on PostgreSQL an advisory lock is taken.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        found, wanted = _found(connection), _wanted()
        if found == wanted:
            return
        if found is not None and found not in _known():
            raise SchemaMismatch(found, wanted)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raise SchemaMismatch unless the tables are of this version."""
    found, wanted = _found(connection), _wanted()
    if found != wanted:
        raise SchemaMismatch(found, wanted)


def _found(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _wanted() -> str:
    wanted = _scripts().get_current_head()
    if wanted is None:
        raise RuntimeError(f"No migrations in {MIGRATIONS}: the installation is incomplete.")
    return wanted


def _known() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config

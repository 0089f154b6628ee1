"""The records of one process: transactions over all stores, repeated where that is safe."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine

from flows.records.api_keys import ApiKeys
from flows.records.approvals import Approvals
from flows.records.audit import Audit
from flows.records.blocks import Blocks
from flows.records.claims import Claims
from flows.records.content import Content
from flows.records.corrections import Corrections
from flows.records.database import READ_ONLY, open_engine, translated_errors
from flows.records.effects import Effects
from flows.records.errors import RecordsBusy
from flows.records.events import Events
from flows.records.history import History
from flows.records.idempotency import Idempotency
from flows.records.improvements import Improvements
from flows.records.keyring import Keyring
from flows.records.large_values import LargeValues
from flows.records.locks import Locks
from flows.records.outbox import Outbox
from flows.records.plans import Plans
from flows.records.publications import Publications
from flows.records.requests import Requests
from flows.records.secret_values import Secrets
from flows.records.steps import Steps
from flows.records.tasks import Tasks
from flows.records.touches import Touches
from flows.records.undos import Undos

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""How long `Records.run` rides out a busy database, unless told otherwise."""

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class Transaction:
    """The stores, all within one database transaction."""

    def __init__(self, connection: Connection, keyring: Keyring, clock: Callable[[], datetime]) -> None:
        self.now = clock
        self.audit = Audit(connection, clock)
        self.claims = Claims(connection, clock)
        self.outbox = Outbox(connection, clock)
        self.tasks = Tasks(connection, clock)
        self.events = Events(connection, clock, keyring)
        self.touches = Touches(connection, clock)
        self.locks = Locks(connection, clock, self.outbox)
        self.approvals = Approvals(connection, clock, keyring)
        self.requests = Requests(
            connection,
            clock,
            self.audit,
            self.claims,
            self.outbox,
            self.tasks,
            self.events,
            self.locks,
            self.approvals,
        )
        self.plans = Plans(connection, clock)
        self.content = Content(connection, clock)
        self.publications = Publications(connection, clock)
        self.idempotency = Idempotency(connection, clock, keyring)
        self.steps = Steps(connection, clock, self.claims)
        self.blocks = Blocks(connection, clock, self.claims)
        self.effects = Effects(connection, clock, self.claims)
        self.undos = Undos(connection, clock)
        self.corrections = Corrections(connection, clock)
        self.api_keys = ApiKeys(connection, clock)
        self.secrets = Secrets(connection, keyring)
        self.history = History(connection)
        self.improvements = Improvements(connection, clock)
        self.large_values = LargeValues(connection)


class Records:
    """The records. One for each process (never carried over a fork); thread-safe.

    A transaction is one thread's and short; none is opened inside another. Errors are those of `flows.records.errors`;
    a Conflict found by the database itself appears when the transaction is left, for nothing of it can be kept.
    """

    def __init__(
        self,
        engine: Engine,
        keyring: Keyring,
        clock: Callable[[], datetime],
        patience: float,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._announce = announce
        self._reading = engine.execution_options(**{READ_ONLY: True})
        self._keyring = keyring
        self._clock = clock
        self._patience = patience
        self._thread = threading.local()

    @classmethod
    def open(
        cls,
        database_url: str,
        keyring: Keyring,
        clock: Callable[[], datetime] = utc_now,
        *,
        patience: float = PATIENCE_SECONDS,
        announce: Callable[[], None] = lambda: None,
    ) -> Self:
        """Records in `sqlite:///FILE` or `postgresql://...`; nothing is migrated. Raises RecordsUnavailable.

        `clock` gives aware datetimes; claims expire by it. `patience`: for how many seconds a busy database is ridden
        out. `announce` is called when a transaction that put something into the outbox has been committed.
        """
        return cls(open_engine(database_url), keyring, clock, patience, announce)

    def now(self) -> datetime:
        """The time that claims expire by."""
        return self._clock()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def migrate(self) -> None:
        """Bring the tables to this version. One process does it, others wait for it; raises RecordsUnavailable."""
        self._patiently(self._migrate_once)

    def ready(self) -> None:
        """Raise RecordsUnavailable, with the reason, unless the database answers and its tables are this version's."""
        from flows.records import schema  # noqa: PLC0415 - Alembic takes 0.3 s to import, which no flow run needs

        with translated_errors(), self._reading.connect() as connection:
            schema.check(connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that writes: committed at the end, rolled back by any exception. Raises RecordsBusy at once."""
        with self._begun(self._engine) as transaction:
            yield transaction

    def run(self, work: Callable[[Transaction], T]) -> T:
        """Do `work` in a transaction, again from the start while the database is busy, and give its answer.

        `work` must have no effect outside the transaction. Raises RecordsBusy when the patience is used up, and
        RecordsUnavailable at once when the connection is lost: a lost commit may have happened.
        """
        return self._patiently(lambda: self._once(self._engine, work))

    def read(self, work: Callable[[Transaction], T]) -> T:
        """As `run`, with one consistent view of the data and no lock; what writes in it fails."""
        return self._patiently(lambda: self._once(self._reading, work))

    def _migrate_once(self) -> None:
        from flows.records import schema  # noqa: PLC0415 - as in `ready`

        with translated_errors():
            schema.migrate(self._engine)

    def _once(self, engine: Engine, work: Callable[[Transaction], T]) -> T:
        with self._begun(engine) as transaction:
            return work(transaction)

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Transaction]:
        if getattr(self._thread, "busy", False):
            raise RuntimeError(
                "A transaction is open in this thread already; on SQLite the second would wait for ever."
            )
        self._thread.busy = True
        try:
            with translated_errors(), engine.begin() as connection:
                transaction = Transaction(connection, self._keyring, self._clock)
                yield transaction
        finally:
            self._thread.busy = False
        if transaction.outbox.filled:
            self._announce()

    def _patiently(self, attempt: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return attempt()
            except RecordsBusy:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, guards nothing
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

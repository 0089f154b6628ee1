"""The locks as people see them: which are held, by whom and since when, and who waits behind whom."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from flows.lifecycle import READ, READ_ALL, Caller
from flows.records.locks import Behind, LockRow
from flows.records.records import Records, Transaction
from flows.records.rows import RequestRow

MOST_SHOWN = 500


@dataclass(frozen=True)
class OwnLock:
    """A lock of one request: held, or waited for behind another."""

    lock: LockRow
    behind: Behind | None


@dataclass(frozen=True)
class Standing:
    """A request that holds a lock (`held_since`) or waits for it since it asked."""

    request: RequestRow
    asked: datetime
    held_since: datetime | None
    number: int | None


@dataclass(frozen=True)
class ListedLock:
    """A lock with those that hold it, and those that wait for it in their order."""

    name: str
    held: tuple[Standing, ...]
    waiting: tuple[Standing, ...]


def locks_of(tx: Transaction, request_id: str) -> tuple[OwnLock, ...]:
    """The locks that a request holds or waits for; those it would need later, or needed once, are left out."""
    standing = [row for row in tx.locks.of(request_id) if row.ticket is not None]
    waits = any(row.held_since is None for row in standing)
    behind = {one.name: one for one in tx.locks.behind([request_id]).get(request_id, [])} if waits else {}
    return tuple(OwnLock(row, behind.get(row.name)) for row in standing)


def list_locks(records: Records, caller: Caller) -> tuple[ListedLock, ...]:
    """All locks that are held or waited for, by name; at most `MOST_SHOWN` and one more. Raises NotAllowed."""
    caller.require(READ)
    caller.require(READ_ALL)
    return records.read(lambda tx: tuple(_listed(tx))[: MOST_SHOWN + 1])


def _listed(tx: Transaction) -> Iterable[ListedLock]:
    for name, of in groupby(tx.locks.standing(), lambda row: row.name):
        standing = [_standing(tx, row) for row in of]
        held = tuple(one for one in standing if one.held_since is not None)
        yield ListedLock(name, held, tuple(one for one in standing if one.held_since is None))


def _standing(tx: Transaction, row: LockRow) -> Standing:
    request = tx.requests.get(row.request_id)
    assert request is not None, "a request is never removed"
    assert row.asked is not None, "it stands in the queue"
    return Standing(request, row.asked, row.held_since, row.number)

"""The locks of requests: one request at a time per named thing, first come first served (`lock_order`).

Whatever changes the queue counts on in one row first, which keeps all others out until the transaction ends. So two
never get one lock, and whoever is next gets it in the transaction in which it is given back: nothing is to be done
later that a crash could lose. The numbers count up: tickets of the queue and the fencing numbers of what was taken.

Rows of requests are locked before that one, never after.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, insert, select, update

from flows.outbox_kinds import DISPATCH, WAKE
from flows.records.lock_order import LockOrder, Standing
from flows.records.lock_tables import lock_counter, locks
from flows.records.outbox import Outbox
from flows.records.reading import each, select_rows
from flows.records.states import RequestState
from flows.records.tables import requests
from flows.records.upsert import insert_into

ITS_TURN = "it has the locks that it waited for"


@dataclass(frozen=True, kw_only=True)
class LockRow:
    """A lock that a request wants. `ticket`: it stands in the queue; `held_since`: it has it, as the `number`th."""

    request_id: str
    name: str
    ticket: int | None
    turn: int | None
    asked: datetime | None
    held_since: datetime | None
    number: int | None


@dataclass(frozen=True)
class Behind:
    """Whom a request waits behind for a lock: who has it, or (`held_since` None) is to have it before."""

    name: str
    request_id: str
    held_since: datetime | None


class Locks:
    """The locks that requests want, wait for and hold."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], outbox: Outbox) -> None:
        self._connection = connection
        self._clock = clock
        self._outbox = outbox

    def want(self, request_id: str, names: Iterable[str]) -> None:
        """Record which locks a request needs while it runs. If they are others than before, it holds none any more."""
        wanted = frozenset(names)
        if wanted == {row.name for row in self.of(request_id)}:
            return
        self.release(request_id)
        self._connection.execute(delete(locks).where(locks.c.request_id == request_id))
        for name in sorted(wanted):
            self._connection.execute(insert(locks).values(request_id=request_id, name=name))

    def of(self, request_id: str) -> list[LockRow]:
        """The locks a request wants, by name."""
        rows = select_rows(LockRow, locks).where(locks.c.request_id == request_id).order_by(locks.c.name)
        return each(LockRow, self._connection.execute(rows))

    def standing(self) -> list[LockRow]:
        """All that are held or waited for, by name, those held first, then in the order of the queue."""
        rows = each(LockRow, self._connection.execute(select_rows(LockRow, locks).where(locks.c.ticket.is_not(None))))
        return sorted(rows, key=lambda row: (row.name, row.held_since is None, row.turn, row.ticket))

    def take(self, request_id: str) -> bool:
        """Have the request hold all its locks, or stand in the queue for them. Whether it holds them.

        The caller has the request's own row locked.
        """
        rows = self.of(request_id)
        if all(row.held_since is not None for row in rows):
            return True
        self._count()
        if any(row.ticket is None for row in rows):
            self._queue(request_id)
        granted = self._order().granted([row.name for row in rows])
        self._give([one for one in granted if one != request_id])
        if request_id in granted:
            self._hold(request_id)
        return request_id in granted or all(row.held_since is not None for row in self.of(request_id))

    def release(self, request_id: str) -> tuple[str, ...]:
        """Have the request hold none of its locks, nor wait for them; whoever is next has them. Gives what it held.

        The caller has the request's own row locked.
        """
        rows = [row for row in self.of(request_id) if row.ticket is not None]
        if not rows:
            return ()
        self._count()
        left = {"ticket": None, "turn": None, "asked": None, "held_since": None, "number": None}
        self._connection.execute(update(locks).where(locks.c.request_id == request_id).values(**left))
        self._give(self._order().granted([row.name for row in rows]))
        return tuple(row.name for row in rows if row.held_since is not None)

    def behind(self, request_ids: Iterable[str]) -> dict[str, list[Behind]]:
        """Whom each of some requests waits behind, lock by lock; those that wait for none are left out."""
        waiting = self._waiting(request_ids)
        if not waiting:
            return {}
        order = self._order()
        since = {(row.request_id, row.name): row.held_since for row in self.standing()}
        return {
            one: [
                Behind(name, other.request_id, since.get((other.request_id, name)))
                for name, other in order.before(one).items()
            ]
            for one in waiting
        }

    def circle(self, request_id: str) -> tuple[str, ...]:
        """The requests that would wait for each other for ever, from this one on; empty if its turn will come."""
        return self._order().circle(request_id) if self._waiting([request_id]) else ()

    def waiting(self) -> list[str]:
        """Every request that waits for locks."""
        rows = select(locks.c.request_id).where(locks.c.ticket.is_not(None), locks.c.held_since.is_(None)).distinct()
        return list(self._connection.execute(rows).scalars())

    def held_on_hold(self, since: datetime) -> list[str]:
        """The requests that hold locks and are on hold since then, or longer."""
        rows = (
            select(locks.c.request_id)
            .distinct()
            .join(requests, requests.c.id == locks.c.request_id)
            .where(
                locks.c.held_since.is_not(None),
                requests.c.state == RequestState.ON_HOLD,
                requests.c.state_since <= since,
            )
        )
        return sorted(self._connection.execute(rows).scalars())

    def _waiting(self, request_ids: Iterable[str]) -> list[str]:
        wanted = set(request_ids)
        return [one for one in self.waiting() if one in wanted]

    def _count(self) -> int:
        """The next number. From here on nobody else changes the queue until this transaction ends."""
        first = insert_into(self._connection, lock_counter).values(id=1, last=1)
        count = first.on_conflict_do_update(
            index_elements=[lock_counter.c.id], set_={"last": lock_counter.c.last + 1}
        ).returning(lock_counter.c.last)
        return int(self._connection.execute(count).scalar_one())

    def _queue(self, request_id: str) -> None:
        """Have a request stand at the end of the queue, or where the first of those stands that it works for."""
        ticket = self._count()
        family = self._families([request_id])[request_id]
        turns = select(locks.c.turn).where(locks.c.request_id.in_(family), locks.c.held_since.is_not(None))
        turn = min(self._connection.execute(turns).scalars(), default=ticket)
        self._connection.execute(
            update(locks).where(locks.c.request_id == request_id).values(ticket=ticket, turn=turn, asked=self._clock())
        )

    def _hold(self, request_id: str) -> None:
        now = self._clock()
        for row in self.of(request_id):
            mine = and_(locks.c.request_id == request_id, locks.c.name == row.name)
            held = {"held_since": now, "number": self._count()}
            self._connection.execute(update(locks).where(mine).values(**held))

    def _give(self, granted: Sequence[str]) -> None:
        """Have requests hold their locks, and let them go on: they are dispatched, or woken if they have their run."""
        for request_id in granted:
            self._hold(request_id)
            run = self._connection.execute(select(requests.c.flow_run_id).where(requests.c.id == request_id))
            kind = DISPATCH if run.scalar_one() is None else WAKE
            self._outbox.put(kind, request_id, {"why": ITS_TURN})

    def _order(self) -> LockOrder:
        rows = defaultdict(list)
        for row in self.standing():
            rows[row.request_id].append(row)
        families = self._families(rows)
        return LockOrder(
            Standing(
                request_id,
                frozenset(row.name for row in of),
                (of[0].turn or 0, of[0].ticket or 0),
                of[0].held_since is not None,
                families[request_id],
            )
            for request_id, of in rows.items()
        )

    def _families(self, request_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """For each request those that it works for: who ordered it, who ordered that one, and so on."""
        parents: dict[str, str | None] = {}
        wanted = set(request_ids)
        asked = list(wanted)
        while wanted:
            found = {one.id: one.parent for one in self._connection.execute(_parents_of(sorted(wanted)))}
            parents |= found
            wanted = {parent for parent in found.values() if parent is not None} - parents.keys()
        return {request_id: tuple(_up(parents, request_id)) for request_id in asked}


def _parents_of(request_ids: Sequence[str]) -> Select[Any]:
    return select(requests.c.id, requests.c.parent).where(requests.c.id.in_(request_ids))


def _up(parents: dict[str, str | None], request_id: str) -> Iterable[str]:
    above = parents.get(request_id)
    while above is not None:
        yield above
        above = parents.get(above)

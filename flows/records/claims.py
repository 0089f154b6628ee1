"""The claim: one runner at a time (invariant 2).

A take is one statement, so of two takers one wins. The epoch fences: whoever writes to the ledger shows it, and
the row is locked against a take until that write is committed.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select, update

from flows.records.errors import ClaimLost
from flows.records.rows import Claim, Holder
from flows.records.tables import claims
from flows.records.upsert import insert_into


class Claims:
    """Claims on requests. Expiry is judged by the clock given to the records."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def take(
        self,
        request_id: str,
        flow_run_id: str,
        holder: Holder,
        ttl: timedelta,
        *,
        grace: timedelta = timedelta(0),
        dead_epoch: int | None = None,
    ) -> Claim | None:
        """Take the claim with a new epoch, or None while another is live.

        A claim is up for taking when released, or `grace` after it expired (the longest call its holder may still have
        under way), or at once if its epoch is `dead_epoch`: the caller has seen its process group dead.
        """
        now = self._clock()
        first = insert_into(self._connection, claims).values(
            request_id=request_id,
            epoch=1,
            flow_run_id=flow_run_id,
            host=holder.host,
            boot_id=holder.boot_id,
            pid=holder.pid,
            pid_started=holder.pid_started,
            taken=now,
            expires=now + ttl,
            released=False,
        )
        free = [claims.c.released, claims.c.expires <= now - grace]
        if dead_epoch is not None:
            free.append(claims.c.epoch == dead_epoch)
        new = first.excluded
        take = first.on_conflict_do_update(
            index_elements=[claims.c.request_id],
            set_={
                "epoch": claims.c.epoch + 1,
                "flow_run_id": new.flow_run_id,
                "host": new.host,
                "boot_id": new.boot_id,
                "pid": new.pid,
                "pid_started": new.pid_started,
                "taken": new.taken,
                "expires": new.expires,
                "released": new.released,
            },
            where=or_(*free),
        ).returning(*claims.c)
        return _claim(self._connection.execute(take).one_or_none())

    def get(self, request_id: str) -> Claim | None:
        """The latest claim on a request, live or not."""
        return _claim(self._connection.execute(_select(request_id)).one_or_none())

    def live_since(self, since: datetime) -> list[Claim]:
        """The claims taken then, or earlier, that have not expired."""
        live = and_(~claims.c.released, claims.c.taken <= since, claims.c.expires > self._clock())
        found = map(_claim, self._connection.execute(select(*claims.c).where(live).order_by(claims.c.taken)))
        return [claim for claim in found if claim is not None]

    def renew(self, claim: Claim, ttl: timedelta) -> Claim:
        """Let the claim live `ttl` from now. Raises ClaimLost when it was released or taken.

        An expired claim nobody took is renewed: its holder slept, and nothing happened meanwhile.
        """
        mine = and_(claims.c.request_id == claim.request_id, claims.c.epoch == claim.epoch, ~claims.c.released)
        renew = update(claims).where(mine).values(expires=self._clock() + ttl).returning(*claims.c)
        renewed = _claim(self._connection.execute(renew).one_or_none())
        if renewed is None:
            raise self._lost(claim.request_id, claim.epoch)
        return renewed

    def release(self, claim: Claim) -> None:
        """Give the claim back; nothing happens if it was lost already."""
        self._connection.execute(
            update(claims)
            .where(claims.c.request_id == claim.request_id, claims.c.epoch == claim.epoch)
            .values(released=True)
        )

    def check(self, request_id: str, epoch: int, *, live: bool = False) -> None:
        """Raise ClaimLost unless `epoch` holds the claim, and keep it so until this transaction ends.

        With `live` the claim must not have expired either. That is asked before something new is begun: a taker waits
        from the expiry for what was begun before. What is over may be recorded by an expired claim that nobody took.
        """
        claim = _claim(self._connection.execute(_select(request_id).with_for_update(read=True)).one_or_none())
        if claim is None or claim.epoch != epoch or claim.released or (live and claim.expires <= self._clock()):
            raise self._lost(request_id, epoch)

    def _lost(self, request_id: str, epoch: int) -> ClaimLost:
        claim = self.get(request_id)
        if claim is None:
            return ClaimLost(request_id, epoch, "nobody ever took it")
        if claim.epoch != epoch:
            return ClaimLost(request_id, epoch, f"flow run {claim.flow_run_id} took it as {claim.epoch}")
        return ClaimLost(request_id, epoch, "it was released" if claim.released else "it expired")


def _select(request_id: str) -> Select[Any]:
    return select(*claims.c).where(claims.c.request_id == request_id)


def _claim(row: Row[Any] | None) -> Claim | None:
    if row is None:
        return None
    return Claim(
        request_id=row.request_id,
        epoch=row.epoch,
        flow_run_id=row.flow_run_id,
        holder=Holder(row.host, row.boot_id, row.pid, row.pid_started),
        taken=row.taken,
        expires=row.expires,
        released=row.released,
    )

"""What groups, parallel blocks and loops decided, once, and how they ended; and each item of a loop.

Every write carries the epoch of the writer's claim and raises ClaimLost when it is stale.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, Connection, and_, bindparam, delete, insert, update

from flows.records.claims import Claims
from flows.records.errors import IllegalTransition, NotFound
from flows.records.reading import each, one, select_rows
from flows.records.rows import BlockRow, Sealed
from flows.records.states import StepState
from flows.records.tables import blocks


class Blocks:
    """Blocks, by their place in the plan and the item of the loops around them."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], claims: Claims) -> None:
        self._connection = connection
        self._clock = clock
        self._claims = claims

    def start(
        self,
        request_id: str,
        place: str,
        item_key: str,
        epoch: int,
        *,
        when_value: bool | None = None,
        items: Sealed | None = None,
        message: str = "",
    ) -> BlockRow:
        """Record what a block decided, before anything in it runs; of one that is on record, what it decided then."""
        self._claims.check(request_id, epoch, live=True)
        known = self.get(request_id, place, item_key)
        if known is None:
            self._connection.execute(
                insert(blocks).values(
                    request_id=request_id,
                    place=place,
                    item_key=item_key,
                    state=StepState.STARTED,
                    when_value=when_value,
                    items=items,
                    message=message,
                    epoch=epoch,
                    started=self._clock(),
                )
            )
        return self._required(request_id, place, item_key)

    def finish(
        self, request_id: str, place: str, item_key: str, state: StepState, message: str, epoch: int
    ) -> BlockRow:
        """Record how a started block ended; raises NotFound, and IllegalTransition for one that has ended."""
        self._claims.check(request_id, epoch)
        known = self._required(request_id, place, item_key)
        if known.state is not StepState.STARTED:
            raise IllegalTransition("block", place, known.state, state)
        self._connection.execute(
            update(blocks)
            .where(_at(request_id, place, item_key))
            .values(state=state, message=message, ended=self._clock(), epoch=epoch)
        )
        return self._required(request_id, place, item_key)

    def forget_within(self, request_id: str, place: str, item_key: str, epoch: int) -> None:
        """Forget what was decided within a block, in the item of a loop it stands in and in those of its own loops.

        What the block itself decided stays: it does not depend on what is within.
        """
        self._claims.check(request_id, epoch)
        kept = (f"{place}/items", item_key)
        within = [
            {"at": row.place, "of": row.item_key}
            for row in self.all(request_id)
            if row.place.startswith(f"{place}/")
            and is_within(row.item_key, item_key)
            and (row.place, row.item_key) != kept
        ]
        if within:
            place_of, item_of = (bindparam(name, type_=blocks.c.place.type) for name in ("at", "of"))
            self._connection.execute(delete(blocks).where(_at(request_id, place_of, item_of)), within)

    def forget(self, request_id: str, places: Iterable[tuple[str, str]], epoch: int) -> None:
        """Have blocks, each in the item it stands in, as if they had never been reached."""
        self._claims.check(request_id, epoch)
        gone = [{"at": place, "of": item_key} for place, item_key in places]
        if gone:
            place_of, item_of = (bindparam(name, type_=blocks.c.place.type) for name in ("at", "of"))
            self._connection.execute(delete(blocks).where(_at(request_id, place_of, item_of)), gone)

    def get(self, request_id: str, place: str, item_key: str) -> BlockRow | None:
        """A block as recorded, None if it was not reached."""
        rows = select_rows(BlockRow, blocks).where(_at(request_id, place, item_key))
        return one(BlockRow, self._connection.execute(rows).one_or_none())

    def all(self, request_id: str) -> list[BlockRow]:
        """The blocks that were reached."""
        rows = select_rows(BlockRow, blocks).where(blocks.c.request_id == request_id)
        return each(BlockRow, self._connection.execute(rows.order_by(blocks.c.started, blocks.c.place)))

    def _required(self, request_id: str, place: str, item_key: str) -> BlockRow:
        row = self.get(request_id, place, item_key)
        if row is None:
            raise NotFound("block", f"{place}[{item_key}]")
        return row


def is_within(item_key: str, outer: str) -> bool:
    """Whether an item is the outer one or an item of a loop in it; everything is within no item (an empty key)."""
    return not outer or item_key == outer or item_key.startswith(f"{outer}/")


def _at(request_id: str, place: str | BindParameter[str], item_key: str | BindParameter[str]) -> ColumnElement[bool]:
    return and_(blocks.c.request_id == request_id, blocks.c.place == place, blocks.c.item_key == item_key)

"""The effects ledger: what was meant to be done to the world, committed before it is tried (invariant 3).

The arguments of an effect are those of its step's row; both are written once. Every write carries the epoch of the
writer's claim and raises ClaimLost when it is stale.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, ScalarSelect, and_, func, insert, select, update

from flows.records.claims import Claims
from flows.records.errors import Conflict, IllegalTransition, NotFound
from flows.records.reading import each, one, select_rows
from flows.records.rows import EffectRow, Sealed
from flows.records.states import LEGAL_CLOSINGS, PROVED_ABSENT, EffectState
from flows.records.tables import effects
from request_models.actions import Outcome


class Effects:
    """Intents and what became of them. Whether an effect may be sent again is judged by the execution, by its class."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], claims: Claims) -> None:
        self._connection = connection
        self._clock = clock
        self._claims = claims

    def open(  # noqa: PLR0913 - the columns of one row, each of which must be said
        self,
        request_id: str,
        path: str,
        item_key: str,
        generation: int,
        action: str,
        token: UUID,
        epoch: int,
        *,
        token_expires: datetime | None = None,
        pre_read: Sealed | None = None,
    ) -> EffectRow:
        """Commit the intent of a call, under a live claim, before the call is made.

        The same generation may be opened again, to send the same call again, with the token it has; when it was first
        opened, when its token expires, and what was read before it, stay. Raises Conflict when the effect happened
        already, when action or token differ, or when the generation rises without proof that the one before left no
        effect.
        """
        self._claims.check(request_id, epoch, live=True)
        current = self.current(request_id, path, item_key)
        if current is not None and current.generation == generation:
            return self._resend(current, action, token, epoch)
        _refuse_unproved(current, path, generation)
        made = self._connection.execute(
            insert(effects)
            .values(
                request_id=request_id,
                path=path,
                item_key=item_key,
                generation=generation,
                epoch=epoch,
                token=token,
                action=action,
                state=EffectState.OPEN,
                opened=self._clock(),
                token_expires=token_expires,
                pre_read=pre_read,
            )
            .returning(effects.c.id)
        )
        return self._required(made.scalar_one())

    def current(self, request_id: str, path: str, item_key: str = "") -> EffectRow | None:
        """The latest generation of an effect."""
        rows = select_rows(EffectRow, effects).where(
            effects.c.request_id == request_id, effects.c.path == path, effects.c.item_key == item_key
        )
        return one(
            EffectRow, self._connection.execute(rows.order_by(effects.c.generation.desc()).limit(1)).one_or_none()
        )

    def latest(self, request_id: str) -> list[EffectRow]:
        """The latest generation of each effect of a request, in the order in which they were closed; open ones last."""
        newest = {(row.path, row.item_key): row for row in self.all(request_id)}
        return sorted(newest.values(), key=lambda row: (row.closing is None, row.closing or 0, row.id))

    def all(self, request_id: str) -> list[EffectRow]:
        """Every generation of every effect of a request, in the order they were first opened."""
        rows = select_rows(EffectRow, effects).where(effects.c.request_id == request_id).order_by(effects.c.id)
        return each(EffectRow, self._connection.execute(rows))

    def close(
        self, effect_id: int, state: EffectState, outcome: Outcome | None, before: Sealed | None, epoch: int
    ) -> EffectRow:
        """Record what became of an effect; `before` is what a `changed` one replaced.

        Raises NotFound, and IllegalTransition for a state that does not follow from what is known.
        """
        effect = self._required(effect_id)
        self._claims.check(effect.request_id, epoch)
        if state not in LEGAL_CLOSINGS[effect.state]:
            raise IllegalTransition("effect", f"{effect.path} ({effect_id})", effect.state, state)
        if (outcome is None) is (state is EffectState.DONE):
            raise ValueError("An effect that is done has an outcome, any other has none.")
        columns: dict[str, Any] = {"state": state, "closed": self._clock(), "epoch": epoch}
        columns["closing"] = _next_closing(effect.request_id)
        if state is EffectState.DONE:  # an undone effect keeps what it was
            columns |= {"outcome": outcome, "before": before}
        self._connection.execute(update(effects).where(effects.c.id == effect_id).values(**columns))
        return self._required(effect_id)

    def mark_open_unknown(self, request_id: str, epoch: int) -> list[EffectRow]:
        """Whoever takes a claim over calls this: intents that earlier epochs left open become unknown (invariant 2)."""
        self._claims.check(request_id, epoch)
        left = and_(effects.c.request_id == request_id, effects.c.state == EffectState.OPEN, effects.c.epoch < epoch)
        marked = self._connection.execute(
            update(effects)
            .where(left)
            .values(state=EffectState.UNKNOWN, closed=self._clock(), closing=_next_closing(request_id))
            .returning(*select_rows(EffectRow, effects).selected_columns)
        )
        return sorted(each(EffectRow, marked), key=lambda effect: effect.id)

    def _resend(self, effect: EffectRow, action: str, token: UUID, epoch: int) -> EffectRow:
        if effect.state in {EffectState.DONE, EffectState.UNDONE}:
            raise Conflict(f"The effect of {effect.path} is {effect.state}: sending it again would do it twice.")
        if (effect.action, effect.token) != (action, token):
            raise Conflict(
                f"The effect of {effect.path} was meant to be {effect.action} with token {effect.token}; "
                "the same generation sends exactly that again."
            )
        self._connection.execute(
            update(effects).where(effects.c.id == effect.id).values(state=EffectState.OPEN, epoch=epoch, closed=None)
        )
        return self._required(effect.id)

    def _required(self, effect_id: int) -> EffectRow:
        rows = select_rows(EffectRow, effects).where(effects.c.id == effect_id)
        effect = one(EffectRow, self._connection.execute(rows).one_or_none())
        if effect is None:
            raise NotFound("effect", str(effect_id))
        return effect


def _next_closing(request_id: str) -> ScalarSelect[int]:
    """Counts up with each effect of the request that is closed: a clock may go back, and undo needs the order."""
    earlier = effects.alias()
    last = select(func.coalesce(func.max(earlier.c.closing), 0) + 1).where(earlier.c.request_id == request_id)
    return last.scalar_subquery()


def _refuse_unproved(current: EffectRow | None, path: str, generation: int) -> None:
    following = 1 if current is None else current.generation + 1
    if generation != following:
        raise Conflict(f"The next generation of the effect of {path} is {following}, not {generation}.")
    if current is not None and current.state not in PROVED_ABSENT:
        raise Conflict(
            f"Generation {current.generation} of the effect of {path} is {current.state}: "
            "a new one needs proof that it left no effect, or its undo."
        )

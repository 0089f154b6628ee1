"""What is recorded of groups, branches and loops: one write a decision and an end, each with the claim's epoch."""

import threading
from collections.abc import Sequence
from typing import cast

from flows.decisions import Decision
from flows.masking import pointers_holding, secret_texts
from flows.records.blocks import is_within
from flows.records.records import Records, Transaction
from flows.records.rows import BlockRow, Claim, Sealed
from flows.records.states import StepState
from flows.undo_ledger import forget_steps
from request_models.json_values import JsonValue


class BlockLedger:
    """The record of the blocks of a claimed request; it is `Decisions` of the walk. Thread-safe."""

    def __init__(self, records: Records, claim: Claim) -> None:
        self._records = records
        self._id = claim.request_id
        self._epoch = claim.epoch
        self._lock = threading.Lock()
        self._known = records.read(self._read)

    def recorded(self, place: str, item_key: str) -> Decision | None:
        """What a block decided, None before it did."""
        with self._lock:
            return self._known.get((place, item_key))

    def record(self, place: str, item_key: str, decision: Decision) -> Decision:
        """Record what a block decides; of one that is on record, what it decided then. Raises ClaimLost."""
        known = self.recorded(place, item_key)
        if known is not None:
            return known

        def write(tx: Transaction) -> BlockRow:
            items = self._sealed(tx, place, item_key, decision) if decision.items else None
            return tx.blocks.start(
                self._id,
                place,
                item_key,
                self._epoch,
                when_value=decision.when,
                items=items,
                message=decision.message,
            )

        self._records.run(write)
        return self._remember(place, item_key, decision)

    def ended(self, place: str, item_key: str, state: StepState, message: str = "") -> None:
        """Record how a block ended. Raises ClaimLost."""
        self._records.run(lambda tx: tx.blocks.finish(self._id, place, item_key, state, message, self._epoch))
        known = self.recorded(place, item_key) or Decision()
        self._remember(place, item_key, Decision(known.when, known.items, state, message))

    def forget(self, place: str, item_key: str, steps: Sequence[str]) -> None:
        """Have a block as if it had never run: what is within is decided and evaluated anew. Raises ClaimLost."""

        def write(tx: Transaction) -> dict[tuple[str, str], Decision]:
            forget_steps(tx, self._id, self._epoch, steps, item_key)
            tx.blocks.forget_within(self._id, place, item_key, self._epoch)
            return self._read(tx)

        known = self._records.run(write)
        with self._lock:
            gone = [
                key
                for key in self._known
                if key not in known and key[0].startswith(f"{place}/") and is_within(key[1], item_key)
            ]
            for key in gone:
                del self._known[key]

    def _remember(self, place: str, item_key: str, decision: Decision) -> Decision:
        with self._lock:
            self._known[place, item_key] = decision
        return decision

    def _sealed(self, tx: Transaction, place: str, item_key: str, decision: Decision) -> Sealed:
        """The items, sealed where one holds a secret of the request."""
        pairs: list[JsonValue] = [[key, item] for key, item in decision.items]
        found = pointers_holding(pairs, secret_texts(tx.secrets.all(self._id)))
        return tx.secrets.seal(self._id, f"blocks{place}[{item_key}]", pairs, found)

    def _read(self, tx: Transaction) -> dict[tuple[str, str], Decision]:
        return decisions_of(tx, self._id)


def decisions_of(tx: Transaction, request_id: str) -> dict[tuple[str, str], Decision]:
    """What the blocks of a request decided, by place and the key of the item, secrets revealed."""
    return {(row.place, row.item_key): _decision(tx, row) for row in tx.blocks.all(request_id)}


def _decision(tx: Transaction, row: BlockRow) -> Decision:
    pairs = [] if row.items is None else cast(list[tuple[str, JsonValue]], tx.secrets.reveal(row.request_id, row.items))
    ended = None if row.state is StepState.STARTED else row.state
    return Decision(row.when_value, tuple((str(key), item) for key, item in pairs), ended, row.message)

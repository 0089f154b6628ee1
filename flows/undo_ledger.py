"""What is read and written while the effects of a claimed request are taken back; writes carry the claim's epoch.

That an effect was taken back is one transaction with the same of all effects that went along with it, so that whoever
takes an undo up again after a crash finds each effect either done or undone.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from flows.masking import masked, secret_texts
from flows.records.blocks import is_within
from flows.records.errors import NotFound
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, EffectRow, RequestRow, StepRow
from flows.records.states import EffectState, StepState
from flows.walk import Unit
from request_models.actions import Outcome
from request_models.json_values import JsonValue

UNDO: Final = ".undo."
"""What stands between the path of a step and the number of an action of its undo; ids of steps hold no dot."""

Key = tuple[str, str]
"""The path of a step and the key of the item."""


def undo_path(path: str, what: str) -> str:
    """The path of one call of a step's undo."""
    return f"{path}{UNDO}{what}"


def is_undo(path: str) -> bool:
    """Whether a path is that of a call of an undo."""
    return UNDO in path


@dataclass(frozen=True)
class Forward:
    """A step's call as it was made, secrets revealed. `result` is there only if it had an answer."""

    row: StepRow
    effect: EffectRow
    arguments: dict[str, JsonValue]
    answered: bool
    result: JsonValue
    before: JsonValue
    pre_read: JsonValue
    content: bytes | None

    @property
    def seen(self) -> dict[str, object]:
        """What the expressions of its undo see of it."""
        return {"args": self.arguments, **({"result": self.result} if self.answered else {})}


class UndoLedger:
    """The record of what a claimed request did and of how it is taken back. Writes raise ClaimLost once it is stale."""

    def __init__(self, records: Records, claim: Claim, request: RequestRow) -> None:
        self._records = records
        self._epoch = claim.epoch
        self._id = request.id

    def effects(self) -> list[EffectRow]:
        """The latest generation of the effect of each step and item, in the order in which they were closed."""
        latest = self._records.read(lambda tx: tx.effects.latest(self._id))
        return [effect for effect in latest if not is_undo(effect.path)]

    def effect(self, key: Key) -> EffectRow | None:
        """The latest generation of one effect."""
        return self._records.read(lambda tx: tx.effects.current(self._id, *key))

    def forward(self, unit: Unit, effect: EffectRow) -> Forward:
        """The call that had an effect, or may have had it."""

        def read(tx: Transaction) -> Forward:
            row = tx.steps.get(self._id, unit.step.path, item_key=unit.frame.key)
            if row is None:
                raise NotFound("step", f"{self._id}/{unit.step.path}")
            answered = row.state is StepState.DONE and row.result is not None
            pinned = unit.step.content_digest
            return Forward(
                row,
                effect,
                cast(dict[str, JsonValue], tx.secrets.reveal(self._id, row.arguments)),
                answered,
                tx.secrets.reveal(self._id, row.result) if answered and row.result is not None else None,
                None if effect.before is None else tx.secrets.reveal(self._id, effect.before),
                None if effect.pre_read is None else tx.secrets.reveal(self._id, effect.pre_read),
                None if pinned is None else tx.content.get(pinned),
            )

        return self._records.read(read)

    def masked(self, text: str) -> str:
        """A text that a system had a part in, with every secret of the request in it replaced."""
        return masked(text, secret_texts(self._records.read(lambda tx: tx.secrets.all(self._id))))

    def absent(self, effect: EffectRow) -> None:
        """Record that an effect nobody knew of did not happen."""
        self._records.run(lambda tx: tx.effects.close(effect.id, EffectState.FAILED, None, None, self._epoch))

    def taken_back(self, effects: Iterable[EffectRow], message: str) -> None:
        """Record that effects were taken back, all of them or none."""
        taken = tuple(effects)

        def write(tx: Transaction) -> None:
            for effect in taken:
                tx.effects.close(effect.id, EffectState.UNDONE, None, None, self._epoch)
                tx.steps.undone(self._id, effect.path, self._epoch, item_key=effect.item_key, message=message)

        self._records.run(write)

    def did_not_hold(self, key: Key) -> None:
        """Record that the calls of a step's undo were made, and had no lasting effect: they may be made again."""
        path, item_key = key
        self._records.run(lambda tx: _forget(tx, self._id, self._epoch, lambda row: _is_undo_of(row, path, item_key)))


def forget_steps(tx: Transaction, request_id: str, epoch: int, steps: Sequence[str], item_key: str) -> None:
    """Have steps, in an item of a loop and those within it, be evaluated anew when they run again; their undos too."""
    paths = frozenset(steps)

    def concerned(row: StepRow) -> bool:
        return row.path.partition(UNDO)[0] in paths and is_within(row.item_key, item_key)

    _forget(tx, request_id, epoch, concerned)


def forget_undos(tx: Transaction, request_id: str, epoch: int, keys: Collection[Key]) -> None:
    """Have the undos of steps, or items of them, as if they had never run: what they take back is made anew."""
    wanted = frozenset(keys)

    def concerned(row: StepRow) -> bool:
        return is_undo(row.path) and (row.path.partition(UNDO)[0], row.item_key) in wanted

    _forget(tx, request_id, epoch, concerned)


def _forget(tx: Transaction, request_id: str, epoch: int, concerned: Callable[[StepRow], bool]) -> None:
    """Have the rows of steps replaced when they run again. A step whose effect stands is left as it is."""
    for row in tx.steps.all(request_id):
        if not concerned(row) or row.state is StepState.UNDONE:
            continue
        effect = tx.effects.current(request_id, row.path, row.item_key)
        if effect is not None and effect.state in {EffectState.DONE, EffectState.UNKNOWN}:
            # What was read, and what an undo did, has no bearing on the next time.
            if not is_undo(row.path) and effect.outcome is not Outcome.READ:
                continue
            tx.effects.close(effect.id, EffectState.UNDONE, None, None, epoch)
        tx.steps.undone(request_id, row.path, epoch, item_key=row.item_key)


def _is_undo_of(row: StepRow, path: str, item_key: str) -> bool:
    return row.item_key == item_key and row.path.startswith(f"{path}{UNDO}")

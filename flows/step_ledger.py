"""What is written about one step, one transaction a method; every write carries the claim's epoch (invariants 2 and 3).

Each method may be repeated by `Records.run` while the database is busy, so none has an effect outside its transaction.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from flows.frames import Entry
from flows.masking import pointers_holding, secret_texts
from flows.records.errors import NotFound
from flows.records.records import Records, Transaction
from flows.records.rows import AttemptRow, Claim, EffectRow, RequestRow, Sealed, StepRow
from flows.records.secret_values import SEEN
from flows.records.states import PROVED_ABSENT, AttemptOutcome, EffectState, StepState
from flows.scope import step_entry
from request_models.actions import ActionResult, ErrorClass, Repeating
from request_models.json_values import JsonValue
from request_models.plan import Step
from request_models.secrecy import matching_pointers, secret_pointers

TOKENS = uuid.UUID("6f5f2c56-0a57-5d0e-9d4c-0b6f6f1f6a11")
"""Namespace of idempotency tokens: UUIDv5 of (request, step path with item key, generation)."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed. `code` is the system's own; `progress` goes to the next attempt.

    `repeatable`: what is unknown may be sent again exactly as it was. `partly`: a part of it may have been done.
    """

    message: str
    error_class: ErrorClass
    code: str
    progress: JsonValue = None
    repeatable: bool = False
    partly: bool = False


@dataclass(frozen=True)
class Sending:
    """What the next call of a step's effect is made with, secrets revealed. Nothing is committed yet.

    `pre_read` is what was recorded before the generation's first call. `resent`: that call may have had its effect.
    """

    generation: int
    token: uuid.UUID
    arguments: dict[str, JsonValue]
    progress: JsonValue
    pre_read: JsonValue
    resent: bool
    secrets: tuple[JsonValue, ...]
    """Every secret of the request: none may be logged, wherever this call meets it."""


@dataclass(frozen=True)
class Intent:
    """A call that may now be made: its attempt, and its effect in the ledger."""

    effect: EffectRow
    attempt: int
    sending: Sending


def effect_token(request_id: str, path: str, generation: int, item_key: str = "") -> uuid.UUID:
    """The idempotency token of one generation of an effect; the same for each resend of it."""
    return uuid.uuid5(TOKENS, f"{request_id}\n{path}[{item_key}]\n{generation}")


def step_owner(path: str, item_key: str) -> str:
    """The owner of what is sealed of a step, or of an item of it."""
    return f"steps/{path}" + (f"[{item_key}]" if item_key else "")


def seal_found(tx: Transaction, request_id: str, owner: str, value: JsonValue, declared: Iterable[str]) -> Sealed:
    """Seal what is declared secret, and what else holds a secret of the request: people and systems repeat them."""
    found = pointers_holding(value, secret_texts(tx.secrets.all(request_id)))
    return tx.secrets.seal(request_id, owner, value, [*declared, *found])


class StepLedger:
    """The record of one step of a claimed request, or of one item of it. Writes raise ClaimLost once it is stale."""

    def __init__(
        self,
        records: Records,
        claim: Claim,
        request: RequestRow,
        step: Step,
        item_key: str = "",
        supplier: str | None = None,
    ) -> None:
        self._records = records
        self._epoch = claim.epoch
        self._id = request.id
        self._step = step
        self._item = item_key
        self._supplier = supplier

    def now(self) -> datetime:
        """The time of the records."""
        return self._records.now()

    def row(self) -> StepRow | None:
        """The step as recorded, None before it was reached, and after it was undone."""
        row = self._records.read(lambda tx: tx.steps.get(self._id, self._step.path, item_key=self._item))
        return None if row is None or row.state is StepState.UNDONE else row

    def entry(self) -> Entry | None:
        """What expressions see of the step, None for one that could not even be evaluated."""

        def read(tx: Transaction) -> Entry | None:
            row = tx.steps.get(self._id, self._step.path, item_key=self._item)
            return None if row is None else step_entry(tx, row)

        return self._records.read(read)

    def effect(self) -> EffectRow | None:
        """The latest generation of the step's effect."""
        return self._records.read(lambda tx: tx.effects.current(self._id, self._step.path, self._item))

    @cached_property
    def content(self) -> bytes | None:
        """The pinned content of the step's action, None for an action without; raises NotFound."""
        pinned = self._step.content_digest
        if pinned is None:
            return None
        content = self._records.read(lambda tx: tx.content.get(pinned))
        if content is None:
            raise NotFound("content", pinned)
        return content

    def arguments(self, row: StepRow) -> dict[str, JsonValue]:
        """What the step was rendered to, secrets revealed."""
        return self._records.read(lambda tx: _revealed(tx, self._id, row))

    def start(
        self,
        arguments: dict[str, JsonValue],
        hosts: tuple[str, ...],
        target: dict[str, JsonValue],
        when_value: bool | None,
    ) -> StepRow:
        """Record what the step was evaluated to, once and for all its attempts."""
        declared = list(secret_pointers(self._step.arguments))

        def write(tx: Transaction) -> StepRow:
            sealed = self._sealed(tx, "arguments", arguments, declared)
            return tx.steps.put_started(
                self._id, self._step.path, sealed, hosts, target, when_value, self._epoch, item_key=self._item
            )

        return self._records.run(write)

    def skip(self, why: str) -> StepRow:
        """Record a step whose condition is false."""

        def write(tx: Transaction) -> StepRow:
            nothing = tx.secrets.seal(self._id, f"{self._place}/arguments", {}, ())
            tx.steps.put_started(self._id, self._step.path, nothing, (), {}, False, self._epoch, item_key=self._item)
            return self._finish(tx, StepState.SKIPPED, None, why)

        return self._records.run(write)

    def sending(self) -> Sending:
        """What the next call is made with: the same generation again, unless it is proved that it left no effect."""

        def look(tx: Transaction) -> Sending:
            row = tx.steps.get(self._id, self._step.path, item_key=self._item)
            if row is None:
                raise NotFound("step", f"{self._id}/{self._step.path}")
            before = tx.effects.current(self._id, self._step.path, self._item)
            generation, resent = _next_generation(before)
            recorded = before.pre_read if before is not None and resent else None
            return Sending(
                generation,
                effect_token(self._id, self._step.path, generation, self._item),
                _revealed(tx, self._id, row),
                _last_progress(tx, self._id, self._step.path, self._item),
                None if recorded is None else tx.secrets.reveal(self._id, recorded),
                resent,
                tuple(tx.secrets.all(self._id)),
            )

        return self._records.read(look)

    def intend(self, sending: Sending, repeating: Repeating, queued: datetime) -> Intent:
        """Commit the intent of one call: the attempt, and the open effect with its token and what was read before."""
        lifetime = repeating.token_lifetime

        def write(tx: Transaction) -> Intent:
            tx.steps.restart(self._id, self._step.path, self._epoch, item_key=self._item)
            pre_read = None
            if not sending.resent and sending.pre_read is not None:
                pre_read = self._seen(tx, f"{sending.generation}/pre-read", sending.pre_read)
            attempt = self._start_attempt(tx, queued)
            effect = tx.effects.open(
                self._id,
                self._step.path,
                self._item,
                sending.generation,
                self._step.uses,
                sending.token,
                self._epoch,
                token_expires=None if lifetime is None else self.now() + lifetime,
                pre_read=pre_read,
            )
            return Intent(effect, attempt, sending)

        return self._records.run(write)

    def done(self, intent: Intent, answer: ActionResult) -> None:
        """Record a call that had its outcome, and with it the step."""
        self._records.run(lambda tx: self._done(tx, intent.effect, intent.attempt, answer))

    def adopt(self, effect: EffectRow, answer: ActionResult, queued: datetime) -> None:
        """Record an effect that a probe found to be ours, and with it the step, as an attempt that called nothing."""

        def write(tx: Transaction) -> None:
            tx.steps.restart(self._id, self._step.path, self._epoch, item_key=self._item)
            self._done(tx, effect, self._start_attempt(tx, queued), answer)

        self._records.run(write)

    def proved_absent(self, effect: EffectRow) -> None:
        """Record that an unknown effect did not happen: its generation may rise."""
        self._records.run(lambda tx: tx.effects.close(effect.id, EffectState.FAILED, None, None, self._epoch))

    def failed(self, intent: Intent, failure: Failure, effect: EffectState) -> None:
        """Record a call that failed; `effect` says whether it is proved that nothing happened."""

        def write(tx: Transaction) -> None:
            tx.effects.close(intent.effect.id, effect, None, None, self._epoch)
            self._end_attempt(tx, intent.attempt, failure)

        self._records.run(write)

    def failed_before_call(self, failure: Failure, queued: datetime) -> None:
        """Record an attempt that ended before anything was called."""

        def write(tx: Transaction) -> None:
            self._end_attempt(tx, self._start_attempt(tx, queued), failure)

        self._records.run(write)

    def not_yet(self, intent: Intent) -> None:
        """Record a look whose answer was not as wished yet. It changed nothing, so its effect is closed."""

        def write(tx: Transaction) -> None:
            tx.effects.close(intent.effect.id, EffectState.FAILED, None, None, self._epoch)
            self._finish_attempt(tx, intent.attempt, AttemptOutcome.READ, None, None)

        self._records.run(write)

    def kept_bytes(self) -> int:
        """How much the request keeps in large results, arguments and lists."""
        return self._records.read(lambda tx: tx.large_values.size(self._id))

    def tries_since(self, moment: datetime) -> list[AttemptRow]:
        """The attempts of this step, or item, that ended since a moment."""
        return [
            row
            for row in self._records.read(lambda tx: tx.steps.attempts_of(self._id, self._step.path, self._item))
            if row.ended is not None and row.started >= moment
        ]

    def give_up(self, message: str) -> None:
        """Record that the step failed for good, until somebody retries it."""

        def write(tx: Transaction) -> None:
            tx.steps.restart(self._id, self._step.path, self._epoch, item_key=self._item)
            self._finish(tx, StepState.FAILED, None, message)

        self._records.run(write)

    @property
    def _place(self) -> str:
        return step_owner(self._step.path, self._item)

    def _sealed(self, tx: Transaction, what: str, value: JsonValue, declared: list[str]) -> Sealed:
        return seal_found(tx, self._id, f"{self._place}/{what}", value, declared)

    def _seen(self, tx: Transaction, what: str, value: JsonValue) -> Sealed:
        """Seal the whole of what a system showed us, since no type says what in it is secret."""
        return tx.secrets.seal(self._id, f"{SEEN}{self._place}/{what}", value, [""])

    def _start_attempt(self, tx: Transaction, queued: datetime) -> int:
        return tx.steps.start_attempt(
            self._id,
            self._step.path,
            self._step.uses,
            queued,
            self._epoch,
            item_key=self._item,
            supplier=self._supplier,
            touched=self._touched(tx),
        )

    def _touched(self, tx: Transaction) -> bool:
        """Whether it is by a person's hand that the step is tried once more."""
        last = tx.steps.last_attempt(self._id, self._step.path, self._item)
        return last is not None and last.ended is not None and tx.touches.let_go_on(self._id, last.ended)

    def _done(self, tx: Transaction, effect: EffectRow, attempt: int, answer: ActionResult) -> None:
        declared = matching_pointers(answer.result, self._step.secret_results)
        result = self._sealed(tx, "result", answer.result, declared)
        before = None if answer.before is None else self._seen(tx, f"{effect.generation}/before", answer.before)
        tx.effects.close(effect.id, EffectState.DONE, answer.outcome, before, self._epoch)
        self._finish_attempt(tx, attempt, AttemptOutcome(answer.outcome.value), None, None)
        self._finish(tx, StepState.DONE, result, "")

    def _finish(self, tx: Transaction, state: StepState, result: Sealed | None, message: str) -> StepRow:
        return tx.steps.finish(self._id, self._step.path, state, result, message, self._epoch, item_key=self._item)

    def _end_attempt(self, tx: Transaction, attempt: int, failure: Failure) -> None:
        unknown = failure.error_class is ErrorClass.UNKNOWN
        progress = None
        if failure.progress is not None:
            progress = self._seen(tx, f"attempts/{attempt}/progress", failure.progress)
        outcome = AttemptOutcome.UNKNOWN if unknown else AttemptOutcome.FAILED
        self._finish_attempt(tx, attempt, outcome, failure, progress)

    def _finish_attempt(
        self, tx: Transaction, attempt: int, outcome: AttemptOutcome, failure: Failure | None, progress: Sealed | None
    ) -> None:
        tx.steps.finish_attempt(
            self._id,
            self._step.path,
            attempt,
            outcome,
            None if failure is None else failure.error_class,
            None if failure is None else failure.code,
            "" if failure is None else failure.message,
            progress,
            self._epoch,
            item_key=self._item,
        )


def _revealed(tx: Transaction, request_id: str, row: StepRow) -> dict[str, JsonValue]:
    arguments = tx.secrets.reveal(request_id, row.arguments)
    if not isinstance(arguments, dict):
        raise TypeError(f"the recorded arguments of {row.path} are no map")
    return arguments


def _last_progress(tx: Transaction, request_id: str, path: str, item_key: str) -> JsonValue:
    of_step = tx.steps.attempts_of(request_id, path, item_key)
    left = [row.progress for row in of_step if row.progress is not None]
    return tx.secrets.reveal(request_id, left[-1]) if left else None


def _next_generation(before: EffectRow | None) -> tuple[int, bool]:
    """The generation of the next call, and whether it was called before.

    It rises only after proof that the one before had no effect (invariant 3).
    """
    if before is None:
        return 1, False
    return (before.generation + 1, False) if before.state in PROVED_ABSENT else (before.generation, True)

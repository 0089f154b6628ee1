"""What is written about one step, one transaction a method; every write carries the claim's epoch (invariants 2 and 3).

Each method may be repeated by `Records.run` while the database is busy, so none has an effect outside its transaction.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from flows.masking import pointers_holding, secret_texts
from flows.records.errors import NotFound
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, EffectRow, RequestRow, Sealed, StepRow
from flows.records.states import PROVED_ABSENT, AttemptOutcome, EffectState, StepState
from request_models.actions import ActionResult, ActionSpec, ErrorClass
from request_models.json_values import JsonValue
from request_models.plan import Step
from request_models.secrecy import matching_pointers, secret_pointers

TOKENS = uuid.UUID("6f5f2c56-0a57-5d0e-9d4c-0b6f6f1f6a11")
"""Namespace of idempotency tokens: UUIDv5 of (request, step path with item key, generation)."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed. `code` is the system's own; `progress` goes to the next attempt."""

    message: str
    error_class: ErrorClass
    code: str
    progress: JsonValue = None


@dataclass(frozen=True)
class Intent:
    """A call that may now be made: its effect in the ledger, and what it is made with, secrets revealed."""

    effect: EffectRow
    attempt: int
    arguments: dict[str, JsonValue]
    progress: JsonValue
    secrets: tuple[JsonValue, ...]
    """Every secret of the request: none may be logged, wherever this call meets it."""


def effect_token(request_id: str, path: str, generation: int, item_key: str = "") -> uuid.UUID:
    """The idempotency token of one generation of an effect; the same for each resend of it."""
    return uuid.uuid5(TOKENS, f"{request_id}\n{path}[{item_key}]\n{generation}")


class StepLedger:
    """The record of one step of a claimed request. Writes raise ClaimLost once the claim is stale."""

    def __init__(self, records: Records, claim: Claim, request: RequestRow, step: Step) -> None:
        self._records = records
        self._epoch = claim.epoch
        self._id = request.id
        self._step = step

    def now(self) -> datetime:
        """The time of the records."""
        return self._records.now()

    def row(self) -> StepRow | None:
        """The step as recorded, None before it was reached."""
        return self._records.read(lambda tx: tx.steps.get(self._id, self._step.path))

    def effect(self) -> EffectRow | None:
        """The latest generation of the step's effect."""
        return self._records.read(lambda tx: tx.effects.current(self._id, self._step.path))

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
            return tx.steps.put_started(self._id, self._step.path, sealed, hosts, target, when_value, self._epoch)

        return self._records.run(write)

    def skip(self, why: str) -> StepRow:
        """Record a step whose condition is false."""

        def write(tx: Transaction) -> StepRow:
            nothing = tx.secrets.seal(self._id, f"steps/{self._step.path}/arguments", {}, ())
            tx.steps.put_started(self._id, self._step.path, nothing, (), {}, False, self._epoch)
            return tx.steps.finish(self._id, self._step.path, StepState.SKIPPED, None, why, self._epoch)

        return self._records.run(write)

    def intend(self, spec: ActionSpec, queued: datetime) -> Intent:
        """Commit the intent of one call: the attempt, and the open effect with its token."""
        path, epoch = self._step.path, self._epoch

        def write(tx: Transaction) -> Intent:
            row = tx.steps.restart(self._id, path, epoch)
            progress = _last_progress(tx, self._id, path)
            generation = _next_generation(tx.effects.current(self._id, path))
            attempt = tx.steps.start_attempt(self._id, path, self._step.uses, queued, epoch)
            effect = tx.effects.open(
                self._id,
                path,
                "",
                generation,
                self._step.uses,
                effect_token(self._id, path, generation),
                epoch,
                token_expires=None if spec.token_lifetime is None else self.now() + spec.token_lifetime,
            )
            return Intent(effect, attempt, _revealed(tx, self._id, row), progress, tuple(tx.secrets.all(self._id)))

        return self._records.run(write)

    def done(self, intent: Intent, answer: ActionResult) -> None:
        """Record a call that had its outcome, and with it the step."""
        path, epoch = self._step.path, self._epoch
        declared = matching_pointers(answer.result, self._step.secret_results)

        def write(tx: Transaction) -> None:
            result = self._sealed(tx, "result", answer.result, declared)
            # What was there before was read by another call, of whose answer no type says what is secret.
            before = None if answer.before is None else self._sealed(tx, "before", answer.before, [""])
            tx.effects.close(intent.effect.id, EffectState.DONE, answer.outcome, before, epoch)
            outcome = AttemptOutcome(answer.outcome.value)
            tx.steps.finish_attempt(self._id, path, intent.attempt, outcome, None, None, "", None, epoch)
            tx.steps.finish(self._id, path, StepState.DONE, result, "", epoch)

        self._records.run(write)

    def failed(self, intent: Intent, failure: Failure, effect: EffectState) -> None:
        """Record a call that failed; `effect` says whether it is proved that nothing happened."""

        def write(tx: Transaction) -> None:
            tx.effects.close(intent.effect.id, effect, None, None, self._epoch)
            self._end_attempt(tx, intent.attempt, failure)

        self._records.run(write)

    def failed_before_call(self, failure: Failure, queued: datetime) -> None:
        """Record an attempt that ended before anything was called."""

        def write(tx: Transaction) -> None:
            attempt = tx.steps.start_attempt(self._id, self._step.path, self._step.uses, queued, self._epoch)
            self._end_attempt(tx, attempt, failure)

        self._records.run(write)

    def give_up(self, message: str) -> None:
        """Record that the step failed for good, until somebody retries it."""

        def write(tx: Transaction) -> None:
            tx.steps.restart(self._id, self._step.path, self._epoch)
            tx.steps.finish(self._id, self._step.path, StepState.FAILED, None, message, self._epoch)

        self._records.run(write)

    def _sealed(self, tx: Transaction, what: str, value: JsonValue, declared: list[str]) -> Sealed:
        """Seal what is declared secret, and what else holds a secret of the request: systems repeat what they hear."""
        found = pointers_holding(value, secret_texts(tx.secrets.all(self._id)))
        return tx.secrets.seal(self._id, f"steps/{self._step.path}/{what}", value, [*declared, *found])

    def _end_attempt(self, tx: Transaction, attempt: int, failure: Failure) -> None:
        unknown = failure.error_class is ErrorClass.UNKNOWN
        progress = None
        if failure.progress is not None:
            progress = self._sealed(tx, f"attempts/{attempt}/progress", failure.progress, [""])
        tx.steps.finish_attempt(
            self._id,
            self._step.path,
            attempt,
            AttemptOutcome.UNKNOWN if unknown else AttemptOutcome.FAILED,
            failure.error_class,
            failure.code,
            failure.message,
            progress,
            self._epoch,
        )


def _revealed(tx: Transaction, request_id: str, row: StepRow) -> dict[str, JsonValue]:
    arguments = tx.secrets.reveal(request_id, row.arguments)
    if not isinstance(arguments, dict):
        raise TypeError(f"the recorded arguments of {row.path} are no map")
    return arguments


def _last_progress(tx: Transaction, request_id: str, path: str) -> JsonValue:
    left = [row.progress for row in tx.steps.attempts(request_id) if row.path == path and row.progress is not None]
    return tx.secrets.reveal(request_id, left[-1]) if left else None


def _next_generation(before: EffectRow | None) -> int:
    """The generation rises only after proof that the one before had no effect (invariant 3)."""
    if before is None:
        return 1
    return before.generation + 1 if before.state in PROVED_ABSENT else before.generation

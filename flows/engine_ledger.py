"""What is written about a step that the engine itself does: a task, a wait, an order of another model.

Nothing is called, so there is no intent that a crash could leave open: what a person or another system did is recorded
where it comes in, and taken up as the step's outcome in one transaction.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flows.children import child_of, outputs_of
from flows.masking import secret_texts
from flows.records.records import Transaction
from flows.records.rows import EventWait, NewTask, RequestRow, Sealed, StepRow, TaskRow
from flows.records.states import PROVED_ABSENT, AttemptOutcome, EffectState, StepState, TaskState
from flows.step_ledger import Failure, StepLedger, effect_token, seal_found
from request_models.actions import Outcome
from request_models.json_values import JsonValue
from request_models.secrecy import matching_pointers

Also = Callable[[Transaction], None]
"""What is written in the same transaction."""

_TASKS = uuid.UUID("0c1b1d0e-8f5e-5c0a-9f43-0f2d8b1f7f52")


@dataclass(frozen=True)
class Asked:
    """What a person is asked to do: whom, in which words, until when."""

    team: str
    assignee: str | None
    title: str
    instructions: str
    due: datetime | None


@dataclass(frozen=True)
class Settled:
    """The outcome of a step. `began` is when what it waited for began; `secret` are pointers into the result."""

    outcome: Outcome
    result: JsonValue
    began: datetime
    secret: tuple[str, ...] = ()
    touched: bool = False


class EngineLedger(StepLedger):
    """The record of one such step of a claimed request, or of one item. Writes raise ClaimLost once it is stale."""

    def task(self) -> TaskRow | None:
        """The latest task of the step."""
        return self._records.read(lambda tx: tx.tasks.current(self._id, self._step.path, self._item))

    def ask(self, asked: Asked, actor: str) -> TaskRow:
        """Record a new task."""

        def write(tx: Transaction) -> TaskRow:
            tx.steps.restart(self._id, self._step.path, self._epoch, item_key=self._item)
            before = tx.tasks.current(self._id, self._step.path, self._item)
            if before is not None and before.state is TaskState.OPEN:
                return before
            generation = 1 if before is None else before.generation + 1
            task_id = str(uuid.uuid5(_TASKS, f"{self._id}\n{self._step.path}[{self._item}]\n{generation}"))
            return tx.tasks.add(
                NewTask(
                    id=task_id,
                    request_id=self._id,
                    path=self._step.path,
                    item_key=self._item,
                    generation=generation,
                    team=asked.team,
                    assignee=asked.assignee,
                    title=self._words(tx, task_id, "title", asked.title),
                    instructions=self._words(tx, task_id, "instructions", asked.instructions),
                    returns=None if self._step.returns is None else dict(self._step.returns),
                    secret_results=self._step.secret_results,
                    due=asked.due,
                ),
                actor,
            )

        return self._records.run(write)

    def answer_of(self, task: TaskRow) -> JsonValue:
        """What the person who did the task gave back."""
        done = task.result
        return None if done is None else self._records.read(lambda tx: tx.secrets.reveal(self._id, done))

    def waiting(self) -> EventWait | None:
        """The latest wait of the step for an event."""
        return self._records.read(lambda tx: tx.events.waiting(self._id, self._step.path, self._item))

    def wait(self, request: RequestRow, event: str, key: str | None, until: datetime | None) -> EventWait:
        """Record that the step waits, and which event had come before if one has."""

        def write(tx: Transaction) -> EventWait:
            tx.steps.restart(self._id, self._step.path, self._epoch, item_key=self._item)
            wait = tx.events.wait(self._id, self._step.path, self._item, event, key, until)
            came = tx.events.came_before(wait, request.started or request.submitted)
            if came is not None:
                tx.events.fulfil(wait.id, came.id)
            return tx.events.waiting(self._id, self._step.path, self._item) or wait

        return self._records.run(write)

    def data_of(self, event_id: int) -> JsonValue:
        """What an event says."""
        return self._records.read(lambda tx: tx.events.data(event_id))

    def secret_texts(self) -> tuple[str, ...]:
        """Every secret text of the request: none may be logged, or stored in a message."""
        return self._records.read(lambda tx: secret_texts(tx.secrets.all(self._id)))

    def outputs(self, child: RequestRow) -> tuple[dict[str, JsonValue], list[str]]:
        """The outputs of a fulfilled request that the step ordered, and pointers to those that are secret."""
        return self._records.read(lambda tx: outputs_of(tx, child))

    def child(self) -> RequestRow | None:
        """The request that the step has ordered, None before it has, or when that one ended with nothing left."""
        return self._records.read(lambda tx: child_of(tx, self._id, self._step.path, self._item))

    def order(self, order: Callable[[Transaction, str], RequestRow]) -> RequestRow:
        """Have the step's effect and the request it orders in one transaction. Raises what `order` raises."""

        def write(tx: Transaction) -> RequestRow:
            tx.steps.restart(self._id, self._step.path, self._epoch, item_key=self._item)
            generation = self._generation(tx)
            token = effect_token(self._id, self._step.path, generation, self._item)
            effect = tx.effects.open(
                self._id, self._step.path, self._item, generation, self._step.uses, token, self._epoch
            )
            child = order(tx, str(token))
            tx.effects.close(effect.id, EffectState.DONE, Outcome.MADE, None, self._epoch)
            return child

        return self._records.run(write)

    def over(self, tx: Transaction) -> None:
        """Record that nothing is left of what the step ordered, so that it may order anew."""
        effect = tx.effects.current(self._id, self._step.path, self._item)
        if effect is not None and effect.state is EffectState.DONE:
            tx.effects.close(effect.id, EffectState.UNDONE, None, None, self._epoch)

    def settle(self, row: StepRow, settled: Settled, *, effect: bool = False, also: Also = lambda tx: None) -> None:
        """Record the step's outcome; with `effect`, that something was made by it."""

        def write(tx: Transaction) -> None:
            attempt = self._attempt(tx, row, settled.began, touched=settled.touched)
            if effect:
                self._made(tx, settled.outcome)
            declared = matching_pointers(settled.result, self._step.secret_results)
            result = self._sealed(tx, "result", settled.result, [*declared, *settled.secret])
            self._finish_attempt(tx, attempt, AttemptOutcome(settled.outcome.value), None, None)
            self._finish(tx, StepState.DONE, result, "")
            also(tx)

        self._records.run(write)

    def refuse(
        self, row: StepRow, failure: Failure, began: datetime, *, touched: bool = False, also: Also = lambda tx: None
    ) -> None:
        """Record that the step failed, until somebody retries it."""

        def write(tx: Transaction) -> None:
            self._end_attempt(tx, self._attempt(tx, row, began, touched=touched), failure)
            self._finish(tx, StepState.FAILED, None, failure.message)
            also(tx)

        self._records.run(write)

    def _attempt(self, tx: Transaction, row: StepRow, began: datetime, *, touched: bool) -> int:
        path, item = self._step.path, self._item
        tx.steps.restart(self._id, path, self._epoch, item_key=item)
        return tx.steps.start_attempt(
            self._id,
            path,
            self._step.uses,
            min(row.taken_up, began),
            self._epoch,
            item_key=item,
            supplier=self._supplier,
            touched=touched or self._touched(tx),
            started=began,
        )

    def _made(self, tx: Transaction, outcome: Outcome) -> None:
        """An effect that nobody called: a person had it."""
        generation = self._generation(tx)
        token = effect_token(self._id, self._step.path, generation, self._item)
        effect = tx.effects.open(self._id, self._step.path, self._item, generation, self._step.uses, token, self._epoch)
        tx.effects.close(effect.id, EffectState.DONE, outcome, None, self._epoch)

    def _generation(self, tx: Transaction) -> int:
        before = tx.effects.current(self._id, self._step.path, self._item)
        if before is None:
            return 1
        return before.generation + 1 if before.state in PROVED_ABSENT else before.generation

    def _words(self, tx: Transaction, task_id: str, what: str, text: str) -> Sealed:
        return seal_found(tx, self._id, f"tasks/{task_id}/{what}", text, ())

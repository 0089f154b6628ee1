"""Steps, attempts and effects: what was rendered once, tried, meant and done."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from flows.records.errors import Conflict, IllegalTransition, NotFound
from flows.records.records import Records, Transaction
from flows.records.rows import EffectRow, Holder, RequestRow, Sealed, StepRow
from flows.records.states import AttemptOutcome, EffectState, StepState
from request_models.actions import ErrorClass, Outcome

TTL = timedelta(seconds=30)
TOKEN = UUID("0b2f9d52-6c51-5a1e-9d0b-3f3b2a9f7a11")
ARGUMENTS = Sealed("steps/create/arguments", {"Bucket": "b\0🪣", "key": None}, ("/key",))


@pytest.fixture
def request_id(records: Records, order: Callable[..., RequestRow], holder: Holder) -> str:
    request = order()
    records.run(lambda tx: tx.claims.take(request.id, "run-1", holder, TTL))
    return request.id


def take_over(records: Records, request_id: str, holder: Holder, epoch: int) -> None:
    records.run(lambda tx: tx.claims.take(request_id, "run-1", holder, TTL, dead_epoch=epoch))


def start(records: Records, request_id: str, path: str = "create", **more: Any) -> StepRow:
    return records.run(
        lambda tx: tx.steps.put_started(request_id, path, ARGUMENTS, ("web", "db"), {"region": "x"}, True, 1, **more)
    )


def finish(records: Records, request_id: str, state: StepState, epoch: int = 1) -> StepRow:
    result = Sealed("steps/create/result", {"at": "there"})
    return records.run(lambda tx: tx.steps.finish(request_id, "create", state, result, "as said", epoch))


def opened(
    records: Records,
    request_id: str,
    *,
    generation: int = 1,
    token: UUID = TOKEN,
    epoch: int = 1,
    action: str = "aws.s3.create_bucket",
    token_expires: datetime | None = None,
    pre_read: Sealed | None = None,
) -> EffectRow:
    return records.run(
        lambda tx: tx.effects.open(
            request_id,
            "create",
            "",
            generation,
            action,
            token,
            epoch,
            token_expires=token_expires,
            pre_read=pre_read,
        )
    )


def close(
    records: Records,
    effect: EffectRow,
    state: EffectState,
    outcome: Outcome | None = None,
    before: Sealed | None = None,
) -> EffectRow:
    return records.run(lambda tx: tx.effects.close(effect.id, state, outcome, before, 1))


def test_a_step_keeps_what_it_was_rendered_to(records: Records, request_id: str, clock: Any) -> None:
    step = start(records, request_id)
    assert records.read(lambda tx: tx.steps.get(request_id, "create")) == step
    assert (step.state, step.arguments, step.hosts, step.target) == (
        StepState.STARTED,
        ARGUMENTS,
        ("web", "db"),
        {"region": "x"},
    )
    assert (step.when_value, step.epoch, step.started, step.ended) == (True, 1, clock(), None)


def test_a_step_that_was_not_reached_has_no_row(records: Records, request_id: str) -> None:
    assert records.read(lambda tx: tx.steps.get(request_id, "create")) is None
    with pytest.raises(NotFound):
        finish(records, request_id, StepState.DONE)


def test_a_step_is_rendered_once(records: Records, request_id: str) -> None:
    start(records, request_id)
    with pytest.raises(Conflict):
        start(records, request_id)


def test_items_of_a_loop_are_steps_of_their_own(records: Records, request_id: str) -> None:
    start(records, request_id, item_key="anna\0")
    start(records, request_id, item_key="bert")
    records.run(lambda tx: tx.steps.finish(request_id, "create", StepState.DONE, None, "", 1, item_key="anna\0"))
    found = records.read(lambda tx: tx.steps.all(request_id))
    assert [(step.item_key, step.state) for step in found] == [
        ("anna\0", StepState.DONE),
        ("bert", StepState.STARTED),
    ]


def test_steps_are_listed_in_the_order_they_were_reached(records: Records, request_id: str) -> None:
    for path in ("z", "a", "m"):
        start(records, request_id, path)
    assert [step.path for step in records.read(lambda tx: tx.steps.all(request_id))] == ["z", "a", "m"]


@pytest.mark.parametrize("state", [StepState.DONE, StepState.SKIPPED, StepState.FAILED], ids=str)
def test_what_came_of_a_step_is_recorded_once(records: Records, request_id: str, clock: Any, state: StepState) -> None:
    start(records, request_id)
    clock.advance(seconds=3)
    step = finish(records, request_id, state)
    assert (step.state, step.message, step.ended) == (state, "as said", clock())
    assert step.result == Sealed("steps/create/result", {"at": "there"})
    with pytest.raises(IllegalTransition):
        finish(records, request_id, StepState.DONE)


def test_a_failed_or_interrupted_step_is_taken_up_with_what_it_was_rendered_to(
    records: Records, request_id: str, holder: Holder
) -> None:
    start(records, request_id)
    finish(records, request_id, StepState.FAILED)
    take_over(records, request_id, holder, 1)
    step = records.run(lambda tx: tx.steps.restart(request_id, "create", 2))
    assert (step.state, step.arguments, step.epoch, step.ended) == (StepState.STARTED, ARGUMENTS, 2, None)
    records.run(lambda tx: tx.steps.restart(request_id, "create", 2))
    finish(records, request_id, StepState.DONE, epoch=2)
    with pytest.raises(IllegalTransition, match="is done and cannot become started"):
        records.run(lambda tx: tx.steps.restart(request_id, "create", 2))


def test_attempts_carry_every_column_of_the_history(records: Records, request_id: str, clock: Any) -> None:
    queued = clock()
    clock.advance(seconds=1)
    number = records.run(
        lambda tx: tx.steps.start_attempt(
            request_id, "create", "aws.s3.create_bucket", queued, 1, item_key="k", supplier="aws", touched=True
        )
    )
    started = clock()
    clock.advance(seconds=2)
    progress = Sealed("steps/create/attempts/1/progress", {"done": ["h1"]})
    records.run(
        lambda tx: tx.steps.finish_attempt(
            request_id,
            "create",
            number,
            AttemptOutcome.FAILED,
            ErrorClass.TRANSIENT,
            "SlowDown",
            "Reduce \0 rate",
            progress,
            1,
            item_key="k",
        )
    )
    (row,) = records.read(lambda tx: tx.steps.attempts(request_id))
    assert (row.request_id, row.path, row.item_key, row.attempt, row.action) == (
        request_id,
        "create",
        "k",
        1,
        "aws.s3.create_bucket",
    )
    assert (row.queued, row.started, row.ended) == (queued, started, clock())
    assert (row.outcome, row.error_class, row.error_code) == (
        AttemptOutcome.FAILED,
        ErrorClass.TRANSIENT,
        "SlowDown",
    )
    assert (row.message, row.supplier, row.touched, row.progress, row.epoch) == (
        "Reduce \0 rate",
        "aws",
        True,
        progress,
        1,
    )


def test_attempts_of_a_step_are_numbered_from_one(records: Records, request_id: str, clock: Any) -> None:
    def attempt(tx: Transaction) -> int:
        number = tx.steps.start_attempt(request_id, "create", "memory.make", clock(), 1)
        tx.steps.finish_attempt(request_id, "create", number, AttemptOutcome.MADE, None, None, "", None, 1)
        return number

    numbers = [records.run(attempt) for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert records.run(lambda tx: tx.steps.start_attempt(request_id, "other", "memory.make", clock(), 1)) == 1


def test_an_attempt_ends_once(records: Records, request_id: str, clock: Any) -> None:
    number = records.run(lambda tx: tx.steps.start_attempt(request_id, "create", "memory.make", clock(), 1))

    def end() -> None:
        records.run(
            lambda tx: tx.steps.finish_attempt(
                request_id, "create", number, AttemptOutcome.MADE, None, None, "", None, 1
            )
        )

    end()
    with pytest.raises(Conflict, match="not under way"):
        end()


def test_attempts_a_dead_process_left_under_way_end_as_unknown(
    records: Records, request_id: str, clock: Any, holder: Holder
) -> None:
    records.run(lambda tx: tx.steps.start_attempt(request_id, "create", "memory.make", clock(), 1))
    take_over(records, request_id, holder, 1)
    records.run(lambda tx: tx.steps.start_attempt(request_id, "create", "memory.make", clock(), 2))
    abandoned = records.run(lambda tx: tx.steps.abandon_attempts(request_id, 2, "The worker died."))
    assert [(row.attempt, row.outcome, row.message) for row in abandoned] == [
        (1, AttemptOutcome.UNKNOWN, "The worker died.")
    ]
    assert [row.outcome for row in records.read(lambda tx: tx.steps.attempts(request_id))] == [
        AttemptOutcome.UNKNOWN,
        None,
    ]


def test_an_intent_is_kept_with_all_that_its_resending_needs(records: Records, request_id: str, clock: Any) -> None:
    expires = clock() + timedelta(hours=8)
    pre_read = Sealed("seen/steps/create/1/pre-read", {"found": None})
    effect = opened(records, request_id, token_expires=expires, pre_read=pre_read)
    assert records.read(lambda tx: tx.effects.current(request_id, "create")) == effect
    assert effect == EffectRow(
        id=effect.id,
        request_id=request_id,
        path="create",
        item_key="",
        generation=1,
        epoch=1,
        token=TOKEN,
        action="aws.s3.create_bucket",
        state=EffectState.OPEN,
        outcome=None,
        before=None,
        pre_read=pre_read,
        opened=clock(),
        closed=None,
        closing=None,
        token_expires=expires,
    )


def test_the_same_generation_is_sent_again_with_the_same_token_by_the_next_epoch(
    records: Records, request_id: str, clock: Any, holder: Holder
) -> None:
    seen = Sealed("seen/steps/create/1/pre-read", {"found": None})
    first = opened(records, request_id, token_expires=clock() + timedelta(hours=8), pre_read=seen)
    take_over(records, request_id, holder, 1)
    clock.advance(seconds=5)
    again = opened(records, request_id, epoch=2, token_expires=clock() + timedelta(hours=8))
    assert again == replace(first, epoch=2)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"token": uuid5(TOKEN, "other")}, id="token"),
        pytest.param({"action": "aws.s3.delete_bucket"}, id="action"),
    ],
)
def test_a_generation_cannot_become_another_call(records: Records, request_id: str, other: dict[str, Any]) -> None:
    opened(records, request_id)
    with pytest.raises(Conflict, match="sends exactly that again"):
        opened(records, request_id, **other)


def test_an_effect_that_happened_is_not_opened_again(records: Records, request_id: str) -> None:
    effect = opened(records, request_id)
    before = Sealed("effects/1/before", {"members": ["ann"]})
    done = close(records, effect, EffectState.DONE, Outcome.CHANGED, before)
    assert (done.state, done.outcome, done.before) == (EffectState.DONE, Outcome.CHANGED, before)
    with pytest.raises(Conflict, match="do it twice"):
        opened(records, request_id)


@pytest.mark.parametrize(
    ("closings", "allowed"),
    [
        pytest.param([], False, id="open"),
        pytest.param([(EffectState.UNKNOWN, None)], False, id="unknown"),
        pytest.param([(EffectState.DONE, Outcome.MADE)], False, id="done"),
        pytest.param([(EffectState.FAILED, None)], True, id="failed"),
        pytest.param([(EffectState.UNKNOWN, None), (EffectState.FAILED, None)], True, id="found absent"),
        pytest.param([(EffectState.DONE, Outcome.MADE), (EffectState.UNDONE, None)], True, id="undone"),
    ],
)
def test_the_generation_rises_only_after_proof_of_no_effect_or_undo(
    records: Records, request_id: str, closings: list[tuple[EffectState, Outcome | None]], allowed: bool
) -> None:
    effect = opened(records, request_id)
    for state, outcome in closings:
        close(records, effect, state, outcome)
    second = uuid4()
    if allowed:
        assert opened(records, request_id, generation=2, token=second).generation == 2
        assert [row.generation for row in records.read(lambda tx: tx.effects.all(request_id))] == [1, 2]
    else:
        with pytest.raises(Conflict, match="needs proof"):
            opened(records, request_id, generation=2, token=second)


@pytest.mark.parametrize("generation", [0, 2, 3])
def test_generations_start_at_one_and_leave_none_out(records: Records, request_id: str, generation: int) -> None:
    with pytest.raises(Conflict, match=r"The next generation .* is 1"):
        opened(records, request_id, generation=generation)


def test_effects_are_in_the_order_in_which_they_were_closed_whatever_the_clock_says(
    records: Records, request_id: str, clock: Any
) -> None:
    """What is undone in another order than it was done may take away what an undo needs."""
    first = opened(records, request_id)
    then = records.run(lambda tx: tx.effects.open(request_id, "then", "", 1, "aws.s3.put_object", uuid4(), 1))
    last = records.run(lambda tx: tx.effects.open(request_id, "last", "", 1, "aws.s3.put_object", uuid4(), 1))
    for effect in (then, first):
        close(records, effect, EffectState.DONE, Outcome.MADE)
        clock.advance(seconds=-5)
    assert [row.id for row in records.read(lambda tx: tx.effects.latest(request_id))] == [then.id, first.id, last.id]


def test_an_undone_effect_still_says_what_it_was(records: Records, request_id: str) -> None:
    effect = opened(records, request_id)
    close(records, effect, EffectState.DONE, Outcome.MADE)
    undone = close(records, effect, EffectState.UNDONE)
    assert (undone.state, undone.outcome) == (EffectState.UNDONE, Outcome.MADE)


@pytest.mark.parametrize(
    ("known", "outcome", "then"),
    [
        (EffectState.FAILED, None, EffectState.DONE),
        (EffectState.DONE, Outcome.READ, EffectState.FAILED),
        (EffectState.DONE, Outcome.READ, EffectState.UNKNOWN),
        (EffectState.FAILED, None, EffectState.UNKNOWN),
    ],
    ids=str,
)
def test_what_is_known_of_an_effect_is_not_unlearnt(
    records: Records, request_id: str, known: EffectState, outcome: Outcome | None, then: EffectState
) -> None:
    effect = opened(records, request_id)
    close(records, effect, known, outcome)
    with pytest.raises(IllegalTransition):
        close(records, effect, then, Outcome.MADE if then is EffectState.DONE else None)


def test_an_outcome_belongs_to_what_is_done_and_to_nothing_else(records: Records, request_id: str) -> None:
    effect = opened(records, request_id)
    with pytest.raises(ValueError, match="outcome"):
        close(records, effect, EffectState.DONE)
    with pytest.raises(ValueError, match="outcome"):
        close(records, effect, EffectState.FAILED, Outcome.MADE)


def test_a_taker_finds_the_intents_left_open_as_unknown(
    records: Records, request_id: str, clock: Any, holder: Holder
) -> None:
    effect = opened(records, request_id)
    take_over(records, request_id, holder, 1)
    mine = records.run(lambda tx: tx.effects.open(request_id, "next", "", 1, "memory.make", uuid4(), 2))
    marked = records.run(lambda tx: tx.effects.mark_open_unknown(request_id, 2))
    assert [(row.id, row.state, row.closed) for row in marked] == [(effect.id, EffectState.UNKNOWN, clock())]
    current = records.read(lambda tx: tx.effects.current(request_id, "next"))
    assert current is not None
    assert (current.id, current.state) == (mine.id, EffectState.OPEN)
    assert records.run(lambda tx: tx.effects.mark_open_unknown(request_id, 2)) == []

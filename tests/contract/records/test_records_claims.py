"""Invariant 2: one runner at a time."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from flows.records.errors import ClaimLost
from flows.records.records import Records, Transaction
from flows.records.rows import Claim, Holder, RequestRow, Sealed
from flows.records.states import AttemptOutcome, EffectState, RequestState, StepState
from request_models.actions import Outcome

TTL = timedelta(seconds=30)

Order = Callable[..., RequestRow]


def take(records: Records, request_id: str, holder: Holder, flow_run: str = "run-1", **how: Any) -> Claim | None:
    return records.run(lambda tx: tx.claims.take(request_id, flow_run, holder, TTL, **how))


def taken(records: Records, request_id: str, holder: Holder, flow_run: str = "run-1", **how: Any) -> Claim:
    claim = take(records, request_id, holder, flow_run, **how)
    assert claim is not None
    return claim


def release(records: Records, claim: Claim) -> None:
    records.run(lambda tx: tx.claims.release(claim))


def test_the_first_take_has_epoch_one_and_says_who_holds_it(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    claim = taken(records, request.id, holder)
    assert claim == Claim(request.id, 1, "run-1", holder, clock(), clock() + TTL)
    assert records.run(lambda tx: tx.claims.get(request.id)) == claim


def test_a_live_claim_refuses_every_taker_its_own_flow_run_included(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    claim = taken(records, request.id, holder)
    clock.advance(seconds=29.999)
    assert take(records, request.id, Holder("host-2", "boot-2", 1, 1), "run-2") is None
    assert take(records, request.id, holder) is None
    assert records.run(lambda tx: tx.claims.get(request.id)) == claim


def test_an_expired_claim_is_taken_with_the_next_epoch(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    taken(records, request.id, holder)
    clock.advance(seconds=30)
    other = Holder("host-2", "boot-2", 1, 1)
    claim = taken(records, request.id, other, "run-2")
    assert (claim.epoch, claim.flow_run_id, claim.holder) == (2, "run-2", other)


def test_a_taker_may_wait_for_calls_that_were_under_way_when_the_claim_expired(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    taken(records, request.id, holder)
    clock.advance(seconds=30 + 599)
    assert take(records, request.id, holder, grace=timedelta(seconds=600)) is None
    clock.advance(seconds=1)
    assert taken(records, request.id, holder, grace=timedelta(seconds=600)).epoch == 2


def test_a_live_claim_is_taken_from_a_holder_seen_dead_and_from_no_later_one(
    records: Records, order: Order, holder: Holder
) -> None:
    request = order()
    dead = taken(records, request.id, holder)
    assert taken(records, request.id, holder, dead_epoch=dead.epoch).epoch == 2
    assert take(records, request.id, holder, dead_epoch=dead.epoch) is None


def test_a_released_claim_is_taken_at_once_and_the_epoch_still_rises(
    records: Records, order: Order, holder: Holder
) -> None:
    request = order()
    claim = taken(records, request.id, holder)
    records.run(lambda tx: tx.claims.release(claim))
    assert taken(records, request.id, holder, "run-2").epoch == 2


def test_releasing_a_lost_claim_leaves_the_new_holder_alone(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    lost = taken(records, request.id, holder)
    clock.advance(seconds=31)
    taken(records, request.id, holder, "run-2")
    records.run(lambda tx: tx.claims.release(lost))
    current = records.run(lambda tx: tx.claims.get(request.id))
    assert current is not None
    assert not current.released


def test_renewing_lets_a_claim_live_on(records: Records, order: Order, holder: Holder, clock: Any) -> None:
    request = order()
    claim = taken(records, request.id, holder)
    clock.advance(seconds=20)
    renewed = records.run(lambda tx: tx.claims.renew(claim, TTL))
    assert renewed.expires == clock() + TTL
    clock.advance(seconds=20)
    assert take(records, request.id, holder, "run-2") is None


def test_a_holder_that_slept_past_its_expiry_renews_if_nobody_took_the_claim(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    claim = taken(records, request.id, holder)
    clock.advance(hours=8)
    records.run(lambda tx: tx.claims.renew(claim, TTL))
    records.run(lambda tx: tx.claims.check(request.id, 1, live=True))


@pytest.mark.parametrize("why", ["taken", "released", "never"])
def test_a_stale_claim_can_neither_be_renewed_nor_pass_a_check(
    records: Records, order: Order, holder: Holder, clock: Any, why: str
) -> None:
    request = order()
    claim = Claim(request.id, 1, "run-1", holder, clock(), clock())
    if why != "never":
        claim = taken(records, request.id, holder)
        records.run(lambda tx: tx.claims.release(claim))
    if why == "taken":
        taken(records, request.id, holder, "run-2")
    with pytest.raises(ClaimLost, match=f"Claim 1 on request {request.id}"):
        records.run(lambda tx: tx.claims.renew(claim, TTL))
    with pytest.raises(ClaimLost):
        records.run(lambda tx: tx.claims.check(request.id, 1))


def test_each_write_to_the_ledger_fails_with_a_stale_epoch_and_leaves_nothing(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    records.run(lambda tx: tx.requests.move(request.id, RequestState.SCHEDULED, actor="orderly", why=""))
    taken(records, request.id, holder)

    def first(tx: Transaction) -> int:
        tx.steps.put_started(request.id, "create", Sealed("a", {}), (), {}, None, 1)
        tx.steps.start_attempt(request.id, "create", "aws.s3.create_bucket", clock(), 1)
        return tx.effects.open(request.id, "create", "", 1, "aws.s3.create_bucket", uuid4(), 1).id

    effect = records.run(first)
    clock.advance(seconds=31)
    taken(records, request.id, holder, "run-2")
    before = _ledger(records, request.id)

    stale: list[Callable[[Transaction], object]] = [
        lambda tx: tx.steps.put_started(request.id, "next", Sealed("a", {}), (), {}, None, 1),
        lambda tx: tx.steps.restart(request.id, "create", 1),
        lambda tx: tx.steps.finish(request.id, "create", StepState.DONE, None, "", 1),
        lambda tx: tx.steps.start_attempt(request.id, "create", "aws.s3.create_bucket", clock(), 1),
        lambda tx: tx.steps.finish_attempt(request.id, "create", 1, AttemptOutcome.MADE, None, None, "", None, 1),
        lambda tx: tx.steps.abandon_attempts(request.id, 1, ""),
        lambda tx: tx.effects.open(request.id, "next", "", 1, "aws.s3.create_bucket", uuid4(), 1),
        lambda tx: tx.effects.close(effect, EffectState.DONE, Outcome.MADE, None, 1),
        lambda tx: tx.effects.mark_open_unknown(request.id, 1),
        lambda tx: tx.requests.move(request.id, RequestState.IN_PROGRESS, actor="orderly", why="", epoch=1),
        lambda tx: tx.requests.set_outputs(request.id, Sealed("outputs", {}), epoch=1),
    ]
    for write in stale:
        with pytest.raises(ClaimLost):
            records.run(write)
    assert _ledger(records, request.id) == before


def _ledger(records: Records, request_id: str) -> object:
    return records.read(
        lambda tx: (
            tx.steps.all(request_id),
            tx.steps.attempts(request_id),
            tx.effects.all(request_id),
            tx.requests.get(request_id),
            tx.audit.of(request_id),
        )
    )


def test_an_expired_claim_that_nobody_took_records_what_is_over_and_begins_nothing(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    request = order()
    taken(records, request.id, holder)

    def begin(tx: Transaction) -> int:
        tx.steps.put_started(request.id, "create", Sealed("a", {}), (), {}, None, 1)
        return tx.effects.open(request.id, "create", "", 1, "memory.make", uuid4(), 1).id

    effect = records.run(begin)
    clock.advance(seconds=31)
    with pytest.raises(ClaimLost, match="it expired"):
        records.run(lambda tx: tx.effects.open(request.id, "more", "", 1, "memory.make", uuid4(), 1))
    with pytest.raises(ClaimLost, match="it expired"):
        records.run(lambda tx: tx.steps.start_attempt(request.id, "more", "memory.make", clock(), 1))
    records.run(lambda tx: tx.effects.close(effect, EffectState.DONE, Outcome.MADE, None, 1))
    records.run(lambda tx: tx.steps.finish(request.id, "create", StepState.DONE, None, "", 1))


def test_of_many_threads_that_take_at_once_one_wins_each_round(records: Records, order: Order, holder: Holder) -> None:
    request = order()
    takers = 8
    for round_ in range(1, 6):
        gate = threading.Barrier(takers)

        def contend(number: int, gate: threading.Barrier = gate) -> Claim | None:
            gate.wait(timeout=30)
            return take(records, request.id, holder, f"run-{number}")

        with ThreadPoolExecutor(takers) as pool:
            won = [claim for claim in pool.map(contend, range(takers)) if claim is not None]
        assert [claim.epoch for claim in won] == [round_]
        release(records, won[0])


TAKER = """
import json, sys
from datetime import datetime, timedelta
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.rows import Holder
url, request_id, now, number = sys.argv[1:]
records = Records.open(url, Keyring.in_memory(), lambda: datetime.fromisoformat(now))
records.ready()
print("ready", flush=True)
sys.stdin.readline()
claim = records.run(lambda tx: tx.claims.take(request_id, "run-" + number, Holder("h", "b", int(number), 1),
                                              timedelta(seconds=30)))
print(json.dumps(claim and [claim.epoch, claim.flow_run_id]), flush=True)
records.close()
"""


def test_of_two_processes_that_take_at_once_one_wins(
    records: Records, order: Order, database_url: str, clock: Any
) -> None:
    request = order()
    answers = _contend(database_url, request.id, clock())
    won = [answer for answer in answers if answer is not None]
    assert [epoch for epoch, _ in won] == [1]
    current = records.run(lambda tx: tx.claims.get(request.id))
    assert current is not None
    assert current.flow_run_id == won[0][1]


def _contend(database_url: str, request_id: str, now: datetime) -> list[Any]:
    arguments = [sys.executable, "-c", TAKER, database_url, request_id, now.isoformat()]
    processes = [
        subprocess.Popen([*arguments, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in (1, 2)
    ]
    answers = []
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            out, _ = process.communicate(timeout=60)
            answers.append(json.loads(out))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return answers


def test_a_take_waits_for_a_ledger_write_under_way_and_fences_the_next(
    records: Records, order: Order, holder: Holder, clock: Any
) -> None:
    """The epoch check holds the claim until its transaction ends: no write slips in behind a take."""
    request = order()
    taken(records, request.id, holder)
    checked, go_on, took = threading.Event(), threading.Event(), threading.Event()

    def write(tx: Transaction) -> None:
        tx.steps.put_started(request.id, "create", Sealed("a", {}), (), {}, None, 1)
        checked.set()
        assert go_on.wait(timeout=30)

    def take_over() -> Claim | None:
        claim = take(records, request.id, holder, "run-2", dead_epoch=1)
        took.set()
        return claim

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(records.run, write)
        assert checked.wait(timeout=30)
        taking = pool.submit(take_over)
        assert not took.wait(timeout=0.3)
        go_on.set()
        writing.result(timeout=30)
        claim = taking.result(timeout=30)
    assert claim is not None
    assert claim.epoch == 2
    assert [step.epoch for step in records.run(lambda tx: tx.steps.all(request.id))] == [1]
    with pytest.raises(ClaimLost):
        records.run(lambda tx: tx.steps.finish(request.id, "create", StepState.DONE, None, "", 1))

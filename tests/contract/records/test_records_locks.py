"""Locks: one request at a time per name, first come first served, whoever asks at once and whoever dies."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flows.outbox_kinds import DISPATCH, WAKE
from flows.records.errors import TooLong
from flows.records.records import Records
from flows.records.rows import RequestRow
from flows.records.states import RequestState

Order = Callable[..., RequestRow]


def wants(records: Records, request: RequestRow, *names: str) -> str:
    records.run(lambda tx: tx.locks.want(request.id, names))
    return request.id


def take(records: Records, request_id: str) -> bool:
    return records.run(lambda tx: tx.requests.get_for_update(request_id) is not None and tx.locks.take(request_id))


def holds(records: Records, request_id: str) -> bool:
    return all(row.held_since is not None for row in records.read(lambda tx: tx.locks.of(request_id)))


def numbers_of(records: Records, request_id: str) -> list[int | None]:
    return [row.number for row in records.read(lambda tx: tx.locks.of(request_id))]


def release(records: Records, request_id: str) -> None:
    records.run(lambda tx: tx.requests.get_for_update(request_id) and tx.locks.release(request_id))


def told(records: Records, kind: str, clock: Any) -> list[str | None]:
    return [row.request_id for row in records.read(lambda tx: tx.outbox.due(kind, clock(), 100))]


def test_a_request_without_locks_has_all_of_them(records: Records, order: Order) -> None:
    assert take(records, order().id)


def test_the_second_waits_behind_the_first_and_gets_the_lock_when_that_ends(
    records: Records, order: Order, clock: Any
) -> None:
    first, second = (wants(records, order(), "bucket:x") for _ in range(2))
    assert take(records, first)
    assert not take(records, second)
    behind = records.read(lambda tx: tx.locks.behind([first, second]))
    assert {who: [(one.name, one.request_id, one.held_since) for one in of] for who, of in behind.items()} == {
        second: [("bucket:x", first, clock())]
    }
    records.run(lambda tx: tx.requests.move(first, RequestState.CANCELLED, actor="ann", why="not needed"))
    assert holds(records, second)
    assert [row.ticket for row in records.read(lambda tx: tx.locks.of(first))] == [None]
    assert told(records, DISPATCH, clock) == [second], "it has no flow run: it gets one"


def test_who_has_a_flow_run_is_woken(records: Records, order: Order, clock: Any) -> None:
    first, second = (wants(records, order(), "bucket:x") for _ in range(2))
    records.run(lambda tx: tx.requests.set_flow_run(second, "run-2", "key-2"))
    assert take(records, first)
    assert not take(records, second)
    records.run(lambda tx: tx.requests.get_for_update(first) and tx.locks.release(first))
    assert told(records, WAKE, clock) == [second]


def test_asking_again_keeps_the_place_and_takes_nothing_twice(records: Records, order: Order) -> None:
    ids = [wants(records, order(), "bucket:x") for _ in range(3)]
    assert [take(records, one) for one in [*ids, ids[1], ids[0]]] == [True, False, False, False, True]
    records.run(lambda tx: tx.requests.get_for_update(ids[0]) and tx.locks.release(ids[0]))
    assert [holds(records, one) for one in ids] == [False, True, False]


def test_every_taking_has_a_higher_number(records: Records, order: Order) -> None:
    numbers: list[int | None] = []
    for _ in range(3):
        request = wants(records, order(), "a", "b")
        assert take(records, request)
        numbers += numbers_of(records, request)
        release(records, request)
    assert all(one is not None for one in numbers)
    assert numbers == sorted(set(filter(None, numbers)))


def test_giving_up_a_place_lets_those_behind_it_go_on(records: Records, order: Order) -> None:
    holder, both, single = (wants(records, order(), *names) for names in (["b"], ["a", "b"], ["a"]))
    assert [take(records, one) for one in (holder, both, single)] == [True, False, False]
    records.run(lambda tx: tx.requests.move(both, RequestState.CANCELLED, actor="ann", why="not needed"))
    assert holds(records, single)


def test_other_locks_than_before_are_asked_for_anew(records: Records, order: Order) -> None:
    request = order()
    first, second = wants(records, request, "a"), wants(records, order(), "a")
    assert take(records, first)
    assert not take(records, second)
    wants(records, request, "a")
    assert holds(records, first), "the same locks are kept"
    wants(records, request, "b")
    assert not holds(records, first)
    assert holds(records, second)


def test_what_a_transaction_that_fails_took_is_free(records: Records, order: Order) -> None:
    first, second = (wants(records, order(), "a") for _ in range(2))
    with pytest.raises(ZeroDivisionError):
        records.run(lambda tx: tx.locks.take(first) and 1 // 0)
    assert take(records, second)


def test_a_child_holds_what_its_parent_holds_and_gives_back_only_its_own(
    records: Records, order: Order, clock: Any
) -> None:
    parent = order()
    child, stranger = order(parent=parent.id), order()
    for one in (parent, child, stranger):
        wants(records, one, "a")
    assert [take(records, one.id) for one in (parent, stranger, child)] == [True, False, True]
    records.run(lambda tx: tx.requests.move(child.id, RequestState.CANCELLED, actor="ann", why="done"))
    assert not holds(records, stranger.id)
    records.run(lambda tx: tx.requests.move(parent.id, RequestState.CANCELLED, actor="ann", why="done"))
    assert holds(records, stranger.id)


def test_a_circle_is_found(records: Records, order: Order) -> None:
    one, two = wants(records, order(), "a"), wants(records, order(), "b")
    first, second = wants(records, order(parent=one), "b"), wants(records, order(parent=two), "a")
    assert [take(records, request) for request in (one, two, first, second)] == [True, True, False, False]
    assert records.read(lambda tx: tx.locks.circle(second)) == (second, first)
    records.run(lambda tx: tx.requests.get_for_update(second) and tx.locks.release(second))
    assert records.read(lambda tx: tx.locks.circle(first)) == ()


def test_names_are_exact_and_not_endless(records: Records, order: Order) -> None:
    names = ["a", "A", "ä", "a\0", "a\\0", " a"]
    ids = [wants(records, order(), name) for name in names]
    assert [take(records, one) for one in ids] == [True] * len(names)
    with pytest.raises(TooLong):
        wants(records, order(), "x" * 5000)


def test_of_many_threads_that_ask_at_once_one_has_each_lock_and_all_have_their_turn(
    records: Records, order: Order
) -> None:
    chosen = [("a",), ("b",), ("a", "b"), ("b", "c"), ("c", "a"), ("a", "b", "c"), ("c",), ("b", "a")]
    ids = [wants(records, order(), *names) for names in chosen]
    gate = threading.Barrier(len(ids))
    inside: set[str] = set()
    guard = threading.Lock()
    overlaps: list[str] = []
    turn = threading.Condition()

    def work(number: int) -> None:
        gate.wait(timeout=30)
        take(records, ids[number])
        with turn:
            assert turn.wait_for(lambda: holds(records, ids[number]), timeout=60)
        with guard:
            overlaps.extend(name for name in chosen[number] if name in inside)
            inside.update(chosen[number])
        with guard:
            inside.difference_update(chosen[number])
        records.run(
            lambda tx: tx.requests.move(ids[number], RequestState.CANCELLED, actor="ann", why=f"turn of {number}")
        )
        with turn:
            turn.notify_all()

    with ThreadPoolExecutor(len(ids)) as pool:
        for done in [pool.submit(work, number) for number in range(len(ids))]:
            done.result(timeout=90)
    assert overlaps == []
    assert records.read(lambda tx: tx.locks.standing()) == []


TESTS = Path(__file__).parents[2]

TAKER = """
import os, sys
from datetime import datetime
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.states import RequestState
from waiting import wait_until
url, folder, now, *requests = sys.argv[1:]
records = Records.open(url, Keyring.in_memory(), lambda: datetime.fromisoformat(now))
records.ready()
print("ready", flush=True)
sys.stdin.readline()
for one in requests:
    records.run(lambda tx: tx.requests.get_for_update(one) and tx.locks.take(one))
    rows = records.read(lambda tx: tx.locks.of(one))
    wait_until("its turn", lambda: all(row.held_since for row in records.read(lambda tx: tx.locks.of(one))), 60, 0.01)
    for row in rows:
        os.close(os.open(f"{folder}/{row.name}", os.O_CREAT | os.O_EXCL))  # fails if another is in there
    for row in rows:
        os.unlink(f"{folder}/{row.name}")
    records.run(lambda tx: tx.requests.move(one, RequestState.CANCELLED, actor="ann", why="done"))
records.close()
"""


def test_processes_that_ask_at_once_are_never_in_the_same_place(
    records: Records, order: Order, database_url: str, clock: Any, tmp_path: Path
) -> None:
    place = tmp_path / "inside"
    place.mkdir()
    names = [("a", "b"), ("b", "a"), ("b",), ("a",), ("a", "c"), ("c", "b")]
    command = [sys.executable, "-c", TAKER, database_url, str(place), clock().isoformat()]
    processes = []
    try:
        for _ in range(3):
            ids = [wants(records, order(), *some) for some in names]
            process = subprocess.Popen(
                [*command, *ids], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS
            )
            processes.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=90)
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert records.read(lambda tx: tx.locks.standing()) == []

"""What requests are pinned to (plans, content), what can be ordered, and orders sent twice."""

from collections.abc import Callable
from typing import Any

import pytest

from flows.records.errors import Conflict, NotFound
from flows.records.records import Records
from flows.records.rows import IdempotentAnswer, Publication, RequestRow
from request_models.plan import Plan

MakePlan = Callable[[str, str], Plan]


def test_a_plan_is_read_back_equal(records: Records, make_plan_titled: MakePlan) -> None:
    plan = make_plan_titled("room", "Ein Raum 🏠 \0")
    digest = records.run(lambda tx: tx.plans.put(plan))
    read = records.read(lambda tx: tx.plans.get(digest))
    assert read == plan
    assert read.digest == digest == plan.digest


def test_an_unknown_plan_is_not_found(records: Records) -> None:
    with pytest.raises(NotFound, match="no plan"):
        records.read(lambda tx: tx.plans.get("0" * 64))


def test_new_texts_of_the_same_plan_are_kept(records: Records, make_plan_titled: MakePlan) -> None:
    old, new = make_plan_titled("room", "Rom"), make_plan_titled("room", "Room")
    records.run(lambda tx: (tx.plans.put(old), tx.plans.put(new)))
    assert records.read(lambda tx: tx.plans.get(old.digest)).title == {"en": "Room"}


def test_content_is_kept_byte_for_byte_and_never_replaced(records: Records) -> None:
    archive = bytes(range(256)) * 4096
    records.run(lambda tx: tx.content.put("d1", archive))
    records.run(lambda tx: tx.content.put("d1", b"other"))
    assert records.read(lambda tx: tx.content.get("d1")) == archive
    assert records.read(lambda tx: (tx.content.has("d1"), tx.content.has("d2"))) == (True, False)
    assert records.read(lambda tx: tx.content.get("d2")) is None


def test_versions_of_a_model_count_up_and_one_is_current(
    records: Records, plan: Plan, make_plan_titled: MakePlan, clock: Any
) -> None:
    other = make_plan_titled("room", "Room")
    records.run(lambda tx: tx.plans.put(other))
    start = clock()
    first = records.run(lambda tx: tx.publications.put("disk", plan.digest, start))
    assert first == Publication("disk", 1, plan.digest, start)
    assert records.run(lambda tx: tx.publications.put("disk", plan.digest)) == first

    clock.advance(seconds=1)
    second = records.run(lambda tx: tx.publications.put("disk", other.digest))
    assert second == Publication("disk", 2, other.digest, clock())
    assert records.read(lambda tx: tx.publications.current("disk")) == second
    assert records.run(lambda tx: tx.publications.put("disk", plan.digest)).version == 3
    versions = records.read(lambda tx: tx.publications.versions("disk"))
    assert [(p.version, p.retired is None) for p in versions] == [(1, False), (2, False), (3, True)]


def test_a_retired_model_cannot_be_ordered_and_may_come_back(records: Records, plan: Plan, clock: Any) -> None:
    records.run(lambda tx: tx.publications.put("disk", plan.digest))
    records.run(lambda tx: tx.publications.put("account", plan.digest))
    assert [p.model for p in records.read(lambda tx: tx.publications.all())] == ["account", "disk"]
    records.run(lambda tx: tx.publications.retire("disk", clock()))
    assert records.read(lambda tx: tx.publications.current("disk")) is None
    assert [p.model for p in records.read(lambda tx: tx.publications.all())] == ["account"]
    assert records.run(lambda tx: tx.publications.put("disk", plan.digest)).version == 2


def test_a_model_is_published_only_with_a_plan_that_is_kept(records: Records) -> None:
    with pytest.raises(Conflict):
        records.run(lambda tx: tx.publications.put("disk", "0" * 64))


def test_a_model_that_was_never_published_is_not_current(records: Records) -> None:
    assert records.read(lambda tx: tx.publications.current("x\0")) is None


def test_an_idempotency_key_finds_its_request_for_its_caller_only(
    records: Records, order: Callable[..., RequestRow]
) -> None:
    request = order()
    records.run(lambda tx: tx.idempotency.put("desk", "key\0", "digest", request.id))
    assert records.read(lambda tx: tx.idempotency.find("desk", "key\0")) == IdempotentAnswer("digest", request.id)
    assert records.read(lambda tx: tx.idempotency.find("other", "key\0")) is None
    assert records.read(lambda tx: tx.idempotency.find("desk", "key")) is None


def test_an_idempotency_key_is_used_once(records: Records, order: Callable[..., RequestRow]) -> None:
    request = order()
    records.run(lambda tx: tx.idempotency.put("desk", "key", "digest", request.id))
    with pytest.raises(Conflict):
        records.run(lambda tx: tx.idempotency.put("desk", "key", "other digest", request.id))

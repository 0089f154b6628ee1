"""API keys: known by their digest, ended for good."""

from datetime import timedelta
from typing import Any

import pytest

from flows.records.errors import NotFound
from flows.records.records import Records
from flows.records.rows import ApiKey


def add(records: Records, **more: Any) -> str:
    return records.run(lambda tx: tx.api_keys.add("laptop", "ann", ("requests:write",), ("eng",), **more))


def authenticate(records: Records, key: str) -> ApiKey | None:
    return records.read(lambda tx: tx.api_keys.authenticate(key))


def test_a_key_says_who_uses_it_and_what_for(records: Records, clock: Any) -> None:
    found = authenticate(records, add(records, display_name="Ann", email="ann@example.org", manager="boss"))
    assert found is not None
    assert found == ApiKey(
        id=found.id,
        name="laptop",
        subject="ann",
        scopes=("requests:write",),
        groups=("eng",),
        display_name="Ann",
        email="ann@example.org",
        manager="boss",
        created=clock(),
        expires=None,
        revoked=None,
    )


def test_no_two_keys_are_alike_and_none_is_kept_in_clear(records: Records) -> None:
    keys = {add(records) for _ in range(5)}
    assert len(keys) == 5
    with records._engine.connect() as connection:
        kept = repr(connection.exec_driver_sql("select * from api_keys").all())
    assert not any(key.split("_", 2)[2] in kept for key in keys)


def test_only_the_very_key_is_accepted(records: Records) -> None:
    key = add(records)
    last = "A" if key[-1] != "A" else "B"
    other = add(records)
    for wrong in (
        "",
        "ord_",
        key[:-1],
        key[:-1] + last,
        key + "A",
        f" {key}",
        f"{key}\n",
        key.upper(),
        key + "\0",
        "\ud800",
        key[:17] + other[17:],
    ):
        assert authenticate(records, wrong) is None, wrong
    assert authenticate(records, key) is not None


def test_a_revoked_key_is_refused_and_keeps_its_time(records: Records, clock: Any) -> None:
    key = add(records)
    found = authenticate(records, key)
    assert found is not None
    revoked = clock()
    records.run(lambda tx: tx.api_keys.revoke(found.id))
    clock.advance(seconds=1)
    records.run(lambda tx: tx.api_keys.revoke(found.id))
    assert authenticate(records, key) is None
    assert [row.revoked for row in records.read(lambda tx: tx.api_keys.list())] == [revoked]


def test_an_unknown_key_cannot_be_revoked(records: Records) -> None:
    with pytest.raises(NotFound):
        records.run(lambda tx: tx.api_keys.revoke("0" * 12))


def test_a_key_ends_when_it_expires(records: Records, clock: Any) -> None:
    key = add(records, expires=clock() + timedelta(days=1))
    clock.advance(days=1, microseconds=-1)
    assert authenticate(records, key) is not None
    clock.advance(microseconds=1)
    assert authenticate(records, key) is None

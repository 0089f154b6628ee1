"""Invariant 9: secrets are sealed, bound to request and field, and found nowhere in clear."""

import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from flows.records import keyring
from flows.records.errors import Conflict, KeyringError, SealBroken
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.rows import RequestRow, Sealed
from flows.records.secret_values import SEEN
from flows.records.tables import secrets
from request_models.json_values import JsonValue

Order = Callable[..., RequestRow]

VALUE: JsonValue = {
    "user": "ann",
    "password": "canary-7f3a\0🐤",
    "keys": [{"id": 1, "key": "canary-81bc"}, {"id": 2, "key": None}],
    "a/b~c": {"": "canary-odd-key"},
}
POINTERS = ("/password", "/keys/0/key", "/keys/1/key", "/a~1b~0c/")


def seal(records: Records, request_id: str, value: JsonValue = VALUE, pointers: tuple[str, ...] = POINTERS) -> Sealed:
    return records.run(lambda tx: tx.secrets.seal(request_id, "inputs", value, pointers))


def reveal(records: Records, request_id: str, sealed: Sealed) -> JsonValue:
    return records.read(lambda tx: tx.secrets.reveal(request_id, sealed))


def test_what_is_sealed_holds_null_in_the_place_of_each_secret(records: Records, order: Order) -> None:
    sealed = seal(records, order().id)
    assert sealed.public == {
        "user": "ann",
        "password": None,
        "keys": [{"id": 1, "key": None}, {"id": 2, "key": None}],
        "a/b~c": {"": None},
    }
    assert sorted(sealed.secret_pointers) == sorted(POINTERS)


def test_what_was_sealed_is_revealed_exactly(records: Records, order: Order) -> None:
    request = order()
    sealed = seal(records, request.id)
    assert reveal(records, request.id, sealed) == VALUE
    assert sealed.public != VALUE


def test_every_secret_of_a_request_can_be_had_to_keep_it_out_of_logs(records: Records, order: Order) -> None:
    request, other = order(), order()
    seal(records, request.id)
    seal(records, other.id, {"password": "canary-other"}, ("/password",))
    records.run(lambda tx: tx.secrets.seal(request.id, "outputs", ["canary-out"], ("/0",)))
    found = records.read(lambda tx: tx.secrets.all(request.id))
    expected: list[JsonValue] = ["canary-7f3a\0🐤", "canary-81bc", None, "canary-odd-key", "canary-out"]
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_what_a_system_showed_is_sealed_and_is_no_secret_of_the_request(records: Records, order: Order) -> None:
    """Else each region's name that a read answered would be masked in every line."""
    request = order()
    shown = records.run(lambda tx: tx.secrets.seal(request.id, f"{SEEN}steps/a/1/pre-read", {"at": "eu"}, ("",)))
    assert shown.public is None
    assert reveal(records, request.id, shown) == {"at": "eu"}
    assert records.read(lambda tx: tx.secrets.all(request.id)) == []


def test_a_whole_value_may_be_a_secret(records: Records, order: Order) -> None:
    request = order()
    sealed = seal(records, request.id, ["canary"], ("", "/0"))
    assert sealed == Sealed("inputs", None, ("",))
    assert reveal(records, request.id, sealed) == ["canary"]


def test_pointers_that_lead_nowhere_are_passed_over(records: Records, order: Order) -> None:
    request = order()
    nowhere = ("/absent", "/keys/2/key", "/keys/x", "/keys/00", "/user/0", "/keys/" + "9" * 5000)
    assert seal(records, request.id, VALUE, nowhere) == Sealed("inputs", VALUE, ())


def test_what_is_no_pointer_is_refused(records: Records, order: Order) -> None:
    request = order()
    with pytest.raises(ValueError, match="not a JSON pointer"):
        seal(records, request.id, VALUE, ("password",))


def test_a_secret_within_a_secret_is_sealed_once(records: Records, order: Order) -> None:
    request = order()
    sealed = seal(records, request.id, VALUE, ("/keys/0/key", "/keys!", "/keys", "/keys"))
    assert sealed.secret_pointers == ("/keys",)
    assert reveal(records, request.id, sealed) == VALUE


def test_sealing_again_replaces_what_the_owner_had(records: Records, order: Order) -> None:
    request = order()
    first = seal(records, request.id)
    second = seal(records, request.id, {"password": "new"}, ("/password",))
    assert reveal(records, request.id, second) == {"password": "new"}
    with pytest.raises(SealBroken, match="not in the records any more"):
        reveal(records, request.id, first)


def test_inputs_are_sealed_before_their_request_is_recorded_in_one_transaction(records: Records, order: Order) -> None:
    with pytest.raises(Conflict):  # no request of this id is recorded by the end
        seal(records, "no-such-request")


def test_a_user_cannot_forge_a_secret(records: Records, order: Order) -> None:
    """Nothing in the JSON marks a secret: only the record's own list of pointers does."""
    request, victim = order(), order()
    seal(records, victim.id)
    forged: JsonValue = {"owner": "inputs", "public": None, "secrets": ["/password"], "password": None}
    sealed = seal(records, request.id, forged, ())
    assert reveal(records, request.id, sealed) == forged


def test_a_secret_moved_to_another_request_or_field_does_not_open(records: Records, order: Order) -> None:
    request, other = order(), order()
    value: JsonValue = {"a": "canary-a", "b": "canary-b"}
    sealed = seal(records, request.id, value, ("/a",))
    theirs = seal(records, other.id, value, ("/a",))
    with records._engine.begin() as connection:
        stolen = connection.execute(
            secrets.select().where(secrets.c.request_id == other.id, secrets.c.pointer == "/a")
        ).one()
        connection.execute(
            update(secrets)
            .where(secrets.c.request_id == request.id)
            .values(nonce=stolen.nonce, ciphertext=stolen.ciphertext)
        )
    with pytest.raises(SealBroken, match="does not open"):
        reveal(records, request.id, sealed)
    assert reveal(records, other.id, theirs) == value
    with pytest.raises(SealBroken):
        reveal(records, other.id, replace(theirs, owner="outputs"))


def test_a_secret_with_a_flipped_bit_does_not_open(records: Records, order: Order) -> None:
    request = order()
    sealed = seal(records, request.id, {"a": "canary"}, ("/a",))
    with records._engine.begin() as connection:
        row = connection.execute(secrets.select()).one()
        flipped = bytes([row.ciphertext[0] ^ 1]) + row.ciphertext[1:]
        connection.execute(update(secrets).values(ciphertext=flipped))
    with pytest.raises(SealBroken):
        reveal(records, request.id, sealed)


def test_no_secret_is_in_the_database_in_clear(
    records: Records, order: Order, database_url: str, tmp_path: Path
) -> None:
    request = order()
    sealed = seal(records, request.id)
    records.run(lambda tx: tx.requests.set_values(request.id, sealed))
    records.run(lambda tx: tx.requests.set_outputs(request.id, sealed))
    written = _all_bytes(records, database_url, tmp_path)
    assert b"ann" in written
    assert b"canary" not in written
    assert b"canary".hex().encode() not in written


def _all_bytes(records: Records, database_url: str, tmp_path: Path) -> bytes:
    if database_url.startswith("sqlite"):
        files = sorted((tmp_path / "state").iterdir())
        assert [file.name for file in files] == ["records.db", "records.db-shm", "records.db-wal"]
        return b"".join(file.read_bytes() for file in files)
    with records._engine.begin() as connection:
        tables = connection.execute(text("select tablename from pg_tables where schemaname = 'public'")).scalars()
        rows = [connection.execute(text(f'select * from "{table}"')).all() for table in list(tables)]
    return b"".join(
        value if isinstance(value, bytes) else str(value).encode() for table in rows for row in table for value in row
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.integers() | st.text("ab/~0\0🐤"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~01", max_size=3), inner, max_size=3),
    ),
    data=st.data(),
)
def test_any_value_sealed_at_any_places_is_revealed_exactly(
    records: Records, order: Order, value: JsonValue, data: st.DataObject
) -> None:
    pointers = data.draw(st.lists(st.sampled_from(_places(value)), max_size=5))
    request = order()
    sealed = seal(records, request.id, value, tuple(pointers))
    for pointer in sealed.secret_pointers:
        assert _at(sealed.public, pointer) is None
    assert reveal(records, request.id, sealed) == value


def _places(value: JsonValue, pointer: str = "") -> list[str]:
    places = [pointer]
    if isinstance(value, dict):
        for key, item in value.items():
            places += _places(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            places += _places(item, f"{pointer}/{index}")
    return places


def _at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        value = value[int(token) if isinstance(value, list) else token.replace("~1", "/").replace("~0", "~")]
    return value


def test_secrets_sealed_before_a_rotation_open_after_it(records: Records, order: Order, keyring: Keyring) -> None:
    request = order()
    before = seal(records, request.id)
    old = keyring.active
    new = keyring.rotate()
    after = records.run(lambda tx: tx.secrets.seal(request.id, "outputs", VALUE, POINTERS))
    assert reveal(records, request.id, before) == VALUE
    assert reveal(records, request.id, after) == VALUE
    with records._engine.begin() as connection:
        keys = {row.owner: row.key_id for row in connection.execute(secrets.select())}
    assert keys == {"inputs": old, "outputs": new}


def test_a_missing_keyring_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "keyring.json"
    keyring = Keyring.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]
    sealed = keyring.seal(b"canary", b"place")
    assert Keyring.open(path).unseal(sealed, b"place") == b"canary"
    with pytest.raises(SealBroken):
        Keyring.open(path).unseal(sealed, b"other place")


def test_a_rotation_by_another_process_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    ours, theirs = Keyring.open(path), Keyring.open(path)
    before = ours.active
    assert theirs.rotate() != before
    sealed = theirs.seal(b"canary", b"place")
    assert ours.unseal(sealed, b"place") == b"canary"
    assert ours.active == theirs.active
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["keyring.json"]


def test_of_two_processes_that_make_the_keyring_at_once_both_use_one(tmp_path: Path) -> None:
    path, gate = tmp_path / "keyring.json", threading.Barrier(8)

    def make(_: int) -> str:
        gate.wait(timeout=30)
        return Keyring.open(path).active

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(8)))) == 1


def test_a_keyring_made_meanwhile_by_another_process_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    theirs = Keyring.open(path)
    keyring._create(path, Keyring.in_memory()._keys)  # we looked before they had written it
    assert Keyring.open(path).active == theirs.active
    assert [file.name for file in tmp_path.iterdir()] == ["keyring.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_keyring_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keyring.json"
    Keyring.open(path)
    path.chmod(mode)
    with pytest.raises(KeyringError, match=f"open to others.*chmod 600 {path}"):
        Keyring.open(path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"active": "k", "keys": {}}', '{"active": "k", "keys": {"k": "AAAA"}}', '{"active":1,"keys":[]}'],
)
def test_a_damaged_keyring_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyringError, match="Put back a good copy"):
        Keyring.open(path)
    assert path.read_text() == text


def test_a_keyring_that_lacks_the_key_of_a_value_says_so(tmp_path: Path) -> None:
    sealed = Keyring.open(tmp_path / "one.json").seal(b"canary", b"place")
    with pytest.raises(KeyringError, match=f"lacks the key {sealed.key_id}"):
        Keyring.open(tmp_path / "two.json").unseal(sealed, b"place")


def test_a_keyring_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyringError, match="cannot be opened"):
        Keyring.open(tmp_path / "file" / "keyring.json")

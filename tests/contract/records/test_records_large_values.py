"""Large values of steps: kept apart once by digest, put back exactly, and never passed off when altered."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from flows.records.errors import SealBroken
from flows.records.large_values import LARGE_BYTES
from flows.records.records import Records
from flows.records.rows import Kept, RequestRow, Sealed
from request_models.json_values import JsonValue

LONG: JsonValue = {"text": "\0\N{BUCKET}" * LARGE_BYTES, "key": "battery-staple"}


def seal(records: Records, request: RequestRow, value: JsonValue, owner: str = "steps/create/result") -> Sealed:
    return records.run(lambda tx: tx.secrets.seal(request.id, owner, value, ["/key"]))


def test_a_large_value_is_kept_apart_and_put_back_with_its_secrets(
    records: Records, order: Callable[..., RequestRow]
) -> None:
    request = order()
    sealed = seal(records, request, LONG)
    assert (sealed.public, sealed.secret_pointers) == (None, ("/key",))
    assert sealed.large is not None
    assert records.read(lambda tx: tx.secrets.reveal(request.id, sealed)) == LONG
    again = seal(records, request, LONG, "steps/use/arguments")
    assert again.large == sealed.large
    assert records.read(lambda tx: tx.large_values.size(request.id)) == sealed.large.size, "kept once"


def test_what_is_short_and_what_people_are_shown_stays_in_its_row(
    records: Records, order: Callable[..., RequestRow]
) -> None:
    request = order()
    assert seal(records, request, {"text": "short"}).large is None
    assert seal(records, request, LONG, "outputs").large is None


def test_what_is_not_there_or_of_another_request_is_not_put_back(
    records: Records, order: Callable[..., RequestRow]
) -> None:
    request, other = order(), order()
    sealed = seal(records, request, {"text": "x" * (LARGE_BYTES + 1)})
    with pytest.raises(SealBroken, match="not in the records"):
        records.read(lambda tx: tx.secrets.reveal(other.id, sealed))
    missing = replace(sealed, large=Kept("0" * 64, 1))
    with pytest.raises(SealBroken, match="not in the records"):
        records.read(lambda tx: tx.secrets.reveal(request.id, missing))

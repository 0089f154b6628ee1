"""Secrets inside values: kept apart from the value, sealed, bound to request, owner and pointer (invariant 9)."""

import copy
import hashlib
import json
import re
from collections.abc import Iterable
from typing import cast

from sqlalchemy import Connection, delete, insert, select

from flows.records.errors import SealBroken
from flows.records.keyring import Ciphertext, Keyring
from flows.records.large_values import LARGE_BYTES, LargeValues
from flows.records.rows import Sealed
from flows.records.tables import secrets
from request_models.json_values import JsonValue, canonical_json

SEEN = "seen/"
"""Owners that begin so hold what systems showed us: kept encrypted, since there may be a secret in it, but not counted
among the request's secrets. Each region's name that a read answered would be masked from then on, in every line."""

_MAY_BE_LARGE = ("steps/", "blocks/")
"""Owners that begin so may hold what a system answered, however long; nobody shows it without revealing it."""

_ABSENT = object()
_INDEX = re.compile("0|[1-9][0-9]{0,9}")


class Secrets:
    """Seals the secret parts of values and puts them back."""

    def __init__(self, connection: Connection, keyring: Keyring) -> None:
        self._connection = connection
        self._keyring = keyring
        self._large = LargeValues(connection)

    def seal(self, request_id: str, owner: str, value: JsonValue, pointers: Iterable[str]) -> Sealed:
        """Keep the parts of `value` at `pointers` encrypted and give the rest, with null in their places.

        Pointers (RFC 6901, no wildcards) that lead nowhere are passed over; what the owner had sealed before is
        replaced. The request's row may be written later in the same transaction. What is large of a step or block is
        kept apart.
        """
        self._connection.execute(delete(secrets).where(secrets.c.request_id == request_id, secrets.c.owner == owner))
        public = copy.deepcopy(value)
        sealed: list[str] = []
        for pointer in _outermost(pointers):
            secret = _look_up(value, pointer)
            if secret is _ABSENT:
                continue
            self._keep(request_id, owner, pointer, cast(JsonValue, secret))
            public = _replaced(public, pointer, None)
            sealed.append(pointer)
        if owner.startswith(_MAY_BE_LARGE):
            written = canonical_json(public)
            if len(written) > LARGE_BYTES:
                return Sealed(owner, None, tuple(sealed), self._large.keep(request_id, written))
        return Sealed(owner, public, tuple(sealed))

    def reveal(self, request_id: str, sealed: Sealed) -> JsonValue:
        """The whole value; raises SealBroken when a secret is missing or altered, KeyringError when its key is."""
        large = sealed.large
        value = copy.deepcopy(sealed.public) if large is None else self._large.get(request_id, large)
        for pointer in sealed.secret_pointers:
            value = _replaced(value, pointer, self._open(request_id, sealed.owner, pointer))
        return value

    def all(self, request_id: str) -> list[JsonValue]:
        """Every secret of a request, so that none of them is ever logged; raises SealBroken, KeyringError.

        What is only kept as `SEEN` is left out.
        """
        of_request = select(secrets.c.owner, secrets.c.pointer).where(secrets.c.request_id == request_id)
        rows = self._connection.execute(of_request.where(secrets.c.owner.not_like(f"{SEEN}%"))).all()
        return [self._open(request_id, row.owner, row.pointer) for row in rows]

    def _keep(self, request_id: str, owner: str, pointer: str, secret: JsonValue) -> None:
        sealed = self._keyring.seal(canonical_json(secret), _bound_to(request_id, owner, pointer))
        self._connection.execute(
            insert(secrets).values(
                request_id=request_id,
                field=_field(owner, pointer),
                owner=owner,
                pointer=pointer,
                key_id=sealed.key_id,
                nonce=sealed.nonce,
                ciphertext=sealed.data,
            )
        )

    def _open(self, request_id: str, owner: str, pointer: str) -> JsonValue:
        row = self._connection.execute(
            select(secrets.c.key_id, secrets.c.nonce, secrets.c.ciphertext).where(
                secrets.c.request_id == request_id, secrets.c.field == _field(owner, pointer)
            )
        ).one_or_none()
        if row is None:
            raise SealBroken(f"A secret of request {request_id} ({owner}) is not in the records any more.")
        sealed = Ciphertext(row.key_id, row.nonce, row.ciphertext)
        return cast(JsonValue, json.loads(self._keyring.unseal(sealed, _bound_to(request_id, owner, pointer))))


def _bound_to(request_id: str, owner: str, pointer: str) -> bytes:
    return canonical_json([request_id, owner, pointer])


def _field(owner: str, pointer: str) -> str:
    return hashlib.sha256(canonical_json([owner, pointer])).hexdigest()


def _outermost(pointers: Iterable[str]) -> list[str]:
    """Each pointer once, without those that lie inside another."""
    kept: list[str] = []
    for pointer in sorted(set(pointers), key=lambda pointer: pointer.split("/")):  # what is inside follows directly
        if pointer and not pointer.startswith("/"):
            raise ValueError(f"{pointer!r} is not a JSON pointer.")
        if not kept or not pointer.startswith(f"{kept[-1]}/"):
            kept.append(pointer)
    return kept


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _look_up(value: JsonValue, pointer: str) -> object:
    found: object = value
    for token in _tokens(pointer):
        found = _member(found, token)
    return found


def _member(value: object, token: str) -> object:
    match value:
        case dict():
            return value.get(token, _ABSENT)
        case list() if _INDEX.fullmatch(token) and int(token) < len(value):
            return value[int(token)]
        case _:
            return _ABSENT


def _replaced(value: JsonValue, pointer: str, by: JsonValue) -> JsonValue:
    """The value with the part at an existing pointer replaced; `value` itself is changed unless the whole of it is."""
    tokens = _tokens(pointer)
    if not tokens:
        return by
    place: object = value
    for token in tokens[:-1]:
        place = _member(place, token)
    match place:
        case dict() if tokens[-1] in place:
            place[tokens[-1]] = by
        case list() if _member(place, tokens[-1]) is not _ABSENT:
            place[int(tokens[-1])] = by
        case _:
            raise SealBroken(f"The value has no place {pointer} for its secret.")
    return value

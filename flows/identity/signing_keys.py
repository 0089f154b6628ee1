"""An issuer's public keys, fetched from where it publishes them and kept for a while.

Where they are is a setting: what a token itself says of its keys (`jku`, `x5u`, `jwk`, `x5c`) is never looked at.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from flows.identity.errors import IssuerUnavailable
from flows.identity_settings import IssuerSettings

LARGEST_ANSWER = 256 * 1024
"""Bytes; real issuers' key sets have some thousands."""

MOST_KEYS = 100

_TIMEOUT = httpx.Timeout(5.0)
_LONGEST_ANSWER_SECONDS = 10.0
_PAUSE_AFTER_FAILURE = 5.0

log = logging.getLogger(__name__)

Jwk = Mapping[str, Any]


class SigningKeys:
    """The keys of one issuer. Thread-safe. `seconds` is a monotonic clock."""

    def __init__(self, issuer: IssuerSettings, seconds: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._seconds = seconds
        self._lock = threading.Lock()
        self._keys: tuple[Jwk, ...] | None = None
        self._fetched = 0.0
        self._tried = 0.0
        self._failed = False

    def named(self, key_id: str | None) -> Sequence[Jwk]:
        """The keys of this id, all of them for None; none if there is no such key. Raises IssuerUnavailable.

        An id that is not known may be of a key that is new: the keys are fetched again, but not for each such token.
        """
        keys = self._current()
        found = _of_id(keys, key_id)
        if not found:
            found = _of_id(self._after_unknown(), key_id)
        return found

    def _current(self) -> tuple[Jwk, ...]:
        if self._keys is not None and self._age() < self._issuer.keys_seconds:
            return self._keys
        with self._lock:
            if (self._keys is None or self._age() >= self._issuer.keys_seconds) and not self._failed_just_now():
                self._fetch()
            if self._keys is None or self._age() >= self._issuer.keys_seconds + self._issuer.keys_kept_seconds:
                raise IssuerUnavailable("The keys of the token's issuer cannot be had now. Try again.")
            return self._keys

    def _after_unknown(self) -> tuple[Jwk, ...]:
        with self._lock:
            if self._seconds() - self._tried >= self._issuer.refetch_seconds and not self._failed_just_now():
                self._fetch()
            return self._keys or ()

    def _age(self) -> float:
        return self._seconds() - self._fetched

    def _failed_just_now(self) -> bool:
        return self._failed and self._seconds() - self._tried < _PAUSE_AFTER_FAILURE

    def _fetch(self) -> None:
        self._tried = self._seconds()
        try:
            with httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client:
                keys = _read(client, self._issuer)
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            self._failed = True
            log.warning("the keys of the issuer %s cannot be had: %s", self._issuer.issuer, error)
            return
        self._failed = False
        self._keys, self._fetched = keys, self._seconds()


def _of_id(keys: Sequence[Jwk], key_id: str | None) -> tuple[Jwk, ...]:
    return tuple(key for key in keys if key_id is None or key.get("kid") == key_id)


def _read(client: httpx.Client, issuer: IssuerSettings) -> tuple[Jwk, ...]:
    address = issuer.jwks_url or _discovered(client, issuer)
    keys = _json(client, address).get("keys")
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise ValueError(f"{address} does not answer with a key set of {MOST_KEYS} keys at most")
    # Others of the set may be for encryption, or private by mistake: neither checks a signature of ours.
    return tuple(key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig" and "d" not in key)


def _discovered(client: httpx.Client, issuer: IssuerSettings) -> str:
    """Where the issuer says its keys are (OpenID Connect Discovery 1.0, section 4)."""
    document = _json(client, f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != issuer.issuer:
        raise ValueError(f"the discovery document is of another issuer than {issuer.issuer}")
    # The same rule as for addresses in the settings: never in clear over a network.
    found = IssuerSettings.model_validate({**issuer.model_dump(), "jwks_url": document.get("jwks_uri")}).jwks_url
    if found is None:
        raise ValueError("the discovery document names no jwks_uri")
    return found


def _json(client: httpx.Client, address: str) -> dict[str, Any]:
    with client.stream("GET", address, headers={"Accept": "application/json", "Accept-Encoding": "identity"}) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{address} answers {answer.status_code}")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise ValueError(f"{address} answers compressed")
        body, deadline = b"", time.monotonic() + _LONGEST_ANSWER_SECONDS
        for part in answer.iter_raw():
            body += part
            if len(body) > LARGEST_ANSWER or time.monotonic() > deadline:
                raise ValueError(f"{address} answers with too much, or too slowly")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"{address} does not answer with a JSON object")  # noqa: TRY004 - what another system sent
    return document

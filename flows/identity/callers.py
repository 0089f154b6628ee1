"""From a credential to the caller behind it: API keys of ours, and access tokens of the issuers in the settings."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from flows.identity.access_tokens import AccessTokens, TakenToken
from flows.identity.errors import TokenRefused
from flows.identity.scopes import SCOPES
from flows.identity_settings import IdentitySettings, IssuerSettings
from flows.lifecycle import Caller
from flows.records.records import Records
from flows.records.rows import ApiKey, Person

_LONGEST_KEY = 512
"""Characters; anything longer is no key of ours and is not even hashed."""

_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_MOST_GROUPS = 500
_CLIENT = ("client_id", "azp", "appid")
"""Claims that name the program that holds the token: RFC 9068's, OpenID Connect's, Entra's."""


class Callers:
    """Knows callers by what they present."""

    def __init__(self, records: Records, settings: IdentitySettings) -> None:
        self._records = records
        self._tokens = AccessTokens(settings.issuers)

    def of_key(self, key: str) -> Caller | None:
        """Whose API key it is; None for none that is good. Raises RecordsUnavailable."""
        if len(key) > _LONGEST_KEY or not key.isascii():
            return None
        row = self._records.read(lambda tx: tx.api_keys.authenticate(key))
        return None if row is None else caller_of_key(row)

    def of_token(self, token: str) -> Caller:
        """Whose access token it is. Raises TokenRefused, IssuerUnavailable."""
        return caller_of_token(self._tokens.take(token))


def caller_of_key(key: ApiKey) -> Caller:
    """The identity that a key stands for."""
    person = Person(
        id=key.subject, name=key.display_name, email=key.email, groups=tuple(key.groups), manager=key.manager
    )
    return Caller(key_id=key.id, person=person, scopes=frozenset(key.scopes))


def caller_of_token(taken: TakenToken) -> Caller:
    """The identity that a token stands for. Raises TokenRefused if it does not say whose it is."""
    issuer, names = taken.issuer, taken.issuer.claims
    subject = _line(taken.claims, names.subject)
    if not subject:
        raise TokenRefused("The access token is not taken: it does not say whose it is, in one line of text.")
    groups = _names(_claim(taken.claims, names.groups))
    person = Person(
        id=issuer.subject_prefix + subject,
        name=_line(taken.claims, names.name),
        email=_line(taken.claims, names.email),
        groups=groups,
        manager=_manager(taken),
    )
    client = next((_line(taken.claims, name) for name in _CLIENT if _line(taken.claims, name)), "")
    # Of person and program: two programs of one person do not meet each other's Idempotency-Keys.
    return Caller(key_id=_key_id(person.id, client), person=person, scopes=_scopes(issuer, taken.claims, groups))


def _key_id(person: str, client: str) -> str:
    written = f"token:{quote(person, safe='')}:{quote(client, safe='')}"
    return written if len(written) <= _LONGEST_KEY else f"token:{hashlib.sha256(written.encode()).hexdigest()}"


def _scopes(issuer: IssuerSettings, claims: Mapping[str, Any], groups: Iterable[str]) -> frozenset[str]:
    """Ours among the token's, those the settings give for the issuer's own, for groups, and for everyone."""
    written = _claim(claims, issuer.claims.scope)
    given = written.split(" ") if isinstance(written, str) else _names(written)
    scopes = {scope for scope in given if scope in SCOPES} | set(issuer.everyone)
    for scope in given:
        scopes.update(issuer.scopes.get(scope, ()))
    for group in groups:
        scopes.update(issuer.group_scopes.get(group, ()))
    return frozenset(scopes)


def _manager(taken: TakenToken) -> str | None:
    manager = _line(taken.claims, taken.issuer.claims.manager)
    return taken.issuer.subject_prefix + manager if manager else None


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """A claim by its name, or inside an object by the path of names."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _line(claims: Mapping[str, Any], name: str) -> str:
    value = _claim(claims, name)
    return value if isinstance(value, str) and _LINE.fullmatch(value) else ""


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(name for name in value if isinstance(name, str) and _LINE.fullmatch(name))[:_MOST_GROUPS]

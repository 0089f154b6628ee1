"""JWT access tokens (RFC 9068): whether one is good, and what it says. The only importer of PyJWT.

All that can be told from the token alone is judged before a key is looked for, and nothing of it names the key but the
key's id: an address or a key in the header (`jku`, `x5u`, `jwk`, `x5c`) is never looked at (RFC 8725).
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt

from flows.identity.errors import TokenRefused
from flows.identity.signing_keys import Jwk, SigningKeys
from flows.identity_settings import IssuerSettings
from request_models.json_values import canonical_json

LONGEST_TOKEN = 8192
"""Characters; it must fit into a header with others."""

_LONGEST_KEY_ID = 200
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LATEST = 2**40
"""Seconds since 1970 (the year 36812): a later moment is no moment."""

_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_SMALLEST_RSA = 2048

_REASONS: Mapping[type[jwt.InvalidTokenError], str] = {
    jwt.ExpiredSignatureError: "it has expired; get a new one",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.MissingRequiredClaimError: "a claim is missing: iss, aud, sub, exp and iat must be there",
}


@dataclass(frozen=True)
class TakenToken:
    """A good token: whose it is by the issuer's settings, and its claims."""

    issuer: IssuerSettings
    claims: Mapping[str, Any]


class AccessTokens:
    """Takes the tokens of the issuers that the settings name. Thread-safe."""

    def __init__(
        self, issuers: Sequence[IssuerSettings], keys_of: Callable[[IssuerSettings], SigningKeys] = SigningKeys
    ) -> None:
        self._issuers = {issuer.issuer: (issuer, keys_of(issuer)) for issuer in issuers}

    def take(self, token: str) -> TakenToken:
        """What a token says, if it is good. Raises TokenRefused with the reason, IssuerUnavailable."""
        header, claims = _unverified(token)
        known = self._issuers.get(claims["iss"]) if isinstance(claims.get("iss"), str) else None
        if known is None:
            raise _refused("no such issuer is known here")
        issuer, keys = known
        algorithm = _refuse_by_header(header, issuer)
        candidates = [key for key in keys.named(header.get("kid")) if _suits(key, algorithm)]
        if len(candidates) != 1:
            raise _refused("the issuer has no such key" if not candidates else "it does not say by which key")
        return TakenToken(issuer, _verified(token, candidates[0], algorithm, issuer))


def _refused(why: str) -> TokenRefused:
    return TokenRefused(f"The access token is not taken: {why}.")


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as they are written. Raises TokenRefused for what is no token, or an ambiguous one."""
    if len(token) > LONGEST_TOKEN:
        raise _refused(f"it has more than {LONGEST_TOKEN} characters")
    parts = token.split(".")
    if len(parts) == 5:
        raise _refused("it is encrypted (JWE); only signed ones are")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts[:2]):
        raise _refused("it is no signed JWT")
    header, claims = (_object(part) for part in parts[:2])
    for name in ("exp", "iat", "nbf"):
        _refuse_no_moment(claims, name)
    return header, claims


def _object(part: str) -> dict[str, Any]:
    try:
        padded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = json.loads(padded.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # Two readers of a document that names a claim twice see different claims.
        raise _refused("header or claims are no proper JSON") from None
    if not isinstance(value, dict):
        raise _refused("header or claims are no JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is named twice")
    return members


def _no_number(name: str) -> None:
    raise ValueError(name)


def _refuse_no_moment(claims: Mapping[str, Any], name: str) -> None:
    value = claims.get(name, 0)
    # Infinity and what no float can hold fail the comparison, as NaN does.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise _refused(f"{name} is no moment")


def _refuse_by_header(header: Mapping[str, Any], issuer: IssuerSettings) -> str:
    """The signature's algorithm. Raises TokenRefused for what the issuer's settings do not allow."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise _refused(f"its signature must be one of {', '.join(issuer.algorithms)}")
    given = header.get("typ")
    # RFC 7515, section 4.1.9: the prefix may be left out, and case does not count.
    kind = given.lower().removeprefix("application/") if isinstance(given, str) else ""
    if kind not in {name.lower() for name in issuer.types}:
        raise _refused(f"its type must be {' or '.join(issuer.types)}; an identity token is no access token")
    if "crit" in header or "cty" in header or "enc" in header or header.get("b64", True) is not True:
        raise _refused("its header asks for what is not done here (crit, cty, enc, b64)")
    key_id = header.get("kid")
    if key_id is not None and (not isinstance(key_id, str) or not 0 < len(key_id) <= _LONGEST_KEY_ID):
        raise _refused("its key id is none")
    return algorithm


def _suits(key: Jwk, algorithm: str) -> bool:
    return key.get("kty") == _KEY_TYPES[algorithm[:2]] and key.get("alg", algorithm) == algorithm


def _verified(token: str, key: Jwk, algorithm: str, issuer: IssuerSettings) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _public_key(canonical_json(dict(key)), algorithm),
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway_seconds,
            options={"require": ["iss", "aud", "sub", "exp", "iat"]},
        )
    except jwt.InvalidTokenError as error:
        raise _refused(_REASONS.get(type(error), "it is malformed")) from None
    except (jwt.PyJWKError, jwt.InvalidKeyError, ValueError, TypeError):
        raise _refused("the issuer's key for it cannot be used") from None
    return claims


@lru_cache(maxsize=256)
def _public_key(written: bytes, algorithm: str) -> jwt.PyJWK:
    key = jwt.PyJWK(json.loads(written), algorithm=algorithm)
    if algorithm[:2] in {"RS", "PS"} and key.key.key_size < _SMALLEST_RSA:
        raise ValueError(f"RSA keys must have {_SMALLEST_RSA} bits")
    return key

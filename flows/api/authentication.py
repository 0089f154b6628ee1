"""Who calls: access tokens of the issuers in the settings, and API keys, of which the records hold only hashes."""

import math
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from flows.api.problems import ApiProblem, unauthenticated
from flows.identity.callers import Callers
from flows.identity.errors import IssuerUnavailable, TokenRefused
from flows.identity.rate_limits import RateLimits
from flows.lifecycle import Caller

bearer_scheme = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="An access token (RFC 9068), or an API key as a bearer token."
)
header_scheme = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    scheme_name="apiKey",
    description="An API key, for plain headers.",
)

_ISSUER_PAUSE = 5
"""Seconds to wait while an issuer cannot be reached."""


def authenticate(callers: Callers, limits: RateLimits, request: Request) -> Caller:
    """The caller of a request, who may call now. Raises ApiProblem (401, 429, 503); RecordsUnavailable."""
    caller = _caller(callers, request)
    wait = limits.wait_for(caller.key_id)
    if wait:
        raise ApiProblem("too-many-calls", headers={"Retry-After": str(math.ceil(wait))})
    return caller


def is_still_good(request: Request) -> bool:
    """Whether what the caller presented is still taken: for calls that last."""
    try:
        _caller(request.app.state.application.callers, request)
    except ApiProblem as problem:
        return problem.status_code != 401
    return True


def _caller(callers: Callers, request: Request) -> Caller:
    token = _bearer(request)
    if token is not None and "." in token:  # an API key has none, a JWT has two
        try:
            return callers.of_token(token)
        except TokenRefused as error:
            raise unauthenticated(str(error), error="invalid_token") from None
        except IssuerUnavailable as error:
            raise ApiProblem("unavailable", str(error), headers={"Retry-After": str(_ISSUER_PAUSE)}) from None
    key = token or request.headers.get("x-api-key", "").strip()
    if not key:
        raise unauthenticated()
    caller = callers.of_key(key)
    if caller is None:
        raise unauthenticated("The API key is unknown, expired or revoked.", error="invalid_token")
    return caller


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _authenticated(
    request: Request,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_scheme)],
    _header: Annotated[str | None, Security(header_scheme)],
) -> Caller:
    # The route has authenticated before it read the body; the two schemes stand here for the OpenAPI document.
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


AuthenticatedCaller = Annotated[Caller, Depends(_authenticated)]
"""The caller, as a parameter of a handler."""

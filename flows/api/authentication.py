"""Who calls: API keys, of which the records hold only hashes. Identity tokens come beside them later."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from flows.api.problems import unauthenticated
from flows.lifecycle import Caller
from flows.records.records import Records
from flows.records.rows import ApiKey, Person

_LONGEST_KEY = 512
"""Characters; anything longer is no key of ours and is not even hashed."""

bearer_scheme = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key as a bearer token.")
header_scheme = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="apiKey", description="The same, for tools that set plain headers."
)


def authenticate(records: Records, request: Request) -> Caller:
    """The caller of a request. Raises ApiProblem (401) without a valid key; RecordsUnavailable."""
    key = _presented_key(request)
    if len(key) > _LONGEST_KEY or not key.isascii():
        raise unauthenticated("This is no API key.")
    row = records.read(lambda tx: tx.api_keys.authenticate(key))
    if row is None:
        raise unauthenticated("The API key is unknown, expired or revoked.")
    return caller_of(row)


def caller_of(key: ApiKey) -> Caller:
    """The identity that a key stands for."""
    person = Person(
        id=key.subject, name=key.display_name, email=key.email, groups=tuple(key.groups), manager=key.manager
    )
    return Caller(key_id=key.id, person=person, scopes=frozenset(key.scopes))


def _presented_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if key := request.headers.get("x-api-key", "").strip():
        return key
    raise unauthenticated()


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

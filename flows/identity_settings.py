"""The part of the settings that says whose tokens are taken, what they may do, and how often a caller may call."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from flows.identity.scopes import SCOPES

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key only: with a shared secret whoever checks a token could also make one."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClaimNames(_Part):
    """Which claim of a token says what; a dot leads into an object (`realm_access.roles`)."""

    subject: Name = "sub"
    """The id by which people are known here; it must never be given to another person."""
    name: Name = "name"
    email: Name = "email"
    groups: Name = "groups"
    manager: Name = "manager"
    scope: Name = "scope"


class IssuerSettings(_Part):
    """An authorization server whose access tokens (RFC 9068) are taken."""

    issuer: str
    """Exactly as its tokens say in `iss`."""
    audience: tuple[Name, ...] = Field(min_length=1)
    """What its tokens must name in `aud`: at least one of these."""
    jwks_url: str | None = None
    """Where its keys are; by default what `ISSUER/.well-known/openid-configuration` says."""
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "PS256", "ES256", "EdDSA"), min_length=1)
    types: tuple[Name, ...] = Field(default=("at+jwt",), min_length=1)
    """What a token's `typ` may be. Some servers write `JWT`; with that, their identity tokens are taken too."""
    claims: ClaimNames = ClaimNames()
    subject_prefix: str = ""
    """Put before each subject, so that two issuers' people are not taken for each other."""
    scopes: dict[Name, tuple[Name, ...]] = {}
    """Which of our scopes a scope of the issuer's gives, where it does not name ours."""
    group_scopes: dict[Name, tuple[Name, ...]] = {}
    """Which scopes the members of a group have."""
    everyone: tuple[Name, ...] = ()
    """Scopes that each of its tokens has."""
    leeway_seconds: float = Field(default=30.0, ge=0, le=300)
    """By how much its clock and ours may differ."""
    keys_seconds: float = Field(default=300.0, ge=1)
    """How long its keys are kept before they are asked for again."""
    keys_kept_seconds: float = Field(default=3600.0, ge=1)
    """How long its keys are used at most while it cannot be reached."""
    refetch_seconds: float = Field(default=30.0, ge=0)
    """How often its keys are asked for at most because a token names an unknown one."""

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _only_https(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://unset")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("must be an https:// address (http:// only on this machine)")
        return value

    @field_validator("scopes", "group_scopes")
    @classmethod
    def _known_in(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for granted in value.values():
            refuse_unknown_scopes(granted)
        return value

    @field_validator("everyone")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refuse_unknown_scopes(value)
        return value


def refuse_unknown_scopes(scopes: tuple[str, ...]) -> None:
    """Raise ValueError for what is no scope."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise ValueError(f"no such scope: {', '.join(unknown)}; there are {', '.join(SCOPES)}")


class RateSettings(_Part):
    """How often one caller may call: `burst` calls at once, then `per_second`; 0 for no limit."""

    per_second: float = Field(default=100.0, ge=0)
    burst: int = Field(default=200, ge=1)


class IdentitySettings(_Part):
    """Whose tokens are taken beside our own API keys."""

    issuers: tuple[IssuerSettings, ...] = ()
    rate: RateSettings = RateSettings()

    @model_validator(mode="after")
    def _told_apart(self) -> "IdentitySettings":
        for what in ("issuer", "subject_prefix"):
            values = [getattr(one, what) for one in self.issuers]
            if len(set(values)) < len(values):
                raise ValueError(f"two issuers have the same {what}: their people could not be told apart")
        return self

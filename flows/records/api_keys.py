"""API keys: `ord_ID_SECRET`, of which only a digest is kept.

The secret is 256 random bits, so a plain SHA-256 is enough: there is nothing to guess, and the slow hashes that
guard passwords would only slow each call. The id, which is no secret, finds the row; the digest of the whole key is
then compared in constant time.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from flows.records.errors import NotFound
from flows.records.reading import each, one, select_rows
from flows.records.rows import ApiKey
from flows.records.tables import api_keys

_KEY = re.compile(r"ord_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)


class ApiKeys:
    """The keys by which callers of the API are known."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def add(
        self,
        name: str,
        subject: str,
        scopes: Iterable[str],
        groups: Iterable[str] = (),
        *,
        display_name: str = "",
        email: str = "",
        manager: str | None = None,
        expires: datetime | None = None,
    ) -> str:
        """Make a key called `name` for the person or system `subject`; gives it in clear, this once."""
        key_id = secrets.token_hex(6)
        key = f"ord_{key_id}_{secrets.token_urlsafe(32)}"
        self._connection.execute(
            insert(api_keys).values(
                id=key_id,
                name=name,
                key_digest=_digest(key),
                subject=subject,
                scopes=tuple(scopes),
                groups=tuple(groups),
                display_name=display_name or subject,
                email=email,
                manager=manager,
                created=self._clock(),
                expires=expires,
            )
        )
        return key

    def authenticate(self, key: str) -> ApiKey | None:
        """Whose key it is, None if it is unknown, revoked or expired."""
        written = _KEY.fullmatch(key)
        if written is None:
            return None
        row = self._connection.execute(
            select(api_keys.c.key_digest).where(api_keys.c.id == written.group(1))
        ).one_or_none()
        if row is None or not hmac.compare_digest(row.key_digest, _digest(key)):
            return None
        found = self._get(written.group(1))
        if found is None or found.revoked is not None:
            return None
        return found if found.expires is None or self._clock() < found.expires else None

    def list(self) -> "list[ApiKey]":
        """Every key there ever was, oldest first."""
        rows = select_rows(ApiKey, api_keys).order_by(api_keys.c.created, api_keys.c.id)
        return each(ApiKey, self._connection.execute(rows))

    def revoke(self, key_id: str) -> None:
        """End a key for good; raises NotFound. A key revoked before keeps its time."""
        if self._get(key_id) is None:
            raise NotFound("API key", key_id)
        self._connection.execute(
            update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked.is_(None)).values(revoked=self._clock())
        )

    def _get(self, key_id: str) -> ApiKey | None:
        rows = select_rows(ApiKey, api_keys).where(api_keys.c.id == key_id)
        return one(ApiKey, self._connection.execute(rows).one_or_none())


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

"""Idempotency tokens as AWS honours them, in front of moto, which ignores them [seen].

The same operation with the same token and the same parameters gets the first answer again; with other parameters, the
service's own mismatch error. Tokens count within an account, a region and an operation. Only successes are kept: a
refused call may be mended and sent again under its token, as with AWS.

Two things are simpler than AWS. Tokens are kept for as long as the sandbox's memory, where services forget them after
hours or days. And a service that compares only some parameters is stricter here.
"""

from flows.sandbox.journal import Answer, Token


class Mismatch(Exception):
    """The token came before, with other parameters."""


class TokenMemory:
    """The tokens seen, rebuilt from the journal at each start. Not thread-safe: the endpoint's lock is around it."""

    def __init__(self) -> None:
        self._seen: dict[str, Token] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def first_answer(self, scope: str, parameters: str) -> Answer | None:
        """What was answered when the token came first, or None when it is new. Raises Mismatch."""
        seen = self._seen.get(scope)
        if seen is None:
            return None
        if seen.parameters != parameters:
            raise Mismatch
        return seen.answer

    def keep(self, token: Token) -> None:
        self._seen[token.scope] = token

    def forget(self) -> None:
        self._seen.clear()

"""What is wrong with a caller's credential; the messages repeat nothing of what was sent."""

from flows.errors import OrderlyError


class TokenRefused(OrderlyError):
    """The access token is not taken; the message says why."""


class IssuerUnavailable(OrderlyError):
    """The issuer's keys cannot be had now, so that nobody knows whether the token is good."""

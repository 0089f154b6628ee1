"""Kinds of outbox rows."""

from typing import Final

DISPATCH: Final = "dispatch"
"""Start a flow run for the request."""

RETRY: Final = "retry"
"""Wake the flow run it has."""

WAKE: Final = "wake"
"""Something that the request may wait for has come: let it go on as soon as it waits."""

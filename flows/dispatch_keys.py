"""Keys of dispatches: by its key a flow run is known as the one that may run a request."""

import secrets


def new_key(request_id: str) -> str:
    """A dispatch key that nobody can guess: whoever knew it could create the run before us, and in any state."""
    return f"orderly:{request_id}:{secrets.token_hex(16)}"

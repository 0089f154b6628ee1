"""Page tokens: opaque to the caller, checked when they come back."""

import base64
import binascii
from typing import Annotated

from fastapi import Query

from flows.api.problems import ApiProblem, wrong_parameter

LONGEST_PAGE = 200

PageLimit = Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="How many at most.")]
PageToken = Annotated[
    str | None, Query(max_length=500, description="`next_page_token` of the page before; all else stays the same.")
]


def token_after(key: str) -> str:
    """The token of the page that starts after `key`."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(token: str | None) -> str | None:
    """The key that `token` was made of; None for the first page. Raises ApiProblem for what is no token."""
    if token is None:
        return None
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise unknown_token() from None


def unknown_token() -> ApiProblem:
    """422 for a page token that we did not make."""
    return wrong_parameter("page_token", "it is not one this API gave; start again without it.")

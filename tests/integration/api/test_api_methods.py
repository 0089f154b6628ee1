"""What an address takes, told to whoever tries something else."""

import httpx
import pytest


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/requests", "GET, POST"),
        ("/v1/requests:validate", "POST"),
        ("/v1/requests/00000000-0000-4000-8000-000000000000", "GET"),
        ("/v1/requests/00000000-0000-4000-8000-000000000000:fix", "POST"),
        ("/v1/requests/00000000-0000-4000-8000-000000000000/events", "GET"),
        ("/v1/catalogue:match", "POST"),
    ],
)
def test_the_methods_of_an_address_are_all_named(anna: httpx.Client, path: str, allowed: str) -> None:
    answer = anna.request("PUT", path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed

"""Access tokens of an issuer, over the whole way: what the token says is who orders, and what they may do."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from issuer import AUDIENCE, Issuer, rsa_key, running_issuer
from request_models.plan import Plan

ORDER = {"model": "project-bucket", "inputs": {"project": "apollo"}}
Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer(rsa_key("first")) as running:
        yield running


@pytest.fixture
def client(serve: Serve, tmp_path: Path, prepared_state: Path, issuer: Issuer) -> Iterator[httpx.Client]:
    shutil.copytree(prepared_state, tmp_path / "state")
    identity = {
        "issuers": [
            {
                "issuer": issuer.url,
                "audience": [AUDIENCE],
                "claims": {"groups": "realm.roles", "manager": "boss"},
                "group_scopes": {"operators": ["requests:read:all"]},
                "scopes": {"order": ["requests:create"]},
            }
        ]
    }
    with serve(tmp_path / "state", identity=identity) as api:
        yield api.connection()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_the_token_is_of_is_who_orders(client: httpx.Client, issuer: Issuer) -> None:
    mine = bearer(issuer.token(name="Anna A.", boss="maria"))
    ordered = client.post("/v1/requests", json=ORDER, headers=mine)
    assert ordered.status_code == 202, ordered.text

    seen = client.get(f"/v1/requests/{ordered.json()['id']}", headers=mine)

    assert seen.json()["requester"] == {"id": "anna", "name": "Anna A."}
    stranger = bearer(issuer.token(sub="ben"))
    assert client.get(f"/v1/requests/{ordered.json()['id']}", headers=stranger).status_code == 404


def test_scopes_come_from_the_token_the_settings_and_groups(client: httpx.Client, issuer: Issuer) -> None:
    ordered = client.post("/v1/requests", json=ORDER, headers=bearer(issuer.token(scope="order openid")))
    assert ordered.status_code == 202
    path = f"/v1/requests/{ordered.json()['id']}"

    operator = issuer.token(sub="olga", scope="requests:read", realm={"roles": ["operators", 7, None]})

    assert client.get(path, headers=bearer(operator)).status_code == 200
    assert client.get(path, headers=bearer(issuer.token(scope="order"))).status_code == 403


def test_a_scope_that_is_none_of_ours_gives_nothing(client: httpx.Client, issuer: Issuer) -> None:
    answer = client.post("/v1/requests", json=ORDER, headers=bearer(issuer.token(scope="superuser ADMIN")))

    assert answer.status_code == 403


@pytest.mark.parametrize("subject", ["", "a\nb", "x" * 201, 7, ["anna"]])
def test_a_subject_that_is_no_line_of_text_is_nobody(client: httpx.Client, issuer: Issuer, subject: Any) -> None:
    answer = client.get("/v1/catalogue", headers=bearer(issuer.token(sub=subject)))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="orderly", error="invalid_token"'


def test_a_refused_token_says_why_and_repeats_nothing(client: httpx.Client, issuer: Issuer) -> None:
    answer = client.get("/v1/catalogue", headers=bearer(issuer.token(sub="canary-subject", aud="canary-audience")))

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The access token is not taken: it is for another audience."
    assert "canary" not in answer.text


def test_keys_that_cannot_be_had_are_503_and_api_keys_go_on_working(
    serve: Serve, tmp_path: Path, prepared_state: Path, issuer: Issuer
) -> None:
    shutil.copytree(prepared_state, tmp_path / "state")
    issuers = [{"issuer": issuer.url, "audience": [AUDIENCE], "jwks_url": "http://127.0.0.1:9/jwks"}]
    with serve(tmp_path / "state", identity={"issuers": issuers}) as api:
        answer = api.connection().get("/v1/catalogue", headers=bearer(issuer.token()))

        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert api.client("anna").get("/v1/catalogue").status_code == 200


def test_who_calls_too_often_is_told_when_to_call_again(
    serve: Serve, tmp_path: Path, prepared_state: Path, make_plan: Callable[..., Plan]
) -> None:
    shutil.copytree(prepared_state, tmp_path / "state")
    with serve(tmp_path / "state", identity={"rate": {"per_second": 0.01, "burst": 3}}) as api:
        anna = api.client("anna")
        codes = [anna.get("/v1/catalogue").status_code for _ in range(4)]
        refused = anna.get("/v1/catalogue")

        assert codes == [200, 200, 200, 429]
        assert refused.json()["type"] == "urn:orderly:problem:too-many-calls"
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert api.client("ben").get("/v1/catalogue").status_code == 200
        assert anna.get("/healthz").status_code == 200

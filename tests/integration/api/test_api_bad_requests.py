"""What the API refuses: with a problem that says what is wrong, and with nothing half recorded."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Check = Callable[[], None]
ORDER = {"model": "project-bucket", "inputs": {"project": "apollo"}}


def problem_of(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:orderly:problem:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def pointers(problem: dict[str, Any]) -> set[tuple[str | None, str]]:
    return {(part.get("pointer"), part["code"]) for part in problem["errors"]}


def test_an_unknown_model_is_404_and_its_neighbour_is_named(anna: httpx.Client, nothing_recorded: Check) -> None:
    answer = anna.post("/v1/requests", json={"model": "project-buckte"})

    assert "project-bucket" in problem_of(answer, 404, "unknown-model")["detail"]
    nothing_recorded()


@pytest.mark.parametrize("body", [b"{", b'{"model": NaN}', b'{"model": "a", "model": "b"}', b"\xff", b"[" * 500_000])
def test_malformed_json_is_400(anna: httpx.Client, nothing_recorded: Check, body: bytes) -> None:
    answer = anna.post("/v1/requests", content=body, headers={"Content-Type": "application/json"})

    problem_of(answer, 400, "malformed-json")
    nothing_recorded()


def test_json_is_read_also_when_the_caller_does_not_say_that_it_is_json(anna: httpx.Client) -> None:
    answer = anna.post("/v1/requests", content=json.dumps(ORDER))

    assert answer.status_code == 202


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_another_media_type_is_415(anna: httpx.Client, nothing_recorded: Check, media_type: str) -> None:
    answer = anna.post("/v1/requests", content=json.dumps(ORDER), headers={"Content-Type": media_type})

    problem_of(answer, 415, "not-json")
    nothing_recorded()


def test_a_compressed_body_is_415_and_never_unpacked(anna: httpx.Client, nothing_recorded: Check) -> None:
    bomb = gzip.compress(b" " * 50_000_000)

    answer = anna.post("/v1/requests", content=bomb, headers={"Content-Encoding": "gzip"})

    problem_of(answer, 415, "not-json")
    nothing_recorded()


def test_each_wrong_missing_and_unknown_input_has_its_pointer(anna: httpx.Client, nothing_recorded: Check) -> None:
    inputs = {"region": "moon", "days": "ninety", "colour": "red", "a/b~c": 1}

    problem = problem_of(
        anna.post("/v1/requests", json={"model": "project-bucket", "inputs": inputs}), 422, "invalid-inputs"
    )

    assert pointers(problem) == {
        ("/inputs/project", "missing"),
        ("/inputs/region", "value"),
        ("/inputs/days", "type"),
        ("/inputs/colour", "unknown"),
        ("/inputs/a~1b~0c", "unknown"),
    }
    nothing_recorded()


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        pytest.param({}, {("/model", "missing")}, id="nothing"),
        pytest.param([], {("", "model_attributes_type")}, id="a list"),
        pytest.param("order", {("", "model_attributes_type")}, id="a text"),
        pytest.param(None, {("", "missing")}, id="null"),
        pytest.param({"model": 5}, {("/model", "string_type")}, id="model no text"),
        pytest.param({"model": "a\nb"}, {("/model", "string_pattern_mismatch")}, id="model of two lines"),
        pytest.param({"model": "x", "inputs": []}, {("/inputs", "dict_type")}, id="inputs no object"),
        pytest.param({"model": "x", "color": "red"}, {("/color", "extra_forbidden")}, id="unknown member"),
        pytest.param(
            {"model": "x", "source": {"system": "rt", "id": "1", "url": "javascript:alert(1)"}},
            {("/source/url", "string_pattern_mismatch")},
            id="a link that runs something",
        ),
    ],
)
def test_an_order_of_the_wrong_shape_is_422(
    anna: httpx.Client, nothing_recorded: Check, body: Any, wrong: set[tuple[str, str]]
) -> None:
    answer = anna.post("/v1/requests", json=body)

    assert pointers(problem_of(answer, 422, "invalid-request")) == wrong
    nothing_recorded()


def test_a_body_over_one_mebibyte_is_413_by_its_declared_length(anna: httpx.Client, nothing_recorded: Check) -> None:
    body = {**ORDER, "inputs": {"project": "apollo", "note": "x" * 1024 * 1024}}

    answer = anna.post("/v1/requests", json=body)

    problem_of(answer, 413, "too-large")
    nothing_recorded()


def test_a_body_over_one_mebibyte_is_413_also_when_it_is_streamed(anna: httpx.Client, nothing_recorded: Check) -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"model": "project-bucket", "inputs": {"project": "apollo", "note": "'
        for _ in range(40):
            yield b"x" * 64 * 1024

    try:
        answer = anna.post("/v1/requests", content=endless())
    except httpx.WriteError:
        pass  # the server has hung up on a sender who would not stop
    else:
        problem_of(answer, 413, "too-large")
    nothing_recorded()


def test_a_body_of_just_under_one_mebibyte_is_taken_and_arrives_exactly(anna: httpx.Client) -> None:
    note = "ü" * 500_000
    inputs = {"project": "apollo", "note": note}

    answer = anna.post("/v1/requests", content=json.dumps({**ORDER, "inputs": inputs}, ensure_ascii=False).encode())

    assert answer.status_code == 202
    assert (
        anna.get(answer.json()["links"]["self"].removeprefix("https://orderly.example.org")).json()["inputs"]["note"]
        == note
    )


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Authorization": "Bearer"}, id="no key"),
        pytest.param({"Authorization": "Basic YTpi"}, id="another scheme"),
        pytest.param({"Authorization": "Bearer ord_000000000000_" + "A" * 43}, id="unknown"),
        pytest.param({"X-API-Key": "k" * 5000}, id="far too long"),
        pytest.param({"X-API-Key": "' OR 1=1 --"}, id="an injection"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/catalogue"),
        ("GET", "/v1/catalogue/project-bucket"),
        ("POST", "/v1/requests"),
        ("GET", "/v1/requests"),
        ("GET", "/v1/requests/0b8c6b1e-3f0e-4a59-9a52-5f0f3f6f3f10"),
        ("POST", "/v1/requests/0b8c6b1e-3f0e-4a59-9a52-5f0f3f6f3f10:retry"),
    ],
)
def test_without_a_valid_key_everything_is_401(
    api: Any, nothing_recorded: Check, headers: dict[str, str], method: str, path: str
) -> None:
    answer = api.connection(headers).request(method, path, content=b"{ no json at all")

    problem_of(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    nothing_recorded()


def test_a_revoked_key_is_401(api: Any, anna: httpx.Client) -> None:
    assert anna.get("/v1/catalogue").status_code == 200
    api.application.records.run(lambda tx: [tx.api_keys.revoke(key.id) for key in tx.api_keys.list()])

    problem_of(anna.get("/v1/catalogue"), 401, "unauthenticated")


def test_a_key_without_the_scope_is_403_and_told_which(api: Any, nothing_recorded: Check) -> None:
    reader = api.client("rita", "requests:read")
    before = api.recorded()

    assert "requests:create" in problem_of(reader.post("/v1/requests", json=ORDER), 403, "not-allowed")["detail"]
    assert "catalogue:read" in problem_of(reader.get("/v1/catalogue"), 403, "not-allowed")["detail"]
    assert api.recorded() == before


def test_ordering_for_somebody_else_needs_a_scope_of_its_own(
    api: Any, anna: httpx.Client, nothing_recorded: Check
) -> None:
    answer = anna.post("/v1/requests", json={**ORDER, "requested_for": "ben"})

    assert "requests:for-others" in problem_of(answer, 403, "not-allowed")["detail"]
    nothing_recorded()


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there", "ümlaut"])
def test_an_idempotency_key_that_could_not_be_matched_again_is_422(
    anna: httpx.Client, nothing_recorded: Check, key: str
) -> None:
    answer = anna.post("/v1/requests", json=ORDER, headers=[(b"Idempotency-Key", key.encode())])

    problem = problem_of(answer, 422, "invalid-request")
    assert problem["errors"][0]["parameter"] == "Idempotency-Key"
    nothing_recorded()


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/request", "/v1/requests/", "/v1/requests/x/y", "/v2/requests", "/..%2f"]
)
def test_an_address_that_is_not_there_is_a_404_problem(anna: httpx.Client, path: str) -> None:
    problem_of(anna.get(path), 404, "no-such-route")


def test_a_method_that_is_not_taken_is_a_405_problem_that_names_those_that_are(anna: httpx.Client) -> None:
    answer = anna.delete("/v1/catalogue")

    problem_of(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("request_id", ["0b8c6b1e-3f0e-4a59-9a52-5f0f3f6f3f10", "1", "%00", "' OR 1=1", "x" * 3000])
def test_a_request_that_is_not_there_is_404(anna: httpx.Client, request_id: str) -> None:
    problem_of(anna.get(f"/v1/requests/{request_id}"), 404, "unknown-request")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("state=done", "state"),
        ("limit=0", "limit"),
        ("limit=1000000", "limit"),
        ("limit=many", "limit"),
        ("page_token=zzz", "page_token"),
        ("page_token=" + "x" * 600, "page_token"),
        ("text=%00", "text"),
        ("model=%00", "model"),
    ],
)
def test_a_wrong_parameter_is_422_and_named(anna: httpx.Client, query: str, parameter: str) -> None:
    problem = problem_of(anna.get(f"/v1/requests?{query}"), 422, "invalid-request")

    assert [part["parameter"] for part in problem["errors"]] == [parameter]


def test_what_is_not_http_gets_an_answer_and_the_server_goes_on(api: Any, anna: httpx.Client) -> None:
    with socket.create_connection(api.url.removeprefix("http://").split(":")) as raw:
        raw.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        answer = raw.recv(1000)

    assert b"400" in answer
    assert anna.get("/v1/catalogue").status_code == 200


def test_an_unavailable_database_is_503_with_when_to_try_again(api: Any, anna: httpx.Client) -> None:
    records = api.application.settings.state / "records.db"
    for file in records.parent.glob("records.db*"):
        file.rename(file.with_name(f"away-{file.name}"))
    api.application.records.close()

    answer = anna.post("/v1/requests", json=ORDER)

    problem_of(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    problem_of(api.connection().get("/readyz"), 503, "unavailable")
    assert api.connection().get("/healthz").status_code == 200


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | _VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_the_server_fail(anna: httpx.Client, body: bytes) -> None:
    answer = anna.post("/v1/requests", content=body)

    assert answer.status_code in {400, 422}
    assert "Traceback" not in answer.text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(inputs=st.dictionaries(st.sampled_from(["project", "region", "days", "token", "note", "x"]), _VALUES))
def test_no_inputs_make_the_server_fail(anna: httpx.Client, inputs: dict[str, Any]) -> None:
    answer = anna.post("/v1/requests", content=json.dumps({"model": "project-bucket", "inputs": inputs}))

    assert answer.status_code in {202, 400, 422}

"""HTTP calls to a real server on the loopback address."""

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from connectors.fixed import FixedConnector
from connectors.http_call import connector
from connectors.registry import ConnectorContext
from request_models.actions import ActionFailed, ActionResult, EffectClass, ErrorClass, Outcome, Repeating
from request_models.json_values import JsonValue
from request_models.value_types import check_value
from serving import Quiet, serving

Run = Callable[..., ActionResult]
Failing = Callable[..., ActionFailed]


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass
class Server:
    """What the server answers to each path, and what it was sent."""

    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            made.seen.append(
                {
                    "method": self.command,
                    "path": self.path,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "body": self.rfile.read(length),
                }
            )
            reply = made.replies.get(self.path.partition("?")[0], Reply(404, b"nothing here"))
            if reply.hang_up:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - names http.server looks for

    with serving(Handler) as made.port:
        yield made


@pytest.fixture
def http(tmp_path: Path) -> FixedConnector:
    return connector({}, ConnectorContext(state=tmp_path))


def result_of(answer: ActionResult) -> dict[str, Any]:
    assert isinstance(answer.result, dict)
    return answer.result


def test_json_is_read_as_json(http: FixedConnector, run: Run, server: Server) -> None:
    server.replies["/a"] = Reply(body=b'{"n": [1, 2]}', headers={"Content-Type": "application/json; charset=utf-8"})
    answer = run(http, "http.get", {"url": server.url("/a?x=1"), "query": {"q": "a b", "n": [1, True]}})
    assert answer.outcome is Outcome.READ
    result = result_of(answer)
    assert (result["status"], result["json"], result["truncated"]) == (200, {"n": [1, 2]}, False)
    assert server.seen[0]["path"] == "/a?x=1&q=a+b&n=1&n=true"
    action = http.find("http.get")
    assert action is not None
    assert check_value(action.spec.result, answer.result) == []


@pytest.mark.parametrize(
    "body", [b"not json", b'{"n": NaN}', b'"\\ud800"', b"[" * 5000 + b"]" * 5000, b"\xff\xfe", b""]
)
def test_what_cannot_be_recorded_as_json_stays_text(
    http: FixedConnector, run: Run, server: Server, body: bytes
) -> None:
    server.replies["/a"] = Reply(body=body, headers={"Content-Type": "application/json"})
    result = result_of(run(http, "http.get", {"url": server.url("/a")}))
    assert "json" not in result
    assert isinstance(result["text"], str)


@pytest.mark.parametrize(
    ("arguments", "sent", "content_type"),
    [
        ({"json": {"name": "ä", "n": None}}, '{"name": "ä", "n": null}'.encode(), "application/json"),
        ({"json": None}, b"null", "application/json"),
        ({"form": {"a": "b&c", "d": ["1", "2"]}}, b"a=b%26c&d=1&d=2", "application/x-www-form-urlencoded"),
        ({"body": "{{ 7*7 }}"}, b"{{ 7*7 }}", "text/plain; charset=utf-8"),
        ({"body": "<x/>", "headers": {"content-type": "text/xml"}}, b"<x/>", "text/xml"),
    ],
)
def test_what_is_given_is_what_is_sent(
    http: FixedConnector, run: Run, server: Server, arguments: dict[str, JsonValue], sent: bytes, content_type: str
) -> None:
    server.replies["/a"] = Reply(201)
    answer = run(http, "http.post", {"url": server.url("/a"), **arguments})
    assert answer.outcome is Outcome.MADE
    assert server.seen[0]["body"] == sent
    assert server.seen[0]["headers"]["content-type"] == content_type


@pytest.mark.parametrize("method", ["post", "patch"])
def test_what_cannot_be_repeated_carries_the_effects_token(
    http: FixedConnector, run: Run, server: Server, method: str
) -> None:
    server.replies["/a"] = Reply()
    token = uuid4()
    run(http, f"http.{method}", {"url": server.url("/a")}, token=token)
    run(http, f"http.{method}", {"url": server.url("/a"), "headers": {"idempotency-key": "mine"}}, token=token)
    assert [seen["headers"]["idempotency-key"] for seen in server.seen] == [str(token), "mine"]


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_what_can_be_repeated_needs_no_token(http: FixedConnector, run: Run, server: Server, method: str) -> None:
    server.replies["/a"] = Reply()
    run(http, f"http.{method}", {"url": server.url("/a")})
    assert "idempotency-key" not in server.seen[0]["headers"]


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("get", 404, ErrorClass.REJECTED),
        ("get", 403, ErrorClass.PERMANENT),
        ("get", 408, ErrorClass.TRANSIENT),
        ("get", 429, ErrorClass.TRANSIENT),
        ("get", 503, ErrorClass.TRANSIENT),
        ("put", 500, ErrorClass.UNKNOWN),
        ("delete", 502, ErrorClass.UNKNOWN),
        ("post", 501, ErrorClass.PERMANENT),
        ("delete", 404, ErrorClass.REJECTED),
        ("post", 422, ErrorClass.REJECTED),
        ("post", 401, ErrorClass.PERMANENT),
        ("post", 425, ErrorClass.TRANSIENT),
        ("post", 429, ErrorClass.TRANSIENT),
        ("post", 408, ErrorClass.UNKNOWN),
        ("post", 500, ErrorClass.UNKNOWN),
        ("patch", 503, ErrorClass.UNKNOWN),
        ("post", 302, ErrorClass.REJECTED),
    ],
)
def test_an_error_is_sorted_by_status_and_method(
    http: FixedConnector, failing: Failing, server: Server, method: str, status: int, expected: ErrorClass
) -> None:
    server.replies["/a"] = Reply(status, b"because\n of this", headers={"Location": "/b"})
    failure = failing(http, f"http.{method}", {"url": server.url("/a?key=hush")})
    assert (failure.error_class, failure.code) == (expected, f"HTTP {status}")
    assert f"{method.upper()} {server.url('/a')}: " in str(failure)
    assert "hush" not in str(failure)


def test_an_error_quotes_the_answer_but_no_header_that_was_sent(
    http: FixedConnector, failing: Failing, server: Server
) -> None:
    server.replies["/a"] = Reply(400, b"bad token hush-hush, and no name given")
    failure = failing(http, "http.get", {"url": server.url("/a"), "headers": {"Authorization": "hush-hush"}})
    assert "no name given" in str(failure)
    assert "hush-hush" not in str(failure)


@pytest.mark.parametrize(("method", "status"), [("get", 404), ("get", 503), ("post", 409), ("put", 500)])
def test_any_answer_is_a_result_where_it_is_asked_for(
    http: FixedConnector, run: Run, server: Server, method: str, status: int
) -> None:
    server.replies["/a"] = Reply(status, b"{}", {"Content-Type": "application/problem+json"})
    answer = run(http, f"http.{method}", {"url": server.url("/a"), "any_status": True})
    assert result_of(answer)["status"] == status
    if status < 500:
        assert answer.outcome is Outcome.READ


def test_a_server_error_to_a_post_stays_unknown_whatever_is_asked_for(
    http: FixedConnector, failing: Failing, server: Server
) -> None:
    server.replies["/a"] = Reply(500)
    assert failing(http, "http.post", {"url": server.url("/a"), "any_status": True}).error_class is ErrorClass.UNKNOWN


UNANSWERED = [("get", ErrorClass.TRANSIENT), ("put", ErrorClass.UNKNOWN), ("post", ErrorClass.UNKNOWN)]


@pytest.mark.parametrize(("method", "expected"), UNANSWERED)
def test_a_connection_lost_before_the_answer(
    http: FixedConnector, failing: Failing, server: Server, method: str, expected: ErrorClass
) -> None:
    server.replies["/a"] = Reply(hang_up=True)
    assert failing(http, f"http.{method}", {"url": server.url("/a")}).error_class is expected


@pytest.mark.parametrize(("method", "expected"), UNANSWERED)
def test_a_server_that_never_answers_is_left_after_the_timeout(
    http: FixedConnector, failing: Failing, method: str, expected: ErrorClass
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        failure = failing(http, f"http.{method}", {"url": url}, timeout_seconds=0.5)
    assert (failure.error_class, failure.code) == (expected, "ReadTimeout")


@pytest.mark.parametrize("method", ["get", "put", "post", "delete"])
def test_what_nobody_listened_to_had_no_effect(http: FixedConnector, failing: Failing, method: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = failing(http, f"http.{method}", {"url": f"http://127.0.0.1:{port}/"})
    assert (failure.error_class, failure.code) == (ErrorClass.TRANSIENT, "ConnectError")


def test_an_answer_that_breaks_off_half_way_leaves_the_outcome_unknown(http: FixedConnector, failing: Failing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=half_an_answer, args=(listener,))
        thread.start()
        failure = failing(http, "http.post", {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/", "json": 1})
        thread.join()
    assert failure.error_class is ErrorClass.UNKNOWN


def half_an_answer(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf")


def test_a_promise_to_honour_the_key_makes_a_call_take_a_token(http: FixedConnector) -> None:
    for name, effect in (("post", EffectClass.TAKES_TOKEN), ("patch", EffectClass.TAKES_TOKEN)):
        action = http.find(f"http.{name}")
        assert action is not None
        arguments: dict[str, JsonValue] = {"url": "http://example.org/", "honours_key_for": "P1D"}
        assert action.spec.per_call(arguments) == Repeating(effect, timedelta(days=1))
        assert action.spec.per_call({"url": "http://example.org/"}) == Repeating(EffectClass.NOT_REPEATABLE)
        assert check_value(action.spec.arguments, arguments) == []
        assert check_value(action.spec.arguments, {**arguments, "honours_key_for": "a day"})


@pytest.mark.parametrize("safe", [True, False])
def test_the_message_says_whether_it_is_sent_again(
    http: FixedConnector, failing: Failing, server: Server, safe: bool
) -> None:
    server.replies["/a"] = Reply(500)
    promise: dict[str, JsonValue] = {"honours_key_for": "PT1H"} if safe else {}
    message = str(failing(http, "http.post", {"url": server.url("/a"), **promise}))
    assert ("sending exactly the same again is safe" in message) is safe
    assert ("look there before anything is repeated" in message) is not safe


@pytest.mark.parametrize("resent", [True, False])
def test_a_key_that_is_still_worked_on_is_waited_for(
    http: FixedConnector, failing: Failing, server: Server, resent: bool
) -> None:
    server.replies["/a"] = Reply(409)
    failure = failing(http, "http.post", {"url": server.url("/a"), "honours_key_for": "PT1H"}, resent=resent)
    assert failure.error_class is (ErrorClass.TRANSIENT if resent else ErrorClass.REJECTED)


@pytest.mark.parametrize("status", [404, 410])
def test_a_deletion_sent_again_that_finds_nothing_has_reached_its_aim(
    http: FixedConnector, run: Run, failing: Failing, server: Server, status: int
) -> None:
    server.replies["/a"] = Reply(status)
    assert failing(http, "http.delete", {"url": server.url("/a")}).error_class is ErrorClass.REJECTED
    answer = run(http, "http.delete", {"url": server.url("/a")}, resent=True)
    assert (answer.outcome, result_of(answer)["status"]) == (Outcome.CHANGED, status)


def test_an_answer_beyond_the_bound_fails_a_read_and_is_cut_for_the_rest(
    tmp_path: Path, run: Run, failing: Failing, server: Server
) -> None:
    http = connector({"max_body_bytes": 100}, ConnectorContext(state=tmp_path))
    server.replies["/a"] = Reply(body=b"1" * 101, headers={"Content-Type": "application/json"})
    assert failing(http, "http.get", {"url": server.url("/a")}).code == "AnswerTooLong"
    result = result_of(run(http, "http.post", {"url": server.url("/a")}))
    assert (len(result["text"]), result["truncated"], "json" in result) == (100, True, False)


def test_a_packed_answer_is_bounded_by_what_it_unpacks_to(tmp_path: Path, failing: Failing, server: Server) -> None:
    http = connector({"max_body_bytes": 1000}, ConnectorContext(state=tmp_path))
    server.replies["/a"] = Reply(body=gzip.compress(b"0" * 1_000_000), headers={"Content-Encoding": "gzip"})
    assert failing(http, "http.get", {"url": server.url("/a")}).code == "AnswerTooLong"


def test_a_read_follows_redirects_on_its_host(http: FixedConnector, run: Run, server: Server) -> None:
    server.replies["/a"] = Reply(302, headers={"Location": "/b?z=1"})
    server.replies["/b"] = Reply(body=b"here")
    answer = run(http, "http.get", {"url": server.url("/a"), "query": {"q": "1"}, "headers": {"X-Key": "hush"}})
    assert result_of(answer)["text"] == "here"
    assert server.seen[1]["path"] == "/b?z=1"
    assert server.seen[1]["headers"]["x-key"] == "hush"


def test_a_redirect_to_another_host_is_refused_by_default(
    http: FixedConnector, failing: Failing, server: Server
) -> None:
    server.replies["/a"] = Reply(302, headers={"Location": server.url("/b", host="localhost")})
    failure = failing(http, "http.get", {"url": server.url("/a")})
    assert failure.error_class is ErrorClass.REJECTED
    assert len(server.seen) == 1


def test_a_redirect_to_another_host_is_told_no_header_of_ours(http: FixedConnector, run: Run, server: Server) -> None:
    server.replies["/a"] = Reply(302, headers={"Location": server.url("/b", host="localhost")})
    server.replies["/b"] = Reply(body=b"here")
    arguments = {"url": server.url("/a"), "redirects": "any", "headers": {"Authorization": "hush"}}
    assert result_of(run(http, "http.get", arguments))["text"] == "here"
    assert "authorization" not in server.seen[1]["headers"]


def test_redirects_that_go_round_end(http: FixedConnector, failing: Failing, server: Server) -> None:
    server.replies["/a"] = Reply(302, headers={"Location": "/a"})
    assert failing(http, "http.get", {"url": server.url("/a")}).code == "TooManyRedirects"
    assert len(server.seen) == 6


def test_a_redirect_out_of_http_is_refused(http: FixedConnector, failing: Failing, server: Server) -> None:
    server.replies["/a"] = Reply(302, headers={"Location": "file:///etc/passwd"})
    assert failing(http, "http.get", {"url": server.url("/a")}).code == "ArgumentRefused"


def test_no_cookie_passes_from_one_call_to_the_next(http: FixedConnector, run: Run, server: Server) -> None:
    server.replies["/a"] = Reply(headers={"Set-Cookie": "session=hush; Path=/"})
    for _ in range(2):
        run(http, "http.get", {"url": server.url("/a")})
    assert all("cookie" not in seen["headers"] for seen in server.seen)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Evil: 1"},
        {"X-A": "b\nX-Evil: 1"},
        {"X-A\r\nX-Evil": "1"},
        {"X-A: 1\r\nX-Evil": "1"},
        {"X-A": "b\x00"},
        {"X-A": "ä"},
        {"": "1"},
        {"Host": "evil.example"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
    ],
)
def test_a_header_cannot_smuggle(
    http: FixedConnector, failing: Failing, server: Server, headers: dict[str, JsonValue]
) -> None:
    failure = failing(http, "http.get", {"url": server.url("/a"), "headers": headers})
    assert (failure.error_class, failure.code) == (ErrorClass.REJECTED, "ArgumentRefused")
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
        "http://",
        "//127.0.0.1/",
        "127.0.0.1/",
        "http://user:hush@127.0.0.1/",
        "http://127.0.0.1:99999999/",
        "http://127.0.0.1/\r\nX-Evil: 1",
        "",
    ],
)
def test_an_address_that_is_no_plain_http_address_is_refused(http: FixedConnector, failing: Failing, url: str) -> None:
    failure = failing(http, "http.get", {"url": url})
    assert (failure.error_class, failure.code) == (ErrorClass.REJECTED, "ArgumentRefused")
    assert "hush" not in str(failure)


def test_two_bodies_are_refused(http: FixedConnector, failing: Failing, server: Server) -> None:
    failure = failing(http, "http.post", {"url": server.url("/a"), "json": 1, "body": "x"})
    assert failure.code == "ArgumentRefused"
    assert server.seen == []


def test_hosts_can_be_limited(tmp_path: Path, run: Run, failing: Failing, server: Server) -> None:
    http = connector({"allow": ["*.example.org", "127.0.0.1"]}, ConnectorContext(state=tmp_path))
    server.replies["/a"] = Reply(body=json.dumps({}).encode())
    run(http, "http.get", {"url": server.url("/a")})
    failure = failing(http, "http.get", {"url": server.url("/a", host="localhost")})
    assert "connectors.http.allow" in str(failure)
    assert len(server.seen) == 1

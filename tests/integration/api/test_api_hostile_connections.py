"""Connections that want to keep the server busy: dripped requests, huge headers, bombs. It goes on for others."""

import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest

from flows.api.connections import ImpatientProtocol

ORDER = b'{"model": "project-bucket", "inputs": {"project": "apollo"}}'


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real deadlines are too long to wait for; what they do does not depend on how long they are."""
    monkeypatch.setattr(ImpatientProtocol, "header_seconds", 1.0)
    monkeypatch.setattr(ImpatientProtocol, "body_seconds", 1.0)


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A hundred kilobytes that would be a hundred megabytes."""
    return zlib.compress(b" " * 100_000_000)


@pytest.fixture
def connect(anna: httpx.Client) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        opened.append(socket.create_connection((anna.base_url.host, anna.base_url.port or 80), timeout=20))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def answer_to(connection: socket.socket, sent: bytes) -> bytes:
    """All that comes until the server ends the connection."""
    with closing(connection):
        received = b""
        try:
            connection.sendall(sent)
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
        return received


def drip(connection: socket.socket, text: bytes) -> bool:
    """Send a byte now and then, for ten seconds at most; whether the server ended the connection."""
    deadline = time.monotonic() + 10
    connection.settimeout(0.1)
    for number in range(len(text)):
        try:
            connection.sendall(text[number : number + 1])
            if connection.recv(1) == b"":
                return True
        except TimeoutError:
            pass
        except ConnectionError:
            return True
        if time.monotonic() > deadline:
            break
    return False


def head(anna: httpx.Client, *more: str) -> bytes:
    lines = ["POST /v1/requests HTTP/1.1", "Host: x", f"Authorization: {anna.headers['authorization']}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.usefixtures("impatient")
class TestDrippedRequests:
    """A caller that takes its time loses the connection; others do not notice."""

    def test_headers_that_never_end(self, connect: Callable[[], socket.socket], anna: httpx.Client) -> None:
        dripping = [connect() for _ in range(50)]
        for one in dripping:
            one.sendall(b"GET /v1/catalogue HTTP/1.1\r\nX-")

        assert anna.get("/v1/catalogue").status_code == 200
        assert drip(dripping[0], b"a" * 200)
        assert all(one.recv(1) == b"" for one in dripping[1:])

    def test_a_connection_on_which_nothing_comes(self, connect: Callable[[], socket.socket]) -> None:
        assert connect().recv(1) == b""

    def test_a_body_that_never_ends(
        self, connect: Callable[[], socket.socket], anna: httpx.Client, nothing_recorded: Callable[[], None]
    ) -> None:
        connection = connect()
        connection.sendall(head(anna, "Content-Length: 1000"))

        assert drip(connection, ORDER + b" " * 900)
        nothing_recorded()

    def test_a_second_request_on_the_same_connection(
        self, connect: Callable[[], socket.socket], anna: httpx.Client
    ) -> None:
        connection = connect()
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")

        assert drip(connection, b"GET /healthz HTTP/1.1\r\nX-" + b"a" * 200)

    def test_an_answer_that_takes_longer_is_waited_for(self, anna: httpx.Client) -> None:
        answer = anna.post("/v1/requests", content=ORDER, headers={"Prefer": "wait=3"})

        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=3"


def test_headers_beyond_all_measure_are_refused(connect: Callable[[], socket.socket]) -> None:
    answer = answer_to(connect(), b"GET /v1/catalogue HTTP/1.1\r\nX-Large: " + b"a" * 40_000 + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400") or answer == b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_bomb_is_not_unpacked(
    connect: Callable[[], socket.socket],
    anna: httpx.Client,
    nothing_recorded: Callable[[], None],
    bomb: bytes,
    encoding: str,
) -> None:
    answer = answer_to(
        connect(),
        head(anna, f"Content-Encoding: {encoding}", f"Content-Length: {len(bomb)}", "Connection: close") + bomb,
    )

    assert answer.startswith(b"HTTP/1.1 415")
    nothing_recorded()


def test_a_body_in_countless_chunks_is_refused(
    connect: Callable[[], socket.socket], anna: httpx.Client, nothing_recorded: Callable[[], None]
) -> None:
    answer = answer_to(connect(), head(anna, "Transfer-Encoding: chunked") + b"1\r\n \r\n" * 400_000 + b"0\r\n\r\n")

    assert not answer.startswith(b"HTTP/1.1 2")
    nothing_recorded()


@pytest.mark.parametrize(
    "smuggled",
    ["Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: -1"],
)
def test_a_body_of_two_lengths_is_refused(
    connect: Callable[[], socket.socket],
    anna: httpx.Client,
    nothing_recorded: Callable[[], None],
    smuggled: str,
) -> None:
    answer = answer_to(connect(), head(anna, smuggled, "Connection: close") + b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 4")
    nothing_recorded()


def test_nested_json_is_refused_wherever_it_stands(anna: httpx.Client, nothing_recorded: Callable[[], None]) -> None:
    for deep in (b"[" * 400_000, b'{"a":' * 200_000, b'{"model":"x","inputs":' + b"[" * 1000 + b"]" * 1000 + b"}"):
        answer = anna.post("/v1/requests", content=deep)
        assert answer.status_code == 400
    nothing_recorded()

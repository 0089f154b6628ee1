"""Random requests of every kind at the real `orderly api`: it never fails, never prints a traceback, never grows.

Some in CI; as many as ORDERLY_FUZZ_REQUESTS says elsewhere.
"""

import json
import os
import random
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from flows.preparation import prepare
from flows.settings import load_settings
from flows.wiring import Application
from waiting import wait_until

COUNT = int(os.environ.get("ORDERLY_FUZZ_REQUESTS", "2000"))
MOST_GROWTH = 32 * 1024 * 1024
"""Bytes between the first quarter, when caches and threads are there, and the end."""

VERBS = ("retry", "cancel", "undo", "complete", "skip", "fix", "assign", "validate", "match", "nothing")
SCALARS: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    10**250,
    1e308,
    "",
    "\0",
    "é\ud83d\ude00",
    "a" * 3000,
    "{{ 7 }}",
    [],
    {},
)


@pytest.fixture
def server(tmp_path: Path, orderly_program: Path, make_plan: Any) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    state = tmp_path / "state"
    settings = load_settings(state=state)
    prepare(settings)
    with Application.open(settings) as application:
        plan = make_plan()
        application.records.run(lambda tx: (tx.plans.put(plan), tx.publications.put(plan.model, plan.digest)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "ORDERLY_STATE": str(state), "ORDERLY_IDENTITY__RATE__PER_SECOND": "0"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [orderly_program, "api", "--port", str(port)], env=environment, stderr=log, stdout=log
        )
    try:
        wait_until("the API answers", lambda: _answers(port), 60)
        yield process, port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(120 + COUNT // 10)
def test_random_requests_neither_break_it_nor_make_it_grow(
    server: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, port = server
    key = (tmp_path / "state" / "keys" / "local-api-key").read_text().strip()
    chance = random.Random(int(os.environ.get("ORDERLY_FUZZ_SEED", "20261125")))
    ids = ["00000000-0000-4000-8000-000000000000"]
    statuses: dict[int, int] = {}
    settled = 0
    with Line(port) as line:
        for number in range(COUNT):
            status, body = line.ask(a_request(chance, key, ids))
            statuses[status] = statuses.get(status, 0) + 1
            assert status < 500, (number, status, body[:300])
            if status == 202 and (found := _id_in(body)) and len(ids) < 50:
                ids.append(found)
            if number == COUNT // 4:
                settled = _memory(process.pid)
    grown = _memory(process.pid) - settled

    assert process.poll() is None
    assert {202, 400, 401, 404} <= statuses.keys(), statuses
    assert grown < MOST_GROWTH, f"{grown} bytes more: {statuses}"
    assert b"Traceback" not in (tmp_path / "log").read_bytes()
    print(f"{COUNT} requests, {grown / 1024:.0f} KiB more, {sorted(statuses.items())}")  # noqa: T201 - the measure


class Line:
    """A connection that is made again when the server ends it; 0 for no answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        try:
            self._socket.sendall(request)
            return self._answer(self._socket)
        except ConnectionError:
            self._hang_up()
            return 0, b""

    def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                self._hang_up()
                return 0, b""
            head += part
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(one.split(b":")[1]) for one in lines if one.startswith(b"content-length:")), None)
        while length is not None and len(body) < length:
            body += connection.recv(65536)
        if length is None or b"connection: close" in lines:
            self._hang_up()
        return int(lines[0].split(b" ")[1]), body

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()


def a_request(chance: random.Random, key: str, ids: list[str]) -> bytes:
    method = chance.choice(("GET", "POST", "POST", "POST", "PUT", "DELETE", "OPTIONS", "X-ANY"))
    body = a_body(chance) if method != "GET" else b""
    headers = [b"Host: x", b"Content-Length: %d" % len(body)]
    match chance.randrange(10):
        case 0:
            headers.append(b"Authorization: " + some_bytes(chance, 60))
        case 1:
            headers.append(b"Authorization: Bearer " + b".".join(some_bytes(chance, 40) for _ in range(3)))
        case 2:
            headers.append(b"X-API-Key: ord_" + some_bytes(chance, 50))
        case _:
            headers.append(f"Authorization: Bearer {key}".encode())
    names = (
        b"Idempotency-Key",
        b"If-Match",
        b"If-None-Match",
        b"Accept-Language",
        b"Last-Event-ID",
        b"Prefer",
        b"X-Y",
        b"Content-Type",
        b"Content-Encoding",
        b"Range",
        b"Expect",
        b"Origin",
        b"Cookie",
        b"X-Forwarded-For",
    )
    headers += [name + b": " + some_bytes(chance, 200) for name in chance.sample(names, chance.randrange(3))]
    return b"\r\n".join([f"{method} {a_path(chance, ids)} HTTP/1.1".encode(), *headers, b"", body])


def a_path(chance: random.Random, ids: list[str]) -> str:
    one, verb = chance.choice(ids), chance.choice(VERBS)
    query = "&".join(
        f"{name}={chance.choice(('', '1', '%00', '%ff', 'a' * 300, '-1', '2026-11-25T10:00:00Z', 'open'))}"
        for name in chance.sample(("text", "limit", "page_token", "state", "model", "after", "submitted_from", "q"), 2)
    )
    wild = "".join(chance.choice("/:%2Ea-._~!$&'()*+,;=@0") for _ in range(chance.randrange(40)))
    return chance.choice(
        (
            "/v1/requests",
            "/v1/requests",
            f"/v1/requests?{query}",
            f"/v1/requests/{one}",
            f"/v1/requests/{one}:{verb}",
            f"/v1/requests/{one}/{chance.choice(('events', 'steps', 'logs', 'outputs', 'audit', 'x'))}?{query}",
            f"/v1/requests:{verb}",
            f"/v1/catalogue:{verb}",
            f"/v1/catalogue?{query}",
            "/v1/catalogue/project-bucket",
            f"/v1/tasks?{query}",
            f"/v1/tasks/{one}:{verb}",
            "/v1/events",
            "/healthz",
            "/openapi.json",
            f"/{wild}",
        )
    )


def a_body(chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(300)))
    if chance.random() < 0.02:
        return b"[" * chance.randrange(100_000)
    names = ("model", "inputs", "requested_for", "source", "not_before", "why", "leave", "text", "step", "event", "x")
    body: dict[str, Any] = {name: a_value(chance, 0) for name in chance.sample(names, chance.randrange(5))}
    if chance.random() < 0.7:
        body |= {
            "model": "project-bucket",
            "inputs": {"project": "apollo", **({"note": a_value(chance, 2)} if chance.random() < 0.3 else {})},
        }
    if chance.random() < 0.5:
        body = {name: value for name, value in body.items() if name in {"model", "inputs"}}
    written = bytearray(json.dumps(body).encode())
    if chance.random() < 0.15 and written:
        written[chance.randrange(len(written))] = chance.randrange(256)
    return bytes(written)


def a_value(chance: random.Random, depth: int) -> Any:
    match chance.randrange(4 if depth < 4 else 2):
        case 2:
            return [a_value(chance, depth + 1) for _ in range(chance.randrange(4))]
        case 3:
            return {str(chance.choice(SCALARS))[:50]: a_value(chance, depth + 1) for _ in range(chance.randrange(4))}
        case _:
            return chance.choice(SCALARS)


def some_bytes(chance: random.Random, longest: int) -> bytes:
    signs = bytes(range(32, 256)) if chance.random() < 0.5 else b'abcXYZ019=,;.-_*"/ '
    return bytes(chance.choice(signs) for _ in range(chance.randrange(longest)))


def _id_in(body: bytes) -> str | None:
    found = json.loads(body)
    return found["id"] if isinstance(found.get("id"), str) else None


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

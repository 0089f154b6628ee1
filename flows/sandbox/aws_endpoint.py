"""The sandbox's AWS: moto behind a memory that outlives it and a proxy that honours idempotency tokens.

All three are one WSGI application in one process, so that a request's effect, its entry in the journal and its token
are one thing: there is no moment in which one is durable and another is not. Requests are handled one at a time, which
moto needs anyway and which makes them repeatable. The order for each: handle, write to the journal (on disk), answer.
Killed before the write, the effect is gone and nobody was told of it; killed after, both are there at the next start.

Served on loopback only, moto's own pages (`/moto-api`) among it.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from connectors.aws.sandbox_tokens import AwsCall, AwsError, AwsRequest, failure, identify, mismatch, scope_of
from flows.sandbox.aws_state import aws_state
from flows.sandbox.journal import Answer, Entry, Journal, Token
from flows.sandbox.moto_backend import Moto, Server, plain_environ
from flows.sandbox.ports import LOOPBACK, listen, port_of
from flows.sandbox.token_proxy import Mismatch, TokenMemory

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes. Bodies are held in memory and written to the journal."""

HEALTH = "/orderly-sandbox/health"
STATE = "/orderly-sandbox/state"
_POLL_SECONDS = 0.1

_log = logging.getLogger(__name__)


class AwsEndpoint:
    """The running endpoint. `url` is what boto3 takes as endpoint_url."""

    def __init__(self, folder: Path, ports: Path) -> None:
        """Raises JournalDamaged. Replays what is remembered before the first request is answered."""
        self._journal = Journal(folder / "journal")
        self._tokens = TokenMemory()
        self._moto = Moto()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._touched: set[tuple[str, ...]] = set()
        self._broken: str | None = None
        self.replayed = 0
        self.differed = 0
        """How many replayed requests were answered with another status than at first."""
        listener = listen(ports, "aws")
        self.url = f"http://{LOOPBACK}:{port_of(listener)}"
        self._replay()
        self._server = Server(listener, self, "aws-endpoint")
        self._server.start()

    def stop(self) -> None:
        self._stopping.set()
        self._server.stop()
        with self._lock:  # the request being handled gets into the journal
            self._moto.stop()
            self._journal.close()

    def health(self) -> Mapping[str, object]:
        """What a person may want to know of the memory."""
        return {
            "ok": self._broken is None,
            "problem": self._broken,
            "replayed": self.replayed,
            "differed": self.differed,
            "tokens": len(self._tokens),
            "journal_bytes": self._journal.size,
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI."""
        try:
            request = _read(environ)
        except RequestEntityTooLarge:
            answer = _text(413, f"The sandbox takes bodies of up to {LARGEST_BODY} bytes.")
        else:
            answer = self._answer(request, plain_environ(environ))
        headers = list(answer.headers)
        if not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} ", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _answer(self, request: AwsRequest, environ: Mapping[str, Any]) -> Answer:
        if request.path == HEALTH:
            health = self.health()
            return _text(200 if health["ok"] else 503, json.dumps(health), "application/json")
        if request.path == STATE:
            with self._lock:
                return _text(200, json.dumps(aws_state()), "application/json")
        if request.path == "/moto-api/reset" and request.method == "POST":
            return self._reset(request, environ)
        call = identify(request)
        if call is not None and (call.service, call.operation) == ("sqs", "ReceiveMessage"):
            return self._receive(request, environ, call)
        with self._lock:
            if _only_looks(request, call) and self._place(request) in self._touched:
                return self._perform(request, environ, _seed(), time.time())
            return self._change(request, environ, call)

    def _place(self, request: AwsRequest) -> tuple[str, ...]:
        """The backend of moto that a request goes to.

        The first request to one makes it, default network and all: that one is remembered even if it only looks, for
        the ids of what is made come from its seed.
        """
        scope = scope_of(request)
        if scope is None:
            return ()
        return self._moto.account_of(scope.access_key), scope.region, scope.signing_name

    def _change(self, request: AwsRequest, environ: Mapping[str, Any], call: AwsCall | None) -> Answer:
        """Handle a request that may change something: once for each token, and never forgotten. Needs the lock."""
        if self._broken is not None:
            return _answer(failure(request, self._broken))
        scope = self._token_scope(call)
        if call is not None and scope is not None:
            try:
                first = self._tokens.first_answer(scope, call.parameters)
            except Mismatch:
                return _answer(mismatch(call, request))
            if first is not None:
                return first
        at, seed = time.time(), _seed()
        answer = self._perform(request, environ, seed, at)
        token = None
        if call is not None and scope is not None and answer.status < 300:
            token = Token(scope, call.parameters, answer)
        return self._remembered(request, answer, Entry(environ, request.body, at, seed, answer.status, token))

    def _remembered(self, request: AwsRequest, answer: Answer, entry: Entry) -> Answer:
        """The answer, when what it says is on the disk; else an error. Needs the lock."""
        try:
            self._journal.append(entry)
        except OSError as error:
            # moto is ahead of the journal now. The client is told "no", and nothing more is changed.
            self._broken = (
                f"The sandbox cannot write down what it does ({error.strerror}), so it changes nothing more."
                " Make room for its state folder, then restart it."
            )
            _log.exception("the journal cannot be written")
            return _answer(failure(request, self._broken))
        if entry.token is not None:
            self._tokens.keep(entry.token)
        return answer

    def _perform(self, request: AwsRequest, environ: Mapping[str, Any], seed: int, at: float) -> Answer:
        self._touched.add(self._place(request))
        try:
            return self._moto.perform(environ, request.body, seed, at)
        except Exception as error:  # noqa: BLE001 - a bug in moto must reach the client as its answer, not end us
            _log.warning("moto failed at %s %s: %r", request.method, request.path, error)
            return _answer(failure(request, f"moto failed: {error!r}"))

    def _token_scope(self, call: AwsCall | None) -> str | None:
        if call is None or call.token is None:
            return None
        account = self._moto.account_of(call.scope.access_key)
        return f"{account}/{call.scope.region}/{call.service}/{call.operation}/{call.token}"

    def _receive(self, request: AwsRequest, environ: Mapping[str, Any], call: AwsCall) -> Answer:
        """SQS's long polling, without holding the lock in the meantime: whoever is to send needs it."""
        request, wait = _without_wait(request)
        deadline = time.monotonic() + min(wait, 20)
        while True:
            with self._lock:
                if self._broken is not None:
                    return _answer(failure(request, self._broken))
                at, seed = time.time(), _seed()
                answer = self._perform(request, environ, seed, at)
                if b'"Messages"' in answer.body or b"<Message>" in answer.body:
                    return self._remembered(request, answer, Entry(environ, request.body, at, seed, answer.status))
            if answer.status >= 300 or time.monotonic() >= deadline or self._stopping.wait(_POLL_SECONDS):
                return answer

    def _reset(self, request: AwsRequest, environ: Mapping[str, Any]) -> Answer:
        """Starting anew in moto's own way empties the memory too."""
        with self._lock:
            answer = self._perform(request, environ, _seed(), time.time())
            self._journal.forget()
            self._tokens.forget()
            return answer

    def _replay(self) -> None:
        started = time.monotonic()
        for entry in self._journal.entries():
            request = _request(entry.environ, entry.body)
            answer = self._perform(request, entry.environ, entry.seed, entry.at)
            self.replayed += 1
            if answer.status != entry.status:
                self.differed += 1
                _log.warning("replayed %s %s: %s, not %s", request.method, request.path, answer.status, entry.status)
            if entry.token is not None:
                self._tokens.keep(entry.token)
        if self.replayed:
            _log.info("AWS state restored: %s requests in %.1f s", self.replayed, time.monotonic() - started)


def _only_looks(request: AwsRequest, call: AwsCall | None) -> bool:
    if call is None:
        return request.method in {"GET", "HEAD"}
    return call.reads_only and call.token is None


def _seed() -> int:
    return secrets.randbits(63)


def _read(environ: Mapping[str, Any]) -> AwsRequest:
    body = get_input_stream(dict(environ), max_content_length=LARGEST_BODY).read()
    return _request(environ, body)


def _request(environ: Mapping[str, Any], body: bytes) -> AwsRequest:
    path, _, query = str(environ.get("REQUEST_URI") or environ["PATH_INFO"]).partition("?")
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }
    headers["content-type"] = str(environ.get("CONTENT_TYPE", ""))
    return AwsRequest(str(environ["REQUEST_METHOD"]), path, query, headers, body)


def _without_wait(request: AwsRequest) -> tuple[AwsRequest, float]:
    """The request with WaitTimeSeconds 0, and what it was. A queue's own default of it is not honoured."""
    name = "WaitTimeSeconds"
    try:
        if "x-amz-target" in request.headers:
            document = json.loads(request.body)
            wait = float(document.get(name) or 0)
            body = json.dumps({**document, name: 0}).encode()
        else:
            form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
            wait = float(form.get(name) or 0)
            body = urlencode({**form, name: "0"}).encode()
    except (ValueError, AttributeError, TypeError):  # moto says what is wrong with it
        return request, 0.0
    return AwsRequest(request.method, request.path, request.query, request.headers, body), wait


def _answer(error: AwsError) -> Answer:
    headers = {"Content-Type": error.content_type, **error.headers}
    return Answer(error.status, tuple(headers.items()), error.body)


def _text(status: int, text: str, content_type: str = "text/plain") -> Answer:
    return Answer(status, (("Content-Type", content_type),), text.encode())

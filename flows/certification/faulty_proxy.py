"""A proxy in front of the AWS endpoint that turns away, delays or cuts off the one request it is told to."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from connectors.aws.sandbox_tokens import AwsRequest, identify, throttled
from flows.certification.boundaries import Fault

SILENT_SECONDS = 600.0
"""For how long an answer that does not come does not come: longer than anybody waits for it."""

_NOT_PASSED_ON = frozenset({"connection", "transfer-encoding", "keep-alive", "expect", "content-length"})


class FaultyProxy:
    """Listens on a socket that listens already, so that the address outlives the process; ends with the process."""

    def __init__(self, listener: socket.socket, upstream: str) -> None:
        self._armed: Fault | None = None
        self._lock = threading.Lock()
        self.upstream = urlsplit(upstream).netloc
        server = _Server(self, listener)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True, name="faulty-proxy").start()

    def arm(self, fault: Fault) -> None:
        """Disturb the next request that may change something."""
        with self._lock:
            self._armed = fault

    def fault_for(self, request: AwsRequest) -> Fault | None:
        """How a request is to be disturbed."""
        with self._lock:
            if self._armed is None:
                return None
            call = identify(request)
            if request.method in {"GET", "HEAD"} if call is None else call.reads_only:
                return None
            fault, self._armed = self._armed, None
            return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: FaultyProxy, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.proxy = proxy

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without a farewell, so that a reset is one

    def handle_error(self, request: object, client_address: object) -> None:
        return  # whoever asked has given up, or was killed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        """One way for every method: `do_GET`, `do_PUT`, ..."""
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = AwsRequest(self.command, path, query, headers, body)
        server = self.server
        assert isinstance(server, _Server)
        fault = server.proxy.fault_for(request)
        if fault is Fault.THROTTLED:
            error = throttled(request)
            self._answer(error.status, {"Content-Type": error.content_type, **error.headers}, error.body)
            return
        if fault is Fault.RESET:
            self._reset()
            return
        answer = self._forwarded(server.proxy.upstream, body)
        if fault is Fault.TIMEOUT:
            time.sleep(SILENT_SECONDS)
        elif fault is Fault.LOST:
            self._reset()
        else:
            self._answer(*answer)

    def _forwarded(self, upstream: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(upstream, timeout=SILENT_SECONDS)
        try:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
            connection.request(self.command, self.path, body, kept)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        # The answer to HEAD says how long a body would be that it does not have.
        told = {name.lower(): value for name, value in headers.items()}.get("content-length")
        self.send_header("Content-Length", str(len(body)) if body or told is None else told)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        return

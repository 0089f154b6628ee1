"""How long a caller may take to say what they want: whoever drips a request keeps no connection (slow loris).

The server itself only ends connections on which nothing comes after an answer.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""From the connection, or the first byte of a later request, until its headers are all there."""

BODY_SECONDS = 30.0
"""From then until its body is all there; a body has a MiB at most."""

HEADER_BYTES = 32 * 1024
"""All headers of a request together."""

REQUEST_BYTES = 2 * 1024 * 1024
"""A whole request as it travels, headers and the frames of its chunks included."""

MOST_PARTS = 20_000
"""Parts of a body: a chunk of one byte costs as much work as one of sixty thousand."""

MOST_CONNECTIONS = 1000
"""At a time, in this process; more are answered 503 at once."""


class _BoundedConnection(h11.Connection):
    """Gives up a body in too many parts."""

    _parts = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Data):
            self._parts += 1
            if self._parts > MOST_PARTS:
                raise h11.RemoteProtocolError("The body comes in too many parts.")
        elif isinstance(event, h11.Request):
            self._parts = 0
        return event


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1, with an end to waiting for the caller."""

    header_seconds = HEADER_SECONDS
    body_seconds = BODY_SECONDS
    _deadline: asyncio.TimerHandle | None = None
    _awaited: Any = None
    _received = 0

    def connection_made(self, transport: Any) -> None:
        self.conn = _BoundedConnection(h11.SERVER, HEADER_BYTES)
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > REQUEST_BYTES:
            self.transport.close()
            return
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:  # the answer is under way already
            self.transport.close()

    def on_response_complete(self) -> None:
        self._received = 0
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Wait for what is to come next from now on, unless it is waited for already."""
        state = self.conn.their_state
        if state is self._awaited:
            return
        self._stop_watching()
        seconds = {h11.IDLE: self.header_seconds, h11.SEND_BODY: self.body_seconds}.get(state)
        if seconds is not None and not self.transport.is_closing():
            self._awaited = state
            self._deadline = self.loop.call_later(seconds, self._give_up)

    def _stop_watching(self) -> None:
        self._awaited = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        # Between two requests the server's own timer ends the connection; this one is for requests half said.
        self.transport.close()

"""An SMTP server that keeps every mail as a file and sends none.

A mail is a file mail/TIME-ID.eml: what came over the wire, after two headers of ours (X-Envelope-From, X-Envelope-To).
The file is whole and on the disk before the client hears "250".
"""

import asyncio
import logging
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from flows.sandbox.files import write_whole
from flows.sandbox.ports import LOOPBACK, listen, port_of

HOST = LOOPBACK
LARGEST_MAIL = 32 * 1024 * 1024
"""Bytes."""

_log = logging.getLogger(__name__)


class MailSink:
    """The running server; `port` is where it listens."""

    def __init__(self, folder: Path, ports: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        listener = listen(ports, "mail")
        self.port = port_of(listener)
        self._loop = asyncio.new_event_loop()
        keeper = _Keeper(folder)
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _smtp(keeper, self._loop), sock=listener)
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail-sink", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        connections = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def _smtp(keeper: "_Keeper", loop: asyncio.AbstractEventLoop) -> SMTP:
    return SMTP(keeper, hostname="sandbox.invalid", data_size_limit=LARGEST_MAIL, enable_SMTPUTF8=True, loop=loop)


class _Keeper:
    """What aiosmtpd calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}.eml"
        recipients = ", ".join(envelope.rcpt_tos)
        ours = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {recipients}\r\n".encode()
        content = envelope.original_content or b""
        try:
            await asyncio.to_thread(write_whole, self._folder / name, ours + content)
        except OSError as error:
            _log.exception("a mail could not be kept")
            return f"452 The mail cannot be kept: {error.strerror}"
        return "250 Kept"

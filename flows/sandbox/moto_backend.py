"""moto, called in this process, so that one request can be done again exactly as it was done before.

moto's own server and recorder do not give that: the recorder writes before a request is handled and without flushing,
knows neither seeds nor times, and replays over HTTP. Called here, one request at a time, moto gets its random numbers
from a seed of ours and, when an old request is replayed, its clock from the journal: instance ids, access keys and
creation dates come out the same.

What does not, because moto takes it from elsewhere: key material (EC2 key pairs, KMS keys, certificates); the ids of
a few services that draw from the operating system (FSx, S3 Control multi-region access points, DynamoDB exports); and
creation dates of services that read the clock by themselves, which become the time of the restart.
"""

import datetime as dt
import io
import os
import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import moto.core.utils
import moto.s3.models
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY
from moto.iam.models import IAMBackend, ManagedPolicy, get_account_id_from
from moto.moto_api._internal import mock_random  # where moto's seed is: its /moto-api/seed reaches the same object
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import run_wsgi_app

from flows.sandbox.journal import Answer
from flows.sandbox.ports import LOOPBACK, port_of

_AS_WE_WANT_IT = {
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",  # an AWS account has AWS's own policies
}
"""Read by moto when a backend is first used."""


class QuietHandler(MotoRequestHandler):
    """One connection. Says nothing about each request, for a poller would fill the log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class Server:
    """A threaded HTTP server over a socket that listens already."""

    def __init__(self, listener: socket.socket, app: Any, name: str) -> None:
        self._server: BaseWSGIServer = make_server(
            LOOPBACK, 0, app, threaded=True, request_handler=QuietHandler, fd=listener.fileno()
        )
        listener.close()  # the server has its own descriptor of it
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Moto:
    """moto's backends. They are global in moto, so there is one of these a process. Not thread-safe."""

    def __init__(self) -> None:
        os.environ.update(_AS_WE_WANT_IT)
        _keep_aws_policies()
        self._app = DomainDispatcherApplication(create_backend_app)
        self._clock = _Clock()
        module: Any = SimpleNamespace(**{**vars(dt), "datetime": self._clock.datetime})
        moto.core.utils.datetime = module  # type: ignore[attr-defined]  # most of moto looks here
        moto.s3.models.datetime = module  # type: ignore[attr-defined]  # buckets look here
        # Step functions, Lambda and CloudFormation's custom resources call moto over HTTP while they are handled. They
        # get a door of their own: at the endpoint's they would wait for themselves, and be remembered twice.
        listener = socket.create_server((LOOPBACK, 0))
        os.environ["MOTO_PORT"] = str(port_of(listener))
        self._own_calls = Server(listener, self._app, "moto-own-calls")
        self._own_calls.start()

    def perform(self, environ: Mapping[str, Any], body: bytes, seed: int, at: float) -> Answer:
        """Have moto handle one request. `at` is when it comes, or first came: seconds since the epoch."""
        mock_random.seed(seed)
        random.seed(seed)  # some backends draw from Python's own
        whole = {
            **environ,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        with self._clock.at(at):
            parts, status, headers = run_wsgi_app(self._app, whole, buffered=True)
            return Answer(int(status.split()[0]), tuple(headers), b"".join(parts))

    def account_of(self, access_key: str) -> str:
        """The account id that moto takes requests of this access key to come from."""
        return str(get_account_id_from(access_key))

    def stop(self) -> None:
        self._own_calls.stop()


def plain_environ(environ: Mapping[str, Any]) -> dict[str, Any]:
    """What must be kept of a WSGI environment to handle the request again: no streams, no chunking."""
    kept: dict[str, Any] = {
        name: value
        for name, value in environ.items()
        if isinstance(value, str) and not name.startswith(("wsgi.", "werkzeug.")) and name != "HTTP_TRANSFER_ENCODING"
    }
    if names := environ.get(PRESERVED_HEADER_NAMES_ENVIRON_KEY):
        kept[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = dict(names)
    return kept


def _keep_aws_policies() -> None:
    """Read AWS's own policies once a process: moto reads all 1,300 of them for each partition, at each reset."""
    read = IAMBackend._init_aws_policies  # noqa: SLF001 - there is no other place to hold on to
    kept: dict[tuple[str, str], list[ManagedPolicy]] = {}

    def policies(backend: IAMBackend) -> list[ManagedPolicy]:
        place = (backend.account_id, backend.region_name)
        if place not in kept:
            drawn = mock_random.getstate()  # so that a replay, which may have to read them, draws the same ids after it
            kept[place] = read(backend)
            mock_random.setstate(drawn)
        for policy in kept[place]:
            policy.attachment_count = 0  # all of them that a request can change
        return list(kept[place])

    setattr(IAMBackend, read.__name__, policies)


class _Clock:
    """A clock that stands still while a request is handled, so that a replay, faster or slower, gives the same times.

    After STANDS seconds it runs on from there: something may be waiting for it to move.
    """

    STANDS = 2.0

    def __init__(self) -> None:
        self._moment: float | None = None
        self._since = 0.0
        self.datetime = _shifted(self)

    def now(self) -> float:
        """Seconds since the epoch."""
        if self._moment is None:  # moto's own threads, between requests
            return time.time()
        passed = time.monotonic() - self._since
        return self._moment if passed < self.STANDS else self._moment + passed

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        self._moment, self._since = moment, time.monotonic()
        try:
            yield
        finally:
            self._moment = None


class _AnyDatetime(type):
    """Makes every datetime an instance of the shifted class, so that moto's checks of types still hold."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, dt.datetime)


def _shifted(clock: _Clock) -> type[dt.datetime]:
    class Shifted(dt.datetime, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime.fromtimestamp(clock.now(), tz)

    return Shifted

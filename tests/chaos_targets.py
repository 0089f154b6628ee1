"""What the requests of the chaos test act on, and count at: a connector that leaves lines in files, an HTTP server.

Both know kill points: at a named moment of a named call, once, the process that makes the call is killed. So a kill
lands exactly between an effect and its record, which kills at random moments hardly ever do.
"""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from serving import Quiet, serving

CONNECTOR = '''
"""Leaves lines in a folder, honouring tokens; see tests/chaos_targets.py."""

import os
from datetime import timedelta
from pathlib import Path

from request_models.actions import ActionResult, ActionSpec, EffectClass, Outcome
from request_models.value_types import Member, ObjectType, StringType

ARGUMENTS = {"folder": Member(type=StringType(), required=True), "name": Member(type=StringType(), required=True)}


def die_at(when, folder, name):
    """Once, where the test wants it."""
    point = folder / f"kill-{when}-{name}"
    try:
        point.rename(folder / "killed")
    except FileNotFoundError:
        return
    os.kill(os.getpid(), 9)


class Act:
    spec = ActionSpec(
        name="chaos.act",
        title="Leave a line",
        arguments=ObjectType(members=ARGUMENTS),
        result=ObjectType(members={}),
        effect=EffectClass.TAKES_TOKEN,
        token_lifetime=timedelta(days=1),
    )

    def run(self, call):
        folder, name = Path(call.arguments["folder"]), call.arguments["name"]
        die_at("before", folder, name)
        line = f"{name} {call.token}"
        try:
            os.close(os.open(folder / f"token-{call.token}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            with (folder / "effects").open("a") as effects:
                effects.write(line + "\\n")
        die_at("after", folder, name)
        return ActionResult(Outcome.MADE, {})


class TakeBack(Act):
    spec = ActionSpec(
        name="chaos.take_back",
        title="Take a line back",
        arguments=ObjectType(members=ARGUMENTS),
        result=ObjectType(members={}),
        effect=EffectClass.IDEMPOTENT,
    )

    def run(self, call):
        folder, name = Path(call.arguments["folder"]), call.arguments["name"]
        die_at("before-undo", folder, name)
        (folder / f"undone-{name}").touch()
        die_at("after-undo", folder, name)
        return ActionResult(Outcome.CHANGED, {})


class Chaos:
    name = "chaos"

    def find(self, name):
        return {"chaos.act": Act, "chaos.take_back": TakeBack}.get(name, lambda: None)()

    def names(self):
        return ["chaos.act", "chaos.take_back"]

    def content(self, digest):
        return None

    def close(self):
        pass


def connector(settings, context):
    return Chaos()
'''


@dataclass
class Folder:
    """The folder that one request leaves lines in."""

    path: Path

    def kill_at(self, when: str, name: str) -> None:
        (self.path / f"kill-{when}-{name}").touch()

    @property
    def killed(self) -> bool:
        """Whether its kill point was reached."""
        return (self.path / "killed").exists()

    def effects(self) -> Counter[str]:
        """How often each name had its effect, those taken back left out."""
        file = self.path / "effects"
        lines = file.read_text().splitlines() if file.exists() else []
        made = Counter(line.split()[0] for line in lines)
        return Counter({name: count for name, count in made.items() if not (self.path / f"undone-{name}").exists()})


@dataclass
class CountingServer:
    """Counts what is posted: calls, and effects, which a key has once under /keyed/ and every call under /unkeyed/.

    A body says for which request it is, and what its name there is. `kill_points` are (when, request tag, name).
    `kill` ends the process that runs a request.
    """

    kill: Callable[[str], None] = lambda _: None
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    removed: set[tuple[str, str]] = field(default_factory=set)
    kill_points: set[tuple[str, str, str]] = field(default_factory=set)
    port: int = 0
    _keys: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, key: str | None, body: dict[str, str]) -> None:
        tag, name = body["tag"], body["name"]
        self._die_at("before", body)
        with self._lock:
            self.calls[tag, name] += 1
            if path == "/unkeyed" or key not in self._keys:
                self.effects[tag, name] += 1
            self._keys.add(str(key))
        self._die_at("after", body)

    def remove(self, path: str) -> None:
        _, tag, name = path.strip("/").split("/")
        with self._lock:
            self.removed.add((tag, name))

    def left(self, tag: str) -> Counter[str]:
        """The effects for a request that were not removed, by name."""
        with self._lock:
            return Counter(
                {
                    name: count
                    for (of, name), count in self.effects.items()
                    if of == tag and (of, name) not in self.removed
                }
            )

    def _die_at(self, when: str, body: dict[str, str]) -> None:
        with self._lock:
            point = (when, body["tag"], body["name"])
            wanted = point in self.kill_points
            self.kill_points.discard(point)
        if wanted:
            self.kill(body["request"])


@contextmanager
def counting() -> Iterator[CountingServer]:
    """A running server."""
    counter = CountingServer()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/refuses":
                self._answer(422)
                return
            counter.post(self.path, self.headers.get("Idempotency-Key"), body)
            self._answer(201)

        def do_DELETE(self) -> None:
            counter.remove(self.path)
            self._answer(204)

        def _answer(self, status: int) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                return  # whoever asked was killed

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            return  # the clients here are killed all the time

    with serving(Handler, Server) as counter.port:
        yield counter


def kill_process(pid: int) -> None:
    """SIGKILL, of a process that may have ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

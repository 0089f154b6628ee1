"""A client of the Language Server Protocol, as small as tests need it: JSON-RPC over the pipes of a process."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from waiting import wait_until

SECONDS = 60.0


class LanguageClient:
    """Starts a server and talks to it; at the end of the `with` it must have ended by itself, or it is killed."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """`settings` are what the server is told when it asks for its configuration, by section."""
        self.settings: dict[str, Any] = {}
        self._sending = threading.Lock()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        self.errors = b""
        self._received: list[dict[str, Any]] = []
        self._number = 0
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def request(self, method: str, params: Any = None) -> Any:
        """Ask, and wait for the result; an error of the server fails the test."""
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        answer = self._wait(f"the answer to {method}", lambda one: one.get("id") == number and "method" not in one)
        assert "error" not in answer, answer
        return answer.get("result")

    def notify(self, method: str, params: Any = None) -> None:
        """Say something that has no answer."""
        self._send({"method": method, "params": params})

    def initialize(self, **capabilities: Any) -> dict[str, Any]:
        """Begin, and return what the server can do."""
        found = self.request("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities})
        self.notify("initialized", {})
        return dict(found["capabilities"])

    def open(self, file: Path, text: str) -> None:
        """Open a document."""
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, file: Path, text: str, version: int) -> None:
        """Replace all of a document."""
        document = {"uri": file.as_uri(), "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def at(self, method: str, file: Path, marked: str) -> Any:
        """Ask about the place that the last `|` marks in the text; the document is the one without it."""
        before = marked[: marked.rindex("|")]
        character = len(before.rpartition("\n")[2].encode("utf-16-le")) // 2
        position = {"line": before.count("\n"), "character": character}
        return self.request(method, {"textDocument": {"uri": file.as_uri()}, "position": position})

    def diagnostics(self, file: Path, version: int) -> list[dict[str, Any]]:
        """What the server said of a version of a document, once it has."""
        found = self._wait(
            f"diagnostics of version {version}",
            lambda one: (
                one.get("method") == "textDocument/publishDiagnostics"
                and one["params"]["uri"] == file.as_uri()
                and one["params"].get("version", version) == version
            ),
        )
        return list(found["params"]["diagnostics"])

    def end(self) -> int:
        """Shut down and exit; the exit code."""
        self.request("shutdown")
        self.notify("exit")
        return self.process.wait(SECONDS)

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        with self._sending:
            self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
            self.process.stdin.flush()

    def _wait(self, what: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = next((one for one in self._received if wanted(one)), None)
            assert found is not None or self._readers[0].is_alive(), f"the server is gone: {self.errors.decode()}"
            return found

        found = wait_until(what, look, SECONDS)
        assert found is not None
        self._received.remove(found)
        return found

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while (line := stream.readline()).strip():
                name, _, value = line.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
            if not line:
                return
            message = json.loads(stream.read(length))
            if "method" in message and "id" in message:
                self._send({"id": message["id"], "result": self._own_answer(message)})
            else:
                self._received.append(message)

    def _own_answer(self, asked: dict[str, Any]) -> Any:
        """What an editor answers a question of the server's."""
        if asked["method"] == "workspace/configuration":
            return [self.settings.get(item.get("section", "")) for item in asked["params"]["items"]]
        return None

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line

"""What the AWS endpoint remembers: an append-only file of the requests that may have changed something.

One entry a line, `CRC32 JSON`. An entry is on the disk (fdatasync) before its answer goes to the client, so whoever
got an answer finds its effect after kill -9, and after a power cut. A line that a crash cut short is the last one, was
never answered, and is taken off; damage elsewhere stops the sandbox, for a state with holes is worse than none.
"""

import base64
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.sandbox.errors import JournalDamaged
from flows.sandbox.files import sync_folder

FORMAT = 1


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Token:
    """An idempotency token that a request carried: where it counts (`scope`), what was asked with it, the answer."""

    scope: str
    parameters: str
    answer: Answer


@dataclass(frozen=True)
class Entry:
    """One remembered request: its WSGI environment (texts only) and body, and what made its answer what it was."""

    environ: Mapping[str, Any]
    body: bytes = field(repr=False)
    at: float
    """When it was handled, seconds since the epoch: moto's clock stands there again when the request is replayed."""
    seed: int
    """Of moto's random numbers, so that ids come out the same."""
    status: int
    token: Token | None = None


class Journal:
    """The file. Not thread-safe: the endpoint's lock is around every call."""

    def __init__(self, path: Path) -> None:
        """Raises JournalDamaged when what is there cannot be trusted."""
        self._path = path
        self.torn = False
        """Whether a line cut short by a crash was taken off."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._mend()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if os.fstat(self._file).st_size == 0:
            self._write({"journal": FORMAT})
        sync_folder(path.parent)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return os.fstat(self._file).st_size

    def append(self, entry: Entry) -> None:
        """Returns when the entry is on the disk. Raises OSError when it cannot be put there; then nothing of it is."""
        self._write(_encode(entry))

    def entries(self) -> Iterator[Entry]:
        """All entries, oldest first."""
        with self._path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                document = self._checked(line, number)
                if number == 1:
                    if document.get("journal") != FORMAT:
                        raise JournalDamaged(self._advice(number, "it is in a format this version does not know"))
                    continue
                yield _decode(document)

    def forget(self) -> None:
        """Start anew, with nothing remembered."""
        os.ftruncate(self._file, 0)
        self._write({"journal": FORMAT})

    def close(self) -> None:
        os.close(self._file)

    def _write(self, document: Mapping[str, Any]) -> None:
        text = json.dumps(document, separators=(",", ":")).encode()
        before = self.size
        try:
            line = b"%08x " % zlib.crc32(text) + text + b"\n"
            while line:  # a nearly full disk takes a part, then says why
                line = line[os.write(self._file, line) :]
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, before)
            raise

    def _mend(self) -> None:
        """Take off a last line without its end: the crash came while it was written."""
        if not self._path.exists():
            return
        with self._path.open("r+b") as stream:
            whole = 0
            for line in stream:
                if line.endswith(b"\n"):
                    whole += len(line)
            if whole < stream.seek(0, os.SEEK_END):
                stream.truncate(whole)
                os.fsync(stream.fileno())
                self.torn = True

    def _checked(self, line: bytes, number: int) -> dict[str, Any]:
        crc, _, text = line.rstrip(b"\n").partition(b" ")
        try:
            if int(crc, 16) != zlib.crc32(text):
                raise JournalDamaged(self._advice(number, "its checksum does not fit"))
            document = json.loads(text)
        except ValueError as error:
            raise JournalDamaged(self._advice(number, "it is not an entry")) from error
        if not isinstance(document, dict):
            raise JournalDamaged(self._advice(number, "it is not an entry"))
        return document

    def _advice(self, number: int, what: str) -> str:
        return (
            f"{self._path}, line {number}: {what}, so the sandbox's AWS state cannot be restored."
            " Delete the file to start with an empty one (the sandbox's buckets, roles and so on are then gone)."
        )


def _encode(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = {
        "environ": dict(entry.environ),
        "body": base64.b64encode(entry.body).decode(),
        "at": entry.at,
        "seed": entry.seed,
        "status": entry.status,
    }
    if entry.token is not None:
        answer = entry.token.answer
        document["token"] = {
            "scope": entry.token.scope,
            "parameters": entry.token.parameters,
            "status": answer.status,
            "headers": answer.headers,
            "body": base64.b64encode(answer.body).decode(),
        }
    return document


def _decode(document: Mapping[str, Any]) -> Entry:
    token = None
    if kept := document.get("token"):
        headers = tuple((name, value) for name, value in kept["headers"])
        answer = Answer(kept["status"], headers, base64.b64decode(kept["body"]))
        token = Token(kept["scope"], kept["parameters"], answer)
    return Entry(
        environ=document["environ"],
        body=base64.b64decode(document["body"]),
        at=document["at"],
        seed=document["seed"],
        status=document["status"],
        token=token,
    )

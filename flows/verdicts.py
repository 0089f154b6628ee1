"""What was found in models before: a thousand that did not change are read again, but not compiled again.

A verdict holds as long as the model's file, and everything its meaning depends on, is as it was: code, settings,
runbooks, inventories and calendars. Models that order others depend on those too, and are compiled each time.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import connectors
import request_models
from flows.settings import Settings
from request_models.diagnostics import Diagnostic, Severity
from request_models.json_values import JsonValue, digest_of

_FORMAT = 2
_MOST = 20_000
"""Verdicts that are kept; with more, only those just used stay."""
_CONTENT = ("runbooks", "extensions", "calendars")


@dataclass(frozen=True)
class Verdict:
    """What was found in one file: its model's name, whether it can be published, the diagnostics, and the notes."""

    model: str
    file: str
    right: bool
    diagnostics: tuple[Diagnostic, ...] = ()
    notes: tuple[Diagnostic, ...] = ()


class Verdicts:
    """The verdicts of one installation, in one file of its state folder; without it, nothing is known or kept."""

    def __init__(self, file: Path, surroundings: str, known: dict[str, object]) -> None:
        """`known`: verdicts by their keys as they stand in the file, each read only when it is asked for."""
        self._file = file
        self._surroundings = surroundings
        self._known = known
        self._used: set[str] = set()
        self._changed = False

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The verdicts that still hold. A file that cannot be read holds none."""
        file, surroundings = settings.state / "cache" / "verdicts.json", _surroundings(settings)
        try:
            written = json.loads(file.read_text(encoding="utf-8"))
            known = dict(written["verdicts"]) if written["surroundings"] == surroundings else {}
        except (OSError, ValueError, KeyError, TypeError):
            known = {}
        return cls(file, surroundings, known)

    @classmethod
    def none(cls) -> Self:
        """No verdicts; what is put here is forgotten."""
        return cls(Path(os.devnull), "", {})

    def find(self, file: Path, content: bytes) -> Verdict | None:
        """What was found in this file when it had this content."""
        key = _key(file, content)
        self._used.add(key)
        try:
            return _read(self._known[key])
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, file: Path, content: bytes, verdict: Verdict) -> None:
        """Remember what was found."""
        key = _key(file, content)
        self._used.add(key)
        self._known[key] = asdict(verdict)
        self._changed = True

    def save(self) -> None:
        """Keep what was found for the next time; where that cannot be written, the next time takes longer."""
        if not self._changed or not self._surroundings:
            return
        kept = self._known
        if len(kept) > _MOST:
            kept = {key: one for key, one in kept.items() if key in self._used}
        written = {"surroundings": self._surroundings, "verdicts": kept}
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            # Each by itself: a mode is only that of the last folder, and `up` refuses a state folder open to others.
            for folder in (self._file.parent.parent, self._file.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(json.dumps(written), encoding="utf-8")
            draft.rename(self._file)
        except OSError:
            with suppress(OSError):
                draft.unlink()


def _key(file: Path, content: bytes) -> str:
    return hashlib.sha256(os.fsencode(file) + b"\0" + content).hexdigest()


def _read(written: object) -> Verdict:
    """Raises KeyError, TypeError or ValueError for what is no verdict."""
    if not isinstance(written, dict):
        raise TypeError("a verdict is a map")
    found, notes = _diagnostics(written["diagnostics"]), _diagnostics(written["notes"])
    return Verdict(str(written["model"]), str(written["file"]), written["right"] is True, found, notes)


def _diagnostics(written: object) -> tuple[Diagnostic, ...]:
    if not isinstance(written, list):
        raise TypeError("diagnostics are a list")
    return tuple(Diagnostic(**{**one, "severity": Severity(one["severity"])}) for one in written)


def _surroundings(settings: Settings) -> str:
    """A digest of everything but a model's own file that what is found in it may depend on."""
    code = [Path(package.__file__ or "").parent for package in (request_models, connectors)]
    shipped = code[0].parent / "runbooks"
    own = [folder / name for folder in settings.content for name in _CONTENT]
    inventories = _paths_in(settings.model_dump(mode="json")["connectors"])
    files = sorted({stamp for folder in (*code, shipped, *own, *inventories) for stamp in _stamps(folder)})
    said: JsonValue = [
        _FORMAT,
        version("orderly"),
        version("botocore"),
        platform.python_version(),
        os.environ.get("AWS_DATA_PATH", ""),
        settings.model_dump(mode="json", include={"environment", "content", "connectors", "public"}),
        list(files),
    ]
    return digest_of(said)


def _paths_in(value: object) -> Iterator[Path]:
    """What settings of connectors name that is a file or folder here."""
    match value:
        case str() if len(value) < 4096 and "\0" not in value and Path(value).expanduser().exists():
            yield Path(value).expanduser()
        case list():
            for item in value:
                yield from _paths_in(item)
        case dict():
            yield from _paths_in(list(value.values()))
        case _:
            pass


def _stamps(path: Path) -> Iterable[str]:
    """Each file as it is now: its path, size and time of change."""
    if path.is_file():
        state = path.stat()
        return [f"{path} {state.st_size} {state.st_mtime_ns}"]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in {"__pycache__", ".git"})
        for name in names:
            file = Path(folder, name)
            if name.endswith(".pyc") or not file.exists():
                continue
            state = file.stat()
            found.append(f"{file} {state.st_size} {state.st_mtime_ns}")
    return found

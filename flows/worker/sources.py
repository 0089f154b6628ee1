"""Whether what a process has imported is still what lies on the disk."""

import os
import sys
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

_OURS = Path(__file__).parents[2]
_PACKAGES = ("request_models", "connectors", "flows", "runbooks")
_READ = (".py", ".yaml", ".yml", ".json", ".cfg")


def fingerprint(content: Iterable[Path], settings: Iterable[Path]) -> str:
    """Changes whenever a new process would load something else: our code, content, settings, what is installed."""
    digest = blake2b(digest_size=16)
    folders = [_OURS / package for package in _PACKAGES]
    folders += [folder / part for folder in content for part in ("extensions", "runbooks")]
    for entry in (entry for folder in folders for entry in _files(folder)):
        status = entry.stat()
        digest.update(f"{entry.path}\0{status.st_mtime_ns}\0{status.st_size}\0{status.st_ino}\n".encode())
    # Installing or removing a distribution changes the folder that holds it.
    for path in [*settings, *(Path(entry) for entry in sys.path)]:
        try:
            status = path.stat()
        except OSError:
            continue
        digest.update(f"{path}\0{status.st_mtime_ns}\0{status.st_ino}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from _files(Path(entry.path))
        elif entry.name.endswith(_READ):
            yield entry

"""The records written as a history: people by pseudonyms, secrets left out."""

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from flows.records.records import Records, Transaction
from flows.review.history import TABLES, HistoryError
from flows.review.warehouse import Warehouse, write_lines

_KEY_BYTES = 32


def export(records: Records, folder: Path, key: bytes, *, lines: bool = False) -> Mapping[str, int]:
    """Write what the records hold into a folder, as Parquet or JSON lines; gives the rows of each table.

    It is one consistent view. `key` makes the pseudonyms: the same key gives the same ones. Raises HistoryError when
    the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as draft:
            records.read(lambda transaction: _write_lines(transaction, Path(draft), pseudonyms(key)))
            with Warehouse.read_unchecked(Path(draft)) as warehouse:
                counts = warehouse.write(Path(draft, "done"), lines=lines)
            for table in TABLES:
                for suffix in (".parquet", ".jsonl"):
                    (folder / f"{table}{suffix}").unlink(missing_ok=True)
            for file in sorted(Path(draft, "done").iterdir()):
                file.replace(folder / file.name)
    except OSError as error:
        raise HistoryError(f"The history cannot be written to {folder}: {error.strerror or error}.") from error
    return counts


def pseudonyms(key: bytes) -> Callable[[str], str]:
    """Stands for people: nobody's id can be told from it without the key."""

    def of(person: str) -> str:
        return "p-" + hmac.new(key, person.encode(), hashlib.sha256).hexdigest()[:16]

    return of


def pseudonym_key(file: Path) -> bytes:
    """The key of this installation's pseudonyms, made when first asked for. Raises HistoryError."""
    try:
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(secrets.token_bytes(_KEY_BYTES))
        key = file.read_bytes()
    except OSError as error:
        raise HistoryError(f"The key of the pseudonyms, {file}, cannot be used: {error.strerror}.") from error
    if len(key) != _KEY_BYTES:
        raise HistoryError(f"{file} is no key of pseudonyms. Remove it, and the next export makes a new one.")
    return key


def _write_lines(transaction: Transaction, folder: Path, pseudonym: Callable[[str], str]) -> None:
    history = transaction.history
    tables: dict[str, Iterable[Mapping[str, object]]] = {
        "requests": history.requests(pseudonym),
        "steps": history.steps(),
        "approvals": history.approvals(pseudonym),
        "touches": history.touches(pseudonym),
        "plans": history.plans(),
    }
    for name, rows in tables.items():
        write_lines(folder / f"{name}.jsonl", rows)

"""What must be there before any part runs: migrated records, the keyring, and this machine's own API key.

One process does this (invariant 12); the parts only check.
"""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path

from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.settings import Settings
from flows.state_folder import make_state_folder

LOCAL_SCOPES = ("admin",)
"""Whoever can read the state folder can do anything with it already."""


@dataclass(frozen=True)
class Prepared:
    """What was made or found."""

    records: str
    keyring: Path
    local_api_key: Path
    key_made: bool


def prepare(settings: Settings) -> Prepared:
    """Migrate the records, make the keyring and the local API key where they are absent.

    Raises RecordsUnavailable, KeyringError, FolderOpenToOthers.
    """
    make_state_folder(settings.state)
    records = Records.open(settings.records_url, Keyring.open(settings.keyring_file))
    try:
        records.migrate()
        made = _ensure_local_key(records, settings.local_api_key_file)
    finally:
        records.close()
    return Prepared(_without_password(settings.records_url), settings.keyring_file, settings.local_api_key_file, made)


def _ensure_local_key(records: Records, path: Path) -> bool:
    known = path.read_text().strip() if path.exists() else ""
    if known and records.read(lambda tx: tx.api_keys.authenticate(known)) is not None:
        return False
    person = _login_name()
    # With an address, so that models that write to the user work for orders from the command line too.
    address = f"{person}@localhost"
    key = records.run(lambda tx: tx.api_keys.add("local", person, LOCAL_SCOPES, display_name=person, email=address))
    path.parent.mkdir(mode=0o700, exist_ok=True)
    _write_private(path, key + "\n")
    return True


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"

"""The keys that seal secrets: AES-256-GCM, several keys with ids, one of them active.

The active key seals, any key opens: a key is rotated by adding one, and values sealed before stay readable.
"""

import base64
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flows.records.errors import KeyringError, SealBroken

_KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True)
class Ciphertext:
    """What sealing gives: the key's id, the nonce (never used twice with a key), the ciphertext with its tag."""

    key_id: str
    nonce: bytes
    data: bytes


@dataclass(frozen=True)
class _Keys:
    active: str
    by_id: Mapping[str, bytes]

    def with_new_active(self) -> "_Keys":
        key_id = f"k-{secrets.token_hex(4)}"
        return _Keys(key_id, {**self.by_id, key_id: AESGCM.generate_key(_KEY_BYTES * 8)})


class Keyring:
    """Seals and opens bytes. Thread-safe; keys another process added to the file are found when first met."""

    def __init__(self, keys: _Keys, path: Path | None) -> None:
        self._keys = keys
        self._path = path
        self._lock = Lock()

    @classmethod
    def open(cls, path: Path) -> "Keyring":
        """Read the keyring file, made with one fresh key when absent.

        Raises KeyringError when it cannot be read or made, is malformed, or others than its owner may read it.
        """
        try:
            if not path.exists():
                _create(path, _Keys("", {}).with_new_active())
            return cls(_read(path), path)
        except OSError as error:
            raise KeyringError(f"The keyring {path} cannot be opened: {error.strerror or error}.") from error

    @classmethod
    def in_memory(cls) -> "Keyring":
        """A keyring with one fresh key that is kept nowhere: what it seals is lost with it."""
        return cls(_Keys("", {}).with_new_active(), None)

    @property
    def active(self) -> str:
        """Id of the key that seals."""
        return self._keys.active

    def seal(self, plaintext: bytes, bound_to: bytes) -> Ciphertext:
        """Encrypt with the active key; only the same `bound_to` opens it again."""
        keys = self._keys
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return Ciphertext(keys.active, nonce, AESGCM(keys.by_id[keys.active]).encrypt(nonce, plaintext, bound_to))

    def unseal(self, sealed: Ciphertext, bound_to: bytes) -> bytes:
        """Decrypt with the key it was sealed with; raises KeyringError (no such key) or SealBroken (altered)."""
        try:
            return AESGCM(self._key(sealed.key_id)).decrypt(sealed.nonce, sealed.data, bound_to)
        except InvalidTag:
            raise SealBroken(
                "A sealed value does not open: it was altered, or belongs to another request or field."
            ) from None

    def sign(self, message: bytes, key_id: str | None = None) -> tuple[str, bytes]:
        """A MAC of a message, by the active key or one named, and that key's id; raises KeyringError without it.

        Made with a key derived for this purpose: what signs never seals.
        """
        used = key_id or self._keys.active
        derived = hmac.digest(self._key(used), b"orderly: signing", "sha256")
        return used, hmac.digest(derived, message, "sha256")

    def rotate(self) -> str:
        """Add a fresh key, make it the active one, keep the others; gives its id."""
        with self._lock:
            current = self._keys if self._path is None else _read(self._path)
            keys = current.with_new_active()
            if self._path is not None:
                _replace(self._path, keys)
            self._keys = keys
            return keys.active

    def _key(self, key_id: str) -> bytes:
        if key_id not in self._keys.by_id and self._path is not None:
            with self._lock:
                self._keys = _read(self._path)
        if key_id not in self._keys.by_id:
            where = self._path or "in memory"
            raise KeyringError(
                f"The keyring ({where}) lacks the key {key_id}, which sealed a value. "
                "Put back the keyring file that belongs to these records."
            )
        return self._keys.by_id[key_id]


def _read(path: Path) -> _Keys:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyringError(f"The keyring {path} is open to others (mode {mode:04o}). Run: chmod 600 {path}")
    try:
        written = json.loads(path.read_bytes())
        by_id = {key_id: base64.b64decode(key, validate=True) for key_id, key in written["keys"].items()}
        active = written["active"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyringError(f"The keyring {path} is malformed: {error}. Put back a good copy.") from error
    if active not in by_id or any(len(key) != _KEY_BYTES for key in by_id.values()):
        raise KeyringError(
            f"The keyring {path} lacks its active key or holds a key of the wrong length. Put back a good copy."
        )
    return _Keys(active, by_id)


def _create(path: Path, keys: _Keys) -> None:
    """Write a new file; if another process was faster, its file stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _write_draft(path, keys)
    try:
        os.link(draft, path)  # unlike a rename, it never replaces keys that already sealed something
        _sync_folder(path.parent)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _replace(path: Path, keys: _Keys) -> None:
    _write_draft(path, keys).replace(path)
    _sync_folder(path.parent)


def _write_draft(path: Path, keys: _Keys) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    encoded = {key_id: base64.b64encode(key).decode() for key_id, key in keys.by_id.items()}
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"active": keys.active, "keys": encoded}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(folder: Path) -> None:
    """Make the folder's entry durable: a lost keyring is lost secrets."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Ciphertext as one text, for what is encrypted outside the table of secrets: it belongs to no request."""

from flows.records.keyring import Ciphertext


def write_sealed(sealed: Ciphertext) -> str:
    """The text of a ciphertext."""
    return f"{sealed.key_id}:{sealed.nonce.hex()}:{sealed.data.hex()}"


def read_sealed(written: str) -> Ciphertext:
    """The ciphertext that `write_sealed` wrote."""
    key_id, nonce, data = written.rsplit(":", 2)
    return Ciphertext(key_id, bytes.fromhex(nonce), bytes.fromhex(data))

"""An authorization server for tests: a real key set over real HTTP, and tokens of every kind, hostile ones too."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

AUDIENCE = "orderly-tests"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def encoded_json(value: object) -> str:
    return encoded(json.dumps(value).encode())


@dataclass
class Key:
    """A signing key under an id."""

    id: str
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    @property
    def algorithm(self) -> str:
        return "RS256" if isinstance(self.private, rsa.RSAPrivateKey) else "ES256"

    def public_jwk(self) -> dict[str, Any]:
        common = {"kid": self.id, "use": "sig", "alg": self.algorithm}
        if isinstance(self.private, rsa.RSAPrivateKey):
            rsa_numbers = self.private.public_key().public_numbers()
            return {**common, "kty": "RSA", "n": _number(rsa_numbers.n, 256), "e": _number(rsa_numbers.e, 3)}
        ec_numbers = self.private.public_key().public_numbers()
        return {**common, "kty": "EC", "crv": "P-256", "x": _number(ec_numbers.x, 32), "y": _number(ec_numbers.y, 32)}

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def rsa_key(key_id: str, bits: int = 2048) -> Key:
    return Key(key_id, rsa.generate_private_key(public_exponent=65537, key_size=bits))


def ec_key(key_id: str) -> Key:
    return Key(key_id, ec.generate_private_key(ec.SECP256R1()))


def _number(value: int, octets: int) -> str:
    return encoded(value.to_bytes(octets, "big"))


@dataclass
class Issuer:
    """What it publishes can be changed while it runs; `asked` lists the paths that were called."""

    url: str
    keys: list[Key]
    asked: list[str] = field(default_factory=list)
    answer: bytes | None = None
    """In place of the key set."""
    status: int = 200

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of an ordinary token; None leaves one out."""
        now = int(time.time())
        ordinary = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "anna",
            "client_id": "portal",
            "iat": now,
            "exp": now + 300,
            "jti": "1",
            "scope": "catalogue:read requests:create requests:read",
        }
        return {name: value for name, value in {**ordinary, **changes}.items() if value is not None}

    def header(self, **changes: Any) -> dict[str, Any]:
        ordinary = {"alg": self.keys[0].algorithm, "typ": "at+jwt", "kid": self.keys[0].id}
        return {name: value for name, value in {**ordinary, **changes}.items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, key: Key | None = None, **claims: Any) -> str:
        """A token with this issuer's signature, whatever is in it."""
        return self.signed(encoded_json(self.header(**(header or {}))), encoded_json(self.claims(**claims)), key)

    def signed(self, header: str, payload: str, key: Key | None = None) -> str:
        signature = (key or self.keys[0]).sign(f"{header}.{payload}".encode())
        return f"{header}.{payload}.{encoded(signature)}"


@contextmanager
def running_issuer(*keys: Key) -> Iterator[Issuer]:
    """An issuer on loopback, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            body = issuer.answer or json.dumps({"keys": [key.public_jwk() for key in issuer.keys]}).encode()
            if self.path.startswith("/.well-known/"):
                body = json.dumps({"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}).encode()
            self.send_response(issuer.status)
            self.send_header("Location", f"{issuer.url}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}", list(keys))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""The environment of the processes of flow runs: the worker's own, without what costs a short process too much.

Each client of Prefect loads all certificate authorities that there are (30 ms), asks whether the server is of its
version, and whether it wants tokens against forged requests. The worker has done all three.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from prefect.settings.context import get_current_settings


def run_environment(state: Path, *, forgery_tokens: bool) -> dict[str, str]:
    """The environment, with Prefect's settings spelt out: they may come from a profile.

    `forgery_tokens`: the server wants a token with each change (`PREFECT_SERVER_CSRF_PROTECTION_ENABLED`).
    """
    settings = get_current_settings()
    environment = {**os.environ, **settings.to_environment_variables(exclude_unset=True)}
    # Ours to wait and poll again; a flow run has to get its state through.
    environment.pop("PREFECT_CLIENT_MAX_RETRIES", None)
    environment["PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED"] = "false"
    if not forgery_tokens:
        environment["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"
    if (settings.api.url or "").startswith("http://"):
        environment["PREFECT_API_SSL_CERT_FILE"] = str(_certificate_of_nobody(state))
    return environment


def _certificate_of_nobody(state: Path) -> Path:
    """The only authority that is trusted where no TLS is spoken: one whose key is gone."""
    file = state / "certificate-of-nobody.pem"
    if not file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=3650))
            .sign(key, SHA256())
        )
        new = file.with_suffix(f".{os.getpid()}")
        new.write_bytes(certificate.public_bytes(Encoding.PEM))
        new.replace(file)
    return file

"""Mail handed to a real SMTP server on the loopback address."""

import asyncio
import email
import email.policy
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from connectors.fixed import FixedConnector
from connectors.mail import connector
from connectors.registry import ConnectorContext
from request_models.actions import ActionFailed, ActionResult, ErrorClass, Outcome
from request_models.json_values import JsonValue

Run = Callable[..., ActionResult]
Failing = Callable[..., ActionFailed]
MAIL: dict[str, JsonValue] = {"to": "anna@example.org", "subject": "Your bucket", "text": "It is there.\n"}


@dataclass
class Box:
    """What the server took, and how it is told to behave."""

    port: int = 0
    taken: list[Envelope] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Answers to recipients, by address."""
    data_answer: str = "250 OK"
    hang_up: bool = False

    async def handle_RCPT(  # noqa: N802 - named by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - named by aiosmtpd
        if self.hang_up:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            return "250 OK"
        if self.data_answer.startswith("250"):
            self.taken.append(envelope)
        return self.data_answer

    def message(self) -> EmailMessage:
        content = self.taken[-1].content
        assert isinstance(content, bytes)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class AnyPort(Controller):
    """Listens on a free port; aiosmtpd's own first visit goes to the port it was given, which here is 0."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd is half typed


def listening(box: Box, **options: Any) -> Iterator[Box]:
    controller = AnyPort(box, hostname="127.0.0.1", port=0, **options)
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()


@pytest.fixture
def box() -> Iterator[Box]:
    yield from listening(Box())


def make(box: Box, tmp_path: Path, **settings: JsonValue) -> FixedConnector:
    given: dict[str, JsonValue] = {"host": "127.0.0.1", "port": box.port, "from": "Orderly <orderly@example.org>"}
    return connector({**given, **settings}, ConnectorContext(state=tmp_path))


@pytest.fixture
def mail(box: Box, tmp_path: Path) -> FixedConnector:
    return make(box, tmp_path)


def test_a_mail_arrives_as_it_was_written(mail: FixedConnector, run: Run, box: Box) -> None:
    token = uuid4()
    arguments = {
        "to": ["anna@example.org", "ben@example.org"],
        "cc": "chef@example.org",
        "reply_to": "help@example.org",
        "subject": "Dein Speicher für 项目 ist da",
        "text": "Grüße.\n.\n..\n{{ 7*7 }}\nLong: " + "x" * 2000 + "\n",
    }
    answer = run(mail, "mail.send", arguments, token=token)
    assert answer.outcome is Outcome.MADE
    assert answer.result == {"message_id": f"<{token}@example.org>"}
    assert box.taken[0].mail_from == "orderly@example.org"
    assert box.taken[0].rcpt_tos == ["anna@example.org", "ben@example.org", "chef@example.org"]
    message = box.message()
    assert message["Subject"] == arguments["subject"]
    assert message["From"] == "Orderly <orderly@example.org>"
    assert (message["To"], message["Cc"]) == ("anna@example.org, ben@example.org", "chef@example.org")
    assert (message["Reply-To"], message["Message-ID"]) == ("help@example.org", f"<{token}@example.org>")
    assert message.get_content().replace("\r\n", "\n") == arguments["text"]


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": "a\nBcc: evil@example.org"},
        {"subject": "a\r\nBcc: evil@example.org"},
        {"to": "a@example.org\nBcc: evil@example.org"},
        {"to": "a@example.org, evil@example.org"},
        {"to": "a@example.org>\r\nDATA"},
        {"cc": ["a@example.org\r\n"]},
        {"reply_to": "a@example.org\nBcc: evil@example.org"},
        {"to": "nobody"},
        {"to": ""},
    ],
)
def test_a_header_cannot_be_injected(
    mail: FixedConnector, failing: Failing, box: Box, changed: dict[str, JsonValue]
) -> None:
    failure = failing(mail, "mail.send", {**MAIL, **changed})
    assert failure.error_class is ErrorClass.REJECTED
    assert box.taken == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 No such user", ErrorClass.REJECTED),
        ("553 No such name", ErrorClass.REJECTED),
        ("451 Come later", ErrorClass.TRANSIENT),
        ("421 Going down", ErrorClass.TRANSIENT),
        ("552 Mailbox full", ErrorClass.TRANSIENT),
        ("530 Log in first", ErrorClass.PERMANENT),
        ("521 No mail here", ErrorClass.PERMANENT),
    ],
)
def test_with_one_refused_recipient_nobody_gets_the_mail(
    mail: FixedConnector, failing: Failing, box: Box, answer: str, expected: ErrorClass
) -> None:
    box.refused["ben@example.org"] = answer
    failure = failing(mail, "mail.send", {**MAIL, "to": ["anna@example.org", "ben@example.org"]})
    assert (failure.error_class, failure.code) == (expected, f"SMTP {answer[:3]}")
    assert "ben@example.org" in str(failure)
    assert box.taken == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("554 It is spam", ErrorClass.REJECTED),
        ("552 Too long", ErrorClass.REJECTED),
        ("452 Disk full", ErrorClass.TRANSIENT),
    ],
)
def test_a_text_the_server_does_not_take_was_not_sent(
    mail: FixedConnector, failing: Failing, box: Box, answer: str, expected: ErrorClass
) -> None:
    box.data_answer = answer
    failure = failing(mail, "mail.send", MAIL)
    assert (failure.error_class, failure.code) == (expected, f"SMTP {answer[:3]}")


def test_a_connection_lost_after_the_text_leaves_the_outcome_unknown(
    mail: FixedConnector, failing: Failing, box: Box
) -> None:
    box.hang_up = True
    assert failing(mail, "mail.send", MAIL).error_class is ErrorClass.UNKNOWN


def test_without_a_server_in_the_settings_it_says_what_to_set(tmp_path: Path, failing: Failing) -> None:
    mail = connector({}, ConnectorContext(state=tmp_path))
    failure = failing(mail, "mail.send", MAIL)
    assert failure.error_class is ErrorClass.PERMANENT
    assert "connectors.mail.host" in str(failure)


def test_starttls_is_insisted_on_where_the_settings_say_so(box: Box, tmp_path: Path, failing: Failing) -> None:
    failure = failing(make(box, tmp_path, tls="starttls"), "mail.send", MAIL)
    assert (failure.error_class, failure.code) == (ErrorClass.PERMANENT, "TLS")
    assert box.taken == []


def test_a_password_is_not_sent_in_the_clear(box: Box, tmp_path: Path, failing: Failing) -> None:
    (tmp_path / "password").write_text("hush\n")
    mail = make(box, tmp_path, username="orderly", password_file=str(tmp_path / "password"))
    failure = failing(mail, "mail.send", MAIL)
    assert (failure.error_class, failure.code) == (ErrorClass.PERMANENT, "TLS")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, made


@pytest.fixture
def protected_box(certificate: tuple[Path, Path]) -> Iterator[Box]:
    """A server that offers STARTTLS, with a certificate of its own, and takes one user's password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])

    def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"orderly", b"hush")
        return AuthResult(success=good, handled=False)

    yield from listening(Box(), tls_context=context, authenticator=login, auth_required=True)


def test_an_untrusted_certificate_is_refused(protected_box: Box, tmp_path: Path, failing: Failing) -> None:
    failure = failing(make(protected_box, tmp_path), "mail.send", MAIL)
    assert (failure.error_class, failure.code) == (ErrorClass.PERMANENT, "TLS")


@pytest.mark.parametrize("password", ["hush", "wrong"])
def test_a_user_logs_in_over_starttls(
    protected_box: Box,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    run: Run,
    failing: Failing,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    (tmp_path / "password").write_text(f"{password}\n")
    mail = make(protected_box, tmp_path, username="orderly", password_file=str(tmp_path / "password"))
    if password == "hush":
        run(mail, "mail.send", MAIL)
        assert len(protected_box.taken) == 1
    else:
        failure = failing(mail, "mail.send", MAIL)
        assert (failure.error_class, failure.code) == (ErrorClass.PERMANENT, "SMTP 535")
        assert "wrong" not in str(failure)

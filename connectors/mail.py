"""Mail over SMTP: `mail.send`.

A mail goes to all its recipients or to none: each is offered to the server before the text is. After the text nothing
can be taken back, so a connection lost from there on leaves the outcome unknown.
"""

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import localtime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.fixed import FixedConnector
from connectors.registry import ConnectorContext
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Outcome,
)
from request_models.json_values import JsonValue
from request_models.value_types import ArrayType, Member, ObjectType, StringType, UnionType

NAME = "mail"
MAX_RECIPIENTS = 100
MAX_TEXT = 1_000_000
_ENDS_LINES = ("\r", "\n", "\0")


class Tls(StrEnum):
    """How the connection is protected. `auto` takes STARTTLS where it is offered; a password then needs it."""

    AUTO = "auto"
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class MailSettings(BaseModel):
    """All of `connectors.mail`. Without `host` nothing can be sent, and `mail.send` says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = None
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    """By default 465 for `tls`, 587 with a username, else 25."""
    sender: Annotated[str | None, Field(alias="from")] = None
    """`orderly@example.org`, or with a name: `Orderly <orderly@example.org>`."""
    tls: Tls = Tls.AUTO
    username: str | None = None
    password_file: Path | None = None
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds for each answer of the server; a shorter timeout of the step wins."""

    @field_validator("sender")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            sender_address(value)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.host is None) != (self.sender is None):
            raise ValueError("host and from go together; give both")
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file go together; give both or neither")
        if self.username is not None and self.tls is Tls.NONE:
            raise ValueError("a password is not sent in the clear; choose tls: starttls or tls: tls")
        return self

    @property
    def resolved_port(self) -> int:
        """The port, chosen by the protection where none is given."""
        if self.port is not None:
            return self.port
        if self.tls is Tls.TLS:
            return 465
        return 587 if self.username is not None else 25


def sender_address(text: str) -> Address:
    """Read `orderly@example.org` or `Orderly <orderly@example.org>`. Raises ValueError."""
    if any(mark in text for mark in _ENDS_LINES):
        raise ValueError("an address has no line breaks")
    name, bracket, rest = text.rpartition("<")
    spec = rest.removesuffix(">").strip() if bracket else text.strip()
    try:
        return Address(display_name=name.strip().strip('"'), addr_spec=spec)
    except (MessageError, ValueError, IndexError) as error:
        raise ValueError(f"'{text}' is no mail address") from error


def connector(settings: Mapping[str, JsonValue], _context: ConnectorContext) -> FixedConnector:
    """Entry point `mail`. Raises pydantic.ValidationError for wrong settings."""
    return FixedConnector(NAME, [SendMail(MailSettings.model_validate(dict(settings)))])


_ADDRESS = StringType(format="email", max_length=254)
_ADDRESSES = UnionType(
    options=(_ADDRESS, ArrayType(items=_ADDRESS, min_items=1, max_items=MAX_RECIPIENTS, unique=True))
)


class SendMail:
    """`mail.send`: one mail of plain text."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._spec = ActionSpec(
            name=f"{NAME}.send",
            title="Send a mail",
            arguments=ObjectType(
                members={
                    "to": Member(type=_ADDRESSES, required=True),
                    "cc": Member(type=_ADDRESSES),
                    "reply_to": Member(type=_ADDRESS),
                    "subject": Member(
                        type=StringType(pattern=r"^[^\r\n\u0000]*$", min_length=1, max_length=500), required=True
                    ),
                    "text": Member(type=StringType(max_length=MAX_TEXT), required=True),
                }
            ),
            result=ObjectType(members={"message_id": Member(type=StringType(), required=True)}),
            effect=EffectClass.NOT_REPEATABLE,
            documentation="Sends plain text to all recipients or to none. Its Message-ID is made of the effect's "
            "token, so that a reader can tell a mail that was sent twice.",
        )

    @property
    def spec(self) -> ActionSpec:
        return self._spec

    def run(self, call: ActionCall) -> ActionResult:
        """Hand the mail to the server. Raises ActionFailed."""
        if self._settings.host is None or self._settings.sender is None:
            raise ActionFailed(
                "mail.send: no mail server is set up; set connectors.mail.host and connectors.mail.from.",
                error_class=ErrorClass.PERMANENT,
                code="NotSetUp",
            )
        sender = sender_address(self._settings.sender)
        recipients = [*_addresses(call.arguments["to"]), *_addresses(call.arguments.get("cc"))]
        message = _message(call, sender)
        if call.cancelled():
            raise _failed("cancelled before anything was sent", ErrorClass.TRANSIENT, "Cancelled")
        with self._connection(self._settings.host, call.timeout_seconds) as server:
            _hand_over(server, sender.addr_spec, recipients, message)
        call.log(f"mail.send: the server took the mail for {len(recipients)} recipient(s)")
        return ActionResult(Outcome.MADE, result={"message_id": str(message["Message-ID"])})

    @contextmanager
    def _connection(self, host: str, timeout_seconds: float | None) -> Iterator[smtplib.SMTP]:
        """A server that is ready to take a mail. Nothing has been sent when this fails."""
        timeout = min(self._settings.timeout, timeout_seconds or self._settings.timeout)
        try:
            server = self._connect(host, timeout)
        except ssl.SSLError as error:
            raise _failed(f"{host} offers no trusted protection: {error}", ErrorClass.PERMANENT, "TLS") from error
        except OSError as error:
            raise _failed(
                f"no connection to {host}:{self._settings.resolved_port}: {error}", ErrorClass.TRANSIENT, "Unreachable"
            ) from error
        try:
            self._protect(server, host)
            self._log_in(server)
            yield server
        finally:
            _leave(server)

    def _connect(self, host: str, timeout: float) -> smtplib.SMTP:
        # smtplib.SMTPException is an OSError, so a greeting that is no greeting counts as no connection.
        port = self._settings.resolved_port
        if self._settings.tls is Tls.TLS:
            return smtplib.SMTP_SSL(host, port, timeout=timeout, context=ssl.create_default_context())
        return smtplib.SMTP(host, port, timeout=timeout)

    def _protect(self, server: smtplib.SMTP, host: str) -> None:
        try:
            server.ehlo_or_helo_if_needed()
            offered = server.has_extn("starttls")
            if self._settings.tls is Tls.STARTTLS and not offered:
                raise _failed(f"{host} does not offer STARTTLS", ErrorClass.PERMANENT, "TLS")
            if offered and self._settings.tls in {Tls.AUTO, Tls.STARTTLS}:
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
        except ssl.SSLError as error:
            raise _failed(f"{host} offers no trusted protection: {error}", ErrorClass.PERMANENT, "TLS") from error
        except OSError as error:
            raise _failed(f"{host} broke the greeting off: {error}", ErrorClass.TRANSIENT, "Unreachable") from error

    def _log_in(self, server: smtplib.SMTP) -> None:
        if self._settings.username is None or self._settings.password_file is None:
            return
        if not isinstance(server.sock, ssl.SSLSocket):
            raise _failed(
                "the server offers no STARTTLS, and a password is not sent in the clear", ErrorClass.PERMANENT, "TLS"
            )
        try:
            password = self._settings.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise _failed(f"the password cannot be read: {error}", ErrorClass.PERMANENT, "Password") from error
        try:
            server.login(self._settings.username, password)
        except smtplib.SMTPAuthenticationError as error:
            raise _failed("the server refused user or password", *_refusal(error.smtp_code, "login")) from error
        except OSError as error:
            raise _failed(f"logging in broke off: {error}", ErrorClass.TRANSIENT, "Unreachable") from error


def _message(call: ActionCall, sender: Address) -> EmailMessage:
    """The mail. Raises ActionFailed for what would end a header early."""
    try:
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = sender
        message["To"] = [Address(addr_spec=address) for address in _addresses(call.arguments["to"])]
        copies = [Address(addr_spec=address) for address in _addresses(call.arguments.get("cc"))]
        if copies:
            message["Cc"] = copies
        if call.arguments.get("reply_to") is not None:
            message["Reply-To"] = Address(addr_spec=str(call.arguments["reply_to"]))
        message["Subject"] = _one_line(str(call.arguments["subject"]))
        message["Date"] = localtime()
        message["Message-ID"] = f"<{call.token}@{sender.domain}>"
        # RFC 3834: no out-of-office answers to machines, please.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(str(call.arguments["text"]), cte="quoted-printable")
    except (MessageError, ValueError, IndexError) as error:
        raise _failed(f"the mail cannot be written: {error}", ErrorClass.REJECTED, "ArgumentRefused") from error
    return message


def _one_line(text: str) -> str:
    if any(mark in text for mark in _ENDS_LINES):
        raise ValueError("the subject holds line breaks")
    return text


def _addresses(given: JsonValue) -> Sequence[str]:
    if given is None:
        return []
    return [str(address) for address in given] if isinstance(given, list) else [str(given)]


def _hand_over(server: smtplib.SMTP, sender: str, recipients: Sequence[str], message: EmailMessage) -> None:
    try:
        _offer(server, sender, recipients)
    except (smtplib.SMTPServerDisconnected, TimeoutError, ConnectionError) as error:
        raise _failed(f"the server left before it had the mail: {error}", ErrorClass.TRANSIENT, "Broken") from error
    try:
        code, answer = server.data(message.as_bytes())
    except smtplib.SMTPDataError as error:
        raise _failed(
            f"the server did not want the text: {_text(error.smtp_error)}", *_refusal(error.smtp_code, "DATA")
        ) from error
    except OSError as error:
        raise _failed(
            f"the text was on its way when the connection broke: {error}", ErrorClass.UNKNOWN, "Broken"
        ) from error
    if code != 250:
        raise _failed(f"the server did not take the mail: {_text(answer)}", *_refusal(code, "DATA"))


def _offer(server: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> None:
    """Sender and recipients, before any text. One that is refused: nobody gets the mail."""
    options = ["SMTPUTF8"] if not _is_ascii(sender, *recipients) and server.has_extn("smtputf8") else []
    if not options and not _is_ascii(sender, *recipients):
        raise _failed("the server takes no addresses beyond ASCII", ErrorClass.REJECTED, "SMTPUTF8")
    code, answer = server.mail(sender, options)
    if code != 250:
        raise _failed(f"the server refused the sender {sender}: {_text(answer)}", *_refusal(code, "MAIL"))
    for recipient in recipients:
        code, answer = server.rcpt(recipient)
        if code not in {250, 251}:
            raise _failed(f"the server refused {recipient}: {_text(answer)}", *_refusal(code, "RCPT"))


def _refusal(code: int, command: str) -> tuple[ErrorClass, str]:
    """RFC 5321 and 4954: 4xx may go well later, 5xx will not; in both the server has not taken the mail.

    Of the 5xx, some speak of the server or our credentials and not of this mail. 552 to a recipient means a full
    mailbox, as 452 does (RFC 5321, 4.5.3.1.10).
    """
    if 400 <= code < 500 or (code == 552 and command == "RCPT"):
        return ErrorClass.TRANSIENT, f"SMTP {code}"
    kind = ErrorClass.PERMANENT if code in _OF_THE_SERVER or command == "login" else ErrorClass.REJECTED
    return kind, f"SMTP {code}"


_OF_THE_SERVER = frozenset({500, 502, 503, 504, 521, 530, 534, 535, 538})
"""Commands it does not know, no mail taken at all, credentials wanted or refused, protection wanted."""


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye; whether the server still hears it changes nothing."""
    try:
        server.quit()
    except (TimeoutError, OSError):
        server.close()


def _is_ascii(*texts: str) -> bool:
    return all(text.isascii() for text in texts)


def _text(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:300]


_ADVICE = {
    ErrorClass.TRANSIENT: "Nothing was sent; it may succeed when tried again.",
    ErrorClass.REJECTED: "Nothing was sent; correct the addresses or the text.",
    ErrorClass.PERMANENT: "Nothing was sent; trying again will not help until this is mended.",
    ErrorClass.UNKNOWN: "Whether it was sent is not known: look for its Message-ID before it is sent again.",
}


def _failed(what: str, error_class: ErrorClass, code: str) -> ActionFailed:
    return ActionFailed(f"mail.send: {what}. {_ADVICE[error_class]}", error_class=error_class, code=code)

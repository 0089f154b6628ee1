"""Mail sent to the sandbox is kept, as it was sent, and goes nowhere."""

import signal
import smtplib
from email.message import EmailMessage
from typing import Any

import pytest

from flows.sandbox.inspection import mails, status


def send(port: int, subject: str, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "orderly@sandbox.invalid", "anna@example.org", subject
    message.set_content(text)
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.send_message(message, to_addrs=["anna@example.org", "hidden@example.org"])


def test_a_mail_is_kept_word_for_word_and_outlives_kill_9(sandbox: Any) -> None:
    port = sandbox.start().mail_port
    send(port, "Your bucket: größer", "Line one\n.a line that starts with a dot\nGrüße\n")
    send(port, "Second", "Two\n")
    sandbox.kill()

    first, second = mails(sandbox.state)
    assert first["Subject"] == "Your bucket: größer"
    assert first.get_content() == "Line one\n.a line that starts with a dot\nGrüße\n"
    assert first["X-Envelope-To"] == "anna@example.org, hidden@example.org"
    assert second["Subject"] == "Second"
    assert sandbox.start().mail_port == port


def test_a_mail_that_is_broken_off_is_not_kept(running: Any) -> None:
    now = status(running.state)
    assert now is not None
    kept = len(mails(running.state))
    client = smtplib.SMTP("127.0.0.1", now.mail_port, timeout=10)
    client.helo("client")
    client.mail("a@example.org")
    client.rcpt("b@example.org")
    client.putcmd("DATA")
    client.getreply()
    client.send(b"Subject: half\r\n\r\nthis never")
    client.close()

    send(now.mail_port, "whole", "after it\n")

    subjects = [mail["Subject"] for mail in mails(running.state)[kept:]]
    assert subjects == ["whole"]


def test_a_client_that_stays_connected_does_not_keep_the_sandbox_from_stopping(sandbox: Any) -> None:
    port = sandbox.start().mail_port
    client = smtplib.SMTP("127.0.0.1", port, timeout=10)
    try:
        assert sandbox.end(signal.SIGTERM) == 0
    finally:
        client.close()
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.0.0.1", port, timeout=10)

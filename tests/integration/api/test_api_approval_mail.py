"""Mail to approvers, over a real SMTP server: a link that a person acts on, and a scanner of mails does not."""

import asyncio
import email
import email.policy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from flows.keeper import beside
from flows.records.approval_rows import ApprovalState, NewLink
from flows.records.records import Transaction
from flows.records.rows import OutboxRow
from flows.wiring import Application
from request_models.plan import Approval, InputRule, Literal, Plan, Text
from waiting import wait_until

Make = Callable[..., Plan]


@dataclass
class Box:
    taken: list[Envelope] = field(default_factory=list)
    answer: str = "250 OK"
    port: int = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - named by aiosmtpd
        if self.answer.startswith("250"):
            self.taken.append(envelope)
        return self.answer

    def messages(self) -> list[EmailMessage]:
        found = []
        for one in self.taken:
            assert isinstance(one.content, bytes)
            parsed = email.message_from_bytes(one.content, policy=email.policy.default)
            assert isinstance(parsed, EmailMessage)
            found.append(parsed)
        return found


class AnyPort(Controller):
    """Listens on a free port; aiosmtpd's own first visit goes to the port it was given, which here is 0."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd is half typed


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box()
    controller = AnyPort(made, hostname="127.0.0.1", port=0)
    controller.start()
    made.port = controller.port
    yield made
    controller.stop()


@dataclass
class Post:
    """The keeper's side: an application on the same records, with a mail server and approvers whom it knows."""

    application: Application

    def deliver(self) -> None:
        mail = self.application.approval_mail
        mail.address()
        for message in mail.due(50):
            mail.send(message)


@contextmanager
def keeping(api: Any, port: int) -> Iterator[Post]:
    own = {"mail": {"host": "127.0.0.1", "port": port, "from": "Orderly <orderly@example.org>", "tls": "none"}}
    with Application.open(api.application.settings.model_copy(update={"connectors": own})) as application:
        yield Post(application)


@pytest.fixture
def post(api: Any, box: Box) -> Iterator[Post]:
    with keeping(api, box.port) as made:
        yield made


@pytest.fixture
def plan(make_plan: Make) -> Plan:
    by, message = (Literal("group:approvers"),), Text("Because: {{ inputs.note }}")
    asking = Approval("large", by, message=message, within_seconds=172_800.0, remind_seconds=3600.0)
    return replace(make_plan(), approvals=(asking,), input_rules={"note": InputRule(shown_to="approvers")})


@pytest.fixture
def approvers(api: Any) -> None:
    """dora and emil, and anna, who is the requester."""
    for name in ("dora", "emil", "anna"):
        api.application.records.run(
            lambda tx, name=name: tx.api_keys.add(
                f"{name}'s other", name, ("approvals:decide",), ("approvers",), email=f"{name}@example.org"
            )
        )


def order(api: Any, anna: httpx.Client, plan: Plan, **inputs: str) -> str:
    api.publish(plan)
    given = {"project": "apollo", "token": "hush-hush", "note": "<b>Launch</b>", **inputs}
    answer = anna.post("/v1/requests", json={"model": plan.model, "inputs": given})
    assert answer.status_code == 202, answer.text
    request_id: str = answer.json()["id"]
    return request_id


def link_in(message: EmailMessage) -> str:
    found = re.search(r"https://orderly\.example\.org(/decide/\S+)", message.get_content())
    assert found is not None, message.get_content()
    return found.group(1)


def to(box: Box, name: str) -> EmailMessage:
    return next(one for one in box.messages() if one["To"] == f"{name}@example.org")


def mails_left(api: Any) -> list[OutboxRow]:
    """Those that wait for their time too."""
    found: list[OutboxRow] = api.application.records.read(
        lambda tx: tx.outbox.due("approval_mail", tx.now() + timedelta(days=1), 9)
    )
    return found


def state(api: Any, request_id: str) -> str:
    row = api.application.records.read(lambda tx: tx.requests.get(request_id))
    value: str = row.state.value
    return value


@pytest.mark.usefixtures("approvers")
def test_the_mail_says_all_and_its_link_approves_once(
    api: Any, anna: httpx.Client, plan: Plan, box: Box, post: Post
) -> None:
    request_id = order(api, anna, plan)
    post.deliver()
    assert sorted(one["To"] for one in box.messages()) == ["dora@example.org", "emil@example.org"]
    mail = to(box, "dora")
    assert mail["Subject"] == f"Please decide: Object storage for a project, for anna [{request_id[:8]}]"
    words = mail.get_content()
    for said in ("Because: <b>Launch</b>", "Project: apollo", "token: (secret)", "1. Creating the bucket (memory.note)",
                 "If nobody does, the request is rejected", plan.digest):  # fmt: skip
        assert said in words
    assert "hush-hush" not in words
    link, visitor = link_in(mail), api.connection()
    before = api.recorded()
    page = visitor.get(link)
    for _ in range(3):  # what scanners of mails do
        assert visitor.get(link).status_code == page.status_code == 200
        assert visitor.head(link).status_code in {200, 405}
    assert api.recorded() == before
    assert "&lt;b&gt;Launch&lt;/b&gt;" in page.text
    assert "<b>Launch" not in page.text
    assert "hush-hush" not in page.text
    assert "Your decision, dora" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert state(api, request_id) == "awaiting_approval"
    done = visitor.post(link, data={"decision": "approve", "reason": "fine"})
    assert (done.status_code, state(api, request_id)) == (200, "scheduled")
    assert "Your decision is recorded" in done.text
    again = visitor.post(link, data={"decision": "reject", "reason": "no, after all"})
    assert (again.status_code, state(api, request_id)) == (410, "scheduled")
    assert visitor.post(link_in(to(box, "emil")), data={"decision": "approve"}).status_code == 410
    detail = anna.get(f"/v1/requests/{request_id}").json()
    (decision,) = detail["approvals"][0]["decisions"]
    assert (decision["approver"], decision["via"], decision["reason"]) == ("dora", "link", "fine")
    post.deliver()
    assert len(box.taken) == 2


@pytest.mark.usefixtures("approvers")
def test_a_refusal_by_link_needs_a_reason(api: Any, anna: httpx.Client, plan: Plan, box: Box, post: Post) -> None:
    request_id = order(api, anna, plan)
    post.deliver()
    link, visitor = link_in(to(box, "dora")), api.connection()
    assert visitor.post(link, data={"decision": "reject"}).status_code == 422
    assert visitor.post(link, data={"decision": "maybe"}).status_code == 422
    assert visitor.post(link, content=b"\xff\x00&=&&decision=" * 50).status_code == 422
    assert state(api, request_id) == "awaiting_approval"
    assert visitor.post(link, data={"decision": "reject", "reason": "Too dear."}).status_code == 200
    assert state(api, request_id) == "rejected"


def signed(api: Any, link: NewLink) -> str:
    def write(tx: Transaction) -> str:
        tx.approvals.add_link(link)
        made = tx.approvals.link(link.id)
        assert made is not None
        return tx.approvals.token(made)

    token: str = api.application.records.run(write)
    return token


@pytest.mark.usefixtures("approvers")
def test_a_link_is_of_one_person_one_approval_and_its_time(
    api: Any, anna: httpx.Client, plan: Plan, box: Box, post: Post
) -> None:
    request_id = order(api, anna, plan)
    post.deliver()
    dora, emil, visitor = link_in(to(box, "dora")), link_in(to(box, "emil")), api.connection()
    mine, others = dora.removeprefix("/decide/"), emil.removeprefix("/decide/")
    forged = f"{others.partition('.')[0]}.{mine.partition('.')[2]}"
    for wrong in (forged, mine[:-1], f"{mine}x", mine.partition(".")[0], "nothing", "%00", "x" * 300):
        assert visitor.get(f"/decide/{wrong}").status_code in {404, 422}
        assert visitor.post(f"/decide/{wrong}", data={"decision": "approve"}).status_code in {404, 422}
    records = api.application.records
    (row,) = records.read(lambda tx: tx.approvals.of(request_id))
    late = NewLink(id="late", approval_id=row.id, person="dora", email="d@example.org", group_name="approvers",
                   digest=row.digest, expires=row.asked - timedelta(seconds=1))  # fmt: skip
    own = replace(late, id="own", person="ANNA", email="", expires=row.asked + timedelta(days=1))
    assert visitor.get(f"/decide/{signed(api, late)}").status_code == 410
    assert visitor.post(f"/decide/{signed(api, own)}", data={"decision": "approve"}).status_code == 403
    assert state(api, request_id) == "awaiting_approval"
    anna.post(f"/v1/requests/{request_id}:cancel", json={"why": "x"})
    api.client("olga", "admin").post(f"/v1/requests/{request_id}:cancel", json={"why": "not wanted"})
    gone = visitor.get(dora)
    assert gone.status_code == 410
    assert "nothing to decide any more" in gone.text
    (row,) = records.read(lambda tx: tx.approvals.of(request_id))
    assert row.state is ApprovalState.WITHDRAWN


@pytest.mark.usefixtures("approvers")
def test_a_mail_that_the_server_does_not_take_is_sent_later_and_one_it_refuses_is_told(
    api: Any, anna: httpx.Client, plan: Plan, box: Box, post: Post
) -> None:
    request_id = order(api, anna, plan)
    box.answer = "451 later"
    post.deliver()
    assert box.taken == []
    waiting = api.application.records.read(
        lambda tx: tx.outbox.due("approval_mail", tx.now() + timedelta(minutes=1), 9)
    )
    assert [one.attempts for one in waiting] == [2, 2]
    box.answer = "554 never"
    api.application.records.run(lambda tx: [tx.outbox.defer(one.id, "", tx.now()) for one in waiting])
    post.deliver()
    events = api.application.records.read(lambda tx: [one.event for one in tx.audit.of(request_id)])
    assert events.count("approval_mail_failed") == 2
    assert state(api, request_id) == "awaiting_approval"


def test_without_a_mail_server_or_addresses_it_is_asked_all_the_same(
    api: Any, anna: httpx.Client, plan: Plan, approvers: None
) -> None:
    request_id = order(api, anna, plan)
    Post(api.application).deliver()
    assert (
        api.application.records.read(lambda tx: tx.outbox.due("approval_mail", tx.now() + timedelta(days=1), 9)) == []
    )
    assert state(api, request_id) == "awaiting_approval"


@pytest.mark.usefixtures("approvers")
def test_the_keepers_threads_send_it_and_a_dead_mail_server_holds_nothing_else_up(
    api: Any, anna: httpx.Client, plan: Plan, box: Box, post: Post
) -> None:
    order(api, anna, plan)
    post.application.approval_mail.address()
    with beside(post.application):
        wait_until("both mails were taken", lambda: len(box.taken) == 2)

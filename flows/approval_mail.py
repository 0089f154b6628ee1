"""Mail to those who are asked to decide: with exactly what would be done, and a link for this one decision.

It is two messages of the outbox: one says that somebody is to be told, written with what causes it; from it the keeper
makes one mail for each person it knows an address of. So no mail is lost, and one that fails is repeated alone.
"""

import logging
import secrets
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from connectors.errors import UnknownAction
from connectors.registry import Registry
from flows.actors import KEEPER
from flows.approval_asking import parties_of
from flows.approval_rules import same_person
from flows.approvals import ShownApproval, shown
from flows.approver_directory import ApproverDirectory
from flows.outbox_kinds import APPROVAL_MAIL, APPROVAL_NOTICE
from flows.records.approval_rows import ApprovalState, NewLink, Seat
from flows.records.records import Records, Transaction
from flows.records.rows import OutboxRow, Person
from request_models.actions import ActionBroken, ActionCall, ActionFailed, ErrorClass
from request_models.json_values import JsonValue

MAIL_FAILED = "approval_mail_failed"
"""Audit event of the approval's request."""

_ACTION = "mail.send"
_MAILS = uuid.UUID("b0a4c7d2-0f55-5f8c-8f43-64a1d3a6c0de")
_LINKS_LIVE = timedelta(days=30)
_AT_ONCE = 100
_SENDING = timedelta(minutes=2)
"""So long no other keeper sends the same mail."""
_TIMEOUT_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 15.0, 900.0
_TRIES = 20
_LONGEST_VALUE = 2000

_OCCASIONS = {
    "asked": "you are asked to decide",
    "reminder": "this still waits for you to decide",
    "escalation": "nobody decided this so far; now you are asked too",
    "delegated": "you are asked to decide this in the place of somebody else",
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Ready:
    message: OutboxRow
    arguments: dict[str, JsonValue]


class ApprovalMail:
    """Addresses and sends the mails. `base_url` is how the outside names our API."""

    def __init__(self, records: Records, registry: Registry, directory: ApproverDirectory, base_url: str) -> None:
        self._records = records
        self._registry = registry
        self._directory = directory
        self._base = base_url

    def address(self) -> None:
        """Make mails of what is to be told, one for each person."""
        for message in self._records.read(lambda tx: tx.outbox.due(APPROVAL_NOTICE, self._records.now(), _AT_ONCE)):
            self._records.run(lambda tx, message=message: self._address(tx, message))  # type: ignore[misc] # bound at once

    def due(self, limit: int) -> list[str]:
        """The mails that are to be sent now."""
        found = self._records.read(lambda tx: tx.outbox.due(APPROVAL_MAIL, self._records.now(), limit))
        return [str(message.id) for message in found]

    def send(self, message_id: str) -> None:
        """Send one mail, unless there is nothing to decide any more; one that fails is tried again later."""
        ready = self._records.run(lambda tx: self._ready(tx, int(message_id)))
        if ready is None:
            return
        try:
            action = self._registry.action(_ACTION)
            token = uuid.uuid5(_MAILS, f"{ready.message.request_id}\n{message_id}")
            action.run(
                ActionCall(
                    action=_ACTION,
                    arguments=ready.arguments,
                    token=token,
                    request_id=ready.message.request_id or "",
                    step_path="approvals",
                    timeout_seconds=_TIMEOUT_SECONDS,
                )
            )
        except ActionFailed as error:
            self._failed(ready, str(error), error)
        except (UnknownAction, ActionBroken) as error:
            self._failed(ready, str(error), None)
        else:
            self._records.run(lambda tx: tx.outbox.done(ready.message.id))

    def _failed(self, ready: _Ready, said: str, error: ActionFailed | None) -> None:
        """Try again later what may go well then. The same mail twice does no harm: its link decides once."""
        message, hopeless = ready.message, error is None or error.code == "NotSetUp"
        hopeless = hopeless or (error is not None and error.error_class is ErrorClass.REJECTED)
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(message.attempts, 10), _LONGEST_PAUSE_SECONDS)

        def write(tx: Transaction) -> None:
            if not hopeless and message.attempts + 1 < _TRIES:
                tx.outbox.defer(message.id, said, tx.now() + timedelta(seconds=pause))
                return
            tx.outbox.done(message.id)
            request = tx.requests.get(message.request_id or "")
            if request is not None and not (error is not None and error.code == "NotSetUp"):
                why = f"the mail to {ready.arguments['to']} was not sent: {said}"
                tx.audit.add(request.id, KEEPER, MAIL_FAILED, request.state, request.state, why)

        self._records.run(write)
        _logger.warning("request %s: a mail to an approver was not sent: %s", message.request_id, said)

    def _address(self, tx: Transaction, message: OutboxRow) -> None:
        payload = cast(Mapping[str, Any], message.payload)
        row = tx.approvals.get(payload["approval"])
        if row is not None and row.state is ApprovalState.OPEN:
            request = tx.requests.get(row.request_id)
            assert request is not None, "an approval's request is never deleted"
            parties, told = parties_of(tx, request), set[str]()
            answered = [Person(one.approver, email=one.email) for one in tx.approvals.decisions(row.id)]
            for seat in tx.approvals.seats(row.id):
                for person in self._people(tx, seat) if seat.id in payload["seats"] else ():
                    out = parties.why_not(person) or any(same_person(person, one) for one in answered)
                    if out or person.id in told or "@" not in person.email:
                        continue
                    told.add(person.id)
                    expires = row.due or tx.now() + _LINKS_LIVE
                    link = NewLink(
                        id=secrets.token_hex(8),
                        approval_id=row.id,
                        person=person.id,
                        email=person.email,
                        group_name=seat.group_name,
                        digest=row.digest,
                        expires=expires if expires > tx.now() else tx.now() + _LINKS_LIVE,
                    )
                    tx.approvals.add_link(link)
                    tx.outbox.put(APPROVAL_MAIL, row.request_id, {"link": link.id, "about": payload["about"]})
        tx.outbox.done(message.id)

    def _people(self, tx: Transaction, seat: Seat) -> list[Person]:
        if seat.group_name is not None:
            return self._directory.members(tx, seat.group_name)
        person_id = seat.person or ""
        known = self._directory.person(tx, person_id)
        if known is not None and known.email:
            return [known]
        return [Person(person_id, email=person_id)] if "@" in person_id else []

    def _ready(self, tx: Transaction, message_id: int) -> _Ready | None:
        """The mail, which no other keeper sends for a while; None when there is none to be sent."""
        found = next((one for one in tx.outbox.due(APPROVAL_MAIL, tx.now(), _AT_ONCE) if one.id == message_id), None)
        if found is None:
            return None
        payload = cast(Mapping[str, str], found.payload)
        link = tx.approvals.link(payload["link"])
        row = None if link is None else tx.approvals.get(link.approval_id)
        if link is None or row is None or row.state is not ApprovalState.OPEN or link.used is not None:
            tx.outbox.done(found.id)
            return None
        tx.outbox.defer(found.id, "it is being sent", tx.now() + _SENDING)
        approval = shown(tx, row)
        address = f"{self._base}/decide/{tx.approvals.token(link)}"
        return _Ready(
            found,
            {
                "to": link.email,
                "subject": subject_of(approval),
                "text": text_of(approval, payload["about"], address, link.expires),
            },
        )


def subject_of(shown_approval: ShownApproval) -> str:
    """The mail's subject: one line, whatever the people are called."""
    request = shown_approval.request
    title = shown_approval.plan.title.get("en") or shown_approval.plan.model
    line = " ".join(f"Please decide: {title}, for {request.requested_for.id} [{request.id[:8]}]".split())
    return line[:300]


def text_of(shown_approval: ShownApproval, about: str, address: str, expires: datetime) -> str:
    """The mail's text: what is asked for, what would be done, and how to decide."""
    one = shown_approval
    row, request = one.row, one.request
    title = one.plan.title.get("en") or one.plan.model
    inputs = [f"  {each.titles.get('en') or each.name}: {each.words[:_LONGEST_VALUE]}" for each in one.inputs]
    steps = [f"  {n}. {step.title.get('en') or step.path} ({step.uses})" for n, step in enumerate(one.steps, 1)]
    decide = (
        f"To decide, open this address. It is for you alone, works once, until {expires:%Y-%m-%d %H:%M} UTC, and "
        "opening it decides nothing yet:"
    )
    parts = [
        f"{_OCCASIONS.get(about, _OCCASIONS['asked']).capitalize()}.",
        f"{_name(request.requester)} orders: {title}, for {_name(request.requested_for)}.",
        *_message(one),
        "\n".join(["What was asked for:", *inputs]),
        "\n".join(["What would be done once it is approved:", *steps]),
        _until(one),
        f"{decide}\n\n  {address}",
        f"Or over the command line: orderly approvals {row.id}",
        f"Request {request.id}\nPlan {request.plan_digest}\nDigest of what you decide on {row.digest}",
    ]
    return "\n\n".join(parts) + "\n"


def _message(one: ShownApproval) -> Iterator[str]:
    if isinstance(one.row.message.public, str) and one.row.message.public:
        yield textwrap.indent(one.row.message.public, "  ")


def _until(one: ShownApproval) -> str:
    if one.row.due is None:
        return "It waits until somebody decides."
    silent = "the request waits on" if one.approval.if_silent == "wait" else "the request is rejected"
    return f"Please decide by {one.row.due:%Y-%m-%d %H:%M} UTC. If nobody does, {silent}."


def _name(person: Person) -> str:
    return f"{person.name} ({person.id})" if person.name and person.name != person.id else person.id

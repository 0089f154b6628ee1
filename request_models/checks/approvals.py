"""Approvals that other people can give, in time, and that nobody can give himself."""

import re
from collections.abc import Iterator

from request_models.assignability import mismatches
from request_models.durations import parse_duration
from request_models.findings import Finding
from request_models.plan import Expression, Literal, Text
from request_models.resolved import Resolved
from request_models.schema import ApprovalDocument
from request_models.typed import Typed, TypedNode
from request_models.value_types import ArrayType, StringType, UnionType
from request_models.yaml_source import Path

APPROVER = re.compile(r"(?:person|group):\S.*|manager:(?:requester|user)")
"""How an approver is written: `person:ID`, `group:NAME`, `manager:requester`, `manager:user`."""
_PEOPLE = UnionType(options=(StringType(), ArrayType(items=StringType())))
_SELF = frozenset({"requester.id", "user.id"})


def check(typed: Typed) -> Iterator[Finding]:
    """`approval-by-requester`, `approver-form`, `approval-quorum`, `approval-time`, `approval-step`."""
    for index, approval in enumerate(typed.resolved.document.approvals):
        path: Path = ("approvals", index)
        for place in (place.node for at, place in typed.places.items() if at[:2] == path):
            if len(place.path) == 4 and place.path[2] in {"by", "escalate"}:
                yield from _approver(place)
        yield from _quorum(approval, path)
        yield from _times(approval, path)
        yield from _step(typed.resolved, approval, path)


def _approver(node: TypedNode) -> Iterator[Finding]:
    match node.node:
        case Literal(value=str() as text):
            if APPROVER.fullmatch(text) is None:
                hint = "write `person:ID`, `group:NAME`, `manager:requester` or `manager:user`"
                yield Finding(node.path, "approver-form", f"`{text}` names nobody who could decide", hint)
        case Text(reads=reads) | Expression(reads=reads):
            if reads and set(reads) <= _SELF:
                message = "this is the requester, or the person it is for: neither may approve the own request"
                hint = "name a group, or `manager:requester`"
                yield Finding(node.path, "approval-by-requester", message, hint)
            kind = node.given_type
            for wrong in mismatches(kind, _PEOPLE)[:1] if kind is not None else ():
                yield Finding(node.path, "approver-form", f"approvers are texts or a list of texts: {wrong.message}")
        case _:
            pass


def _quorum(approval: ApprovalDocument, path: Path) -> Iterator[Finding]:
    single = [who for who in approval.by if who.startswith(("person:", "manager:")) and "{{" not in who]
    if len(single) == len(approval.by) and approval.quorum > len(set(single)):
        message = f"{approval.quorum} must approve, but only {len(set(single))} may"
        yield Finding((*path, "quorum"), "approval-quorum", message, "name more, or a group; or ask fewer")


def _times(approval: ApprovalDocument, path: Path) -> Iterator[Finding]:
    within = None if approval.within is None else parse_duration(approval.within)
    if approval.remind is not None and within is not None and parse_duration(approval.remind) >= within:
        message = "the reminder comes when the time to decide is over"
        yield Finding((*path, "remind"), "approval-time", message, "remind earlier, or allow more time")
    for key in ("if_silent", "remind", "escalate"):
        if within is None and key in approval.model_fields_set and key != "remind":
            hint = "write `within: P2D`"
            message = f"`{key}` says what happens in time, but nothing says by when to decide"
            yield Finding((*path, key), "approval-time", message, hint, on_key=True)


def _step(resolved: Resolved, approval: ApprovalDocument, path: Path) -> Iterator[Finding]:
    if approval.before is None:
        return
    block = resolved.block(approval.before)
    place = (*path, "before")
    if block is None:
        yield Finding(place, "approval-step", f"there is no step `{approval.before}`")
    elif any(block.path[: len(loop)] == loop for loop in resolved.loops):
        message = f"`{approval.before}` is in a loop: an approval is asked once"
        yield Finding(place, "approval-step", message, "name the loop's group, or a step before it")

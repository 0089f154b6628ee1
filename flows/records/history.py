"""The records as the history's tables (design section 9): what review reads, secrets and names of people left out."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from flows.records.column_types import to_microseconds
from flows.records.rows import Person, Sealed
from flows.records.tables import attempts, metadata, plans, requests, touches

_BATCH = 2_000

HistoryRow = dict[str, object]


class History:
    """Reads whole tables, row by row. `pseudonym` stands for a person's id wherever one is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def requests(self, pseudonym: Callable[[str], str]) -> Iterator[HistoryRow]:
        """Every request; an input in which a secret stands is left out."""
        for row in self._all(select(requests).order_by(requests.c.submitted, requests.c.id)):
            person: Person = row["requester"]
            yield {
                **_same(row, "id", "model", "model_version", "plan_digest", "arm", "channel", "due_seconds"),
                **_same(row, "clock_stopped_seconds", "parent"),
                **_moments(row, "submitted", "started", "ended", "closed_at"),
                "requester": pseudonym(row["requester_id"]),
                "requester_group": min(person.groups, default=None),
                "inputs": _without_secrets(row["inputs"]),
                "state": row["state"].value,
                "cancelled_by": None if row["cancelled_by"] is None else pseudonym(row["cancelled_by"]),
            }

    def steps(self) -> Iterator[HistoryRow]:
        """Every attempt of every step."""
        order = (attempts.c.request_id, attempts.c.path, attempts.c.item_key, attempts.c.attempt)
        for row in self._all(select(attempts).order_by(*order)):
            yield {
                **_same(row, "path", "item_key", "attempt", "action", "error_code", "supplier", "touched"),
                **_moments(row, "queued", "started", "ended"),
                "request": row["request_id"],
                "outcome": None if row["outcome"] is None else row["outcome"].value,
                "error_class": None if row["error_class"] is None else row["error_class"].value,
            }

    def approvals(self, pseudonym: Callable[[str], str]) -> Iterator[HistoryRow]:
        """Every decision, and every approval that nobody has decided yet; none where approvals are not recorded."""
        asked, decided = metadata.tables.get("approvals"), metadata.tables.get("approval_decisions")
        if asked is None or decided is None:
            return
        for row in self._all(_decisions(asked, decided)):
            yield {
                **_same(row, "approval", "decision"),
                **_moments(row, "asked", "decided"),
                "request": row["request_id"],
                "approver": pseudonym(row["approver"]) if row["approver"] else "",
            }

    def touches(self, pseudonym: Callable[[str], str]) -> Iterator[HistoryRow]:
        """Everything that people did by hand."""
        for row in self._all(select(touches).order_by(touches.c.id)):
            yield {
                **_same(row, "path", "team", "minutes", "label"),
                **_moments(row, "started", "ended"),
                "request": row["request_id"],
                "kind": row["kind"].value,
                "actor": pseudonym(row["actor"]),
            }

    def plans(self) -> Iterator[HistoryRow]:
        """Every plan that a request was accepted with."""
        for row in self._all(select(plans.c.digest, plans.c.plan).order_by(plans.c.digest)):
            yield {"digest": row["digest"], "plan": row["plan"]}

    def _all(self, query: Select[Any]) -> Iterator[Mapping[str, Any]]:
        found = self._connection.execution_options(yield_per=_BATCH).execute(query)
        for row in found.mappings():
            yield dict(row)


def _decisions(asked: Table, decided: Table) -> Select[Any]:
    both = asked.outerjoin(decided, decided.c.approval_id == asked.c.id)
    columns = (asked.c.request_id, asked.c.approval, asked.c.asked)
    chosen = (*columns, decided.c.approver, decided.c.decided, decided.c.decision)
    return select(*chosen).select_from(both).order_by(asked.c.id, decided.c.id)


def _same(row: Mapping[str, Any], *names: str) -> HistoryRow:
    return {name: row[name] for name in names}


def _moments(row: Mapping[str, Any], *names: str) -> HistoryRow:
    return {name: None if row[name] is None else to_microseconds(row[name]) for name in names}


def _without_secrets(inputs: Sealed | None) -> object:
    """The inputs without those in which a secret stands."""
    if inputs is None or not isinstance(inputs.public, dict):
        return {}
    secret = {pointer.split("/")[1].replace("~1", "/").replace("~0", "~") for pointer in inputs.secret_pointers}
    return {name: value for name, value in inputs.public.items() if name not in secret}

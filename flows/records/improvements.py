"""The register of improvements: what reviews found, and what was decided of it (practice, row 16)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, func, insert, select

from flows.records.errors import NotFound
from flows.records.improvement_states import ImprovementState
from flows.records.improvement_tables import findings, improvement_decisions, reviews
from flows.records.upsert import insert_into
from request_models.json_values import JsonValue


@dataclass(frozen=True)
class Improvement:
    """A finding with where it stands. `owner` is who must agree, if any; `reason` is the last decision's."""

    id: str
    model: str
    detector: str
    finding: Mapping[str, JsonValue]
    made: datetime
    seen: datetime
    state: ImprovementState
    actor: str | None
    reason: str

    @property
    def owner(self) -> str | None:
        """Who must agree to it."""
        return cast(str | None, self.finding.get("owner"))


class Improvements:
    """Findings are kept once, however often they are found; decisions are added and never changed."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def review_number(self, history_digest: str) -> int:
        """The number of the review of a history, from 1: the same history is the same review."""
        known = select(reviews.c.number).where(reviews.c.history_digest == history_digest)
        number = self._connection.execute(known).scalar_one_or_none()
        if number is None:
            last = self._connection.execute(select(func.max(reviews.c.number))).scalar_one()
            number = (last or 0) + 1
            row = {"history_digest": history_digest, "number": number, "made": self._clock()}
            self._connection.execute(insert(reviews).values(**row))
        return int(number)

    def put(self, finding: Mapping[str, JsonValue]) -> None:
        """Register a finding, as `Finding.to_json` gives it; found again, it is as seen last."""
        now = self._clock()
        row = {
            "id": finding["id"],
            "model": finding["model"],
            "detector": finding["detector"],
            "finding": dict(finding),
        }
        new = insert_into(self._connection, findings).values(**row, made=now, seen=now)
        again = {"finding": new.excluded.finding, "seen": now}
        self._connection.execute(new.on_conflict_do_update(index_elements=[findings.c.id], set_=again))

    def put_all(self, found: Iterable[Mapping[str, JsonValue]]) -> None:
        """Register several."""
        for finding in found:
            self.put(finding)

    def decide(self, finding_id: str, state: ImprovementState, actor: str, reason: str) -> None:
        """Record a decision; raises NotFound."""
        self.get(finding_id)
        row = {"finding_id": finding_id, "state": state, "actor": actor, "at": self._clock(), "reason": reason}
        self._connection.execute(insert(improvement_decisions).values(**row))

    def get(self, finding_id: str) -> Improvement:
        """One improvement; raises NotFound."""
        row = self._connection.execute(select(findings).where(findings.c.id == finding_id)).mappings().one_or_none()
        if row is None:
            raise NotFound("finding", finding_id)
        return self._improvement(dict(row))

    def all(self) -> list[Improvement]:
        """The whole register, newest first."""
        rows = (
            self._connection.execute(select(findings).order_by(findings.c.made.desc(), findings.c.id)).mappings().all()
        )
        return [self._improvement(dict(row)) for row in rows]

    def decisions(self) -> list[dict[str, Any]]:
        """Every decision, in the order in which they were made."""
        rows = self._connection.execute(select(improvement_decisions).order_by(improvement_decisions.c.id)).mappings()
        return [dict(row) for row in rows]

    def _improvement(self, row: dict[str, Any]) -> Improvement:
        decided = select(improvement_decisions).where(improvement_decisions.c.finding_id == row["id"])
        newest = decided.order_by(improvement_decisions.c.id.desc()).limit(1)
        last = self._connection.execute(newest).mappings().one_or_none()
        state = ImprovementState.PROPOSED if last is None else last["state"]
        actor, reason = (None, "") if last is None else (last["actor"], last["reason"])
        return Improvement(**row, state=state, actor=actor, reason=reason)

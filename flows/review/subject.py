"""One model under review: its plan as it is now, and its rows of the history in tables for the detectors.

`req`: its requests (`current`: accepted with the plan as it is now; `seconds`: to the end with the clock stopped where
it stops, `over`: ended; `failed`: it did not succeed by itself). `att`: attempts of steps of current requests, with
what came after each. `run`: one row a step and item of a current request.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from flows.review.findings import Edit, Evidence, Finding, Prediction
from flows.review.gates import Gate
from flows.review.warehouse import Warehouse
from request_models.errors import RequestModelsError
from request_models.plan import Plan, Step, plan_from_json

DAY = 86_400_000_000
"""Microseconds."""

SAMPLE = 10_000
"""Requests whose inputs are looked at one by one, at most."""


@dataclass(frozen=True)
class Subject:
    """A model and its history. `plan` is None where the history holds none: another tool's log."""

    model: str
    plan: Plan | None
    digest: str | None
    history: Warehouse
    until: int
    """The last moment that the history tells of: what has not ended by then is unfinished."""
    _known: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, history: Warehouse, model: str, until: int) -> "Subject":
        """The model with its tables made; those of another subject of this history are gone then."""
        latest = history.rows(
            "SELECT plan_digest, model_version FROM requests WHERE model = ? "
            "ORDER BY submitted DESC NULLS LAST, id DESC LIMIT 1",
            [model],
        )
        digest = latest[0][0] if latest else None
        history.run(
            "CREATE OR REPLACE TEMP TABLE req AS " + _REQUESTS, [until, latest[0][1] if latest else None, digest, model]
        )
        history.run("CREATE OR REPLACE TEMP TABLE att AS " + _ATTEMPTS)
        history.run("CREATE OR REPLACE TEMP TABLE run AS " + _RUNS)
        return cls(model, _plan(history, digest), digest, history, until)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the plan, none where there is no plan."""
        return () if self.plan is None else self.plan.steps

    @cached_property
    def due_seconds(self) -> float | None:
        """By when requests of it are due: by its plan, or by what most of the requests say."""
        if self.plan is not None:
            return self.plan.due.within_seconds
        rows = self.history.rows("SELECT mode(due_seconds) FROM req WHERE due_seconds > 0")
        return cast(float | None, rows[0][0])

    @cached_property
    def current(self) -> int:
        """How many requests were accepted with the plan as it is now."""
        return int(self.history.one("SELECT count(*) FROM req WHERE current")[0])

    @property
    def input_schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """The schemas of the inputs by name."""
        properties = {} if self.plan is None else self.plan.inputs.get("properties", {})
        return cast(Mapping[str, Mapping[str, Any]], properties)

    @cached_property
    def inputs(self) -> list[tuple[str, int, bool, dict[str, Any]]]:
        """Of current requests: id, moment of submission, whether it failed, and its inputs; oldest first.

        Of very many they are a sample, chosen by the hash of the id: enough for any gate.
        """
        rows = self.history.rows(
            "SELECT id, submitted, failed, inputs FROM "
            f"(SELECT * FROM req WHERE current ORDER BY hash(id), id LIMIT {SAMPLE}) ORDER BY submitted, id"
        )
        return [(key, moment or 0, failed, _read(inputs)) for key, moment, failed, inputs in rows]

    def finding(  # noqa: PLR0913 - the parts of a finding, each of which must be said
        self,
        detector: str,
        summary: str,
        edit: Edit,
        evidence: Evidence,
        prediction: Prediction,
        *,
        risk: str,
        p_value: float,
        undo: str = "Revert the commit, and publish.",
        owner: str | None = None,
    ) -> Finding:
        """A finding about this model."""
        return Finding(
            detector, self.model, self.digest, summary, edit, evidence, prediction, risk, undo, p_value, owner
        )

    def evidence(self, said: str, where: str, values: Sequence[object] = (), **numbers: float) -> Evidence:
        """Evidence from attempts; `where` is a condition on `steps`, of which the first few rows are named."""
        condition = (
            f"model = {_literal(self.model)} AND plan_digest = {_literal(self.digest)} AND {_filled(where, values)}"
        )
        query = f"SELECT steps.* FROM steps JOIN requests ON requests.id = steps.request WHERE {condition}"
        example = self.history.rows(
            f"SELECT DISTINCT steps.request FROM steps JOIN requests ON requests.id = steps.request WHERE {condition} "
            "ORDER BY 1 LIMIT 3"
        )
        return Evidence(said, numbers, query, tuple(row[0] for row in example))

    def evidence_of_requests(self, said: str, where: str, values: Sequence[object] = (), **numbers: float) -> Evidence:
        """Evidence from requests; `where` is a condition on `requests`."""
        condition = f"model = {_literal(self.model)} AND {_filled(where, values)}"
        example = self.history.rows(f"SELECT id FROM requests WHERE {condition} ORDER BY id LIMIT 3")
        return Evidence(said, numbers, f"SELECT * FROM requests WHERE {condition}", tuple(row[0] for row in example))


@dataclass(frozen=True)
class Look:
    """What a detector works with."""

    subject: Subject
    gate: Gate


_REQUESTS = """
    SELECT id, plan_digest, model_version, arm, requester_group, inputs, submitted, started, ended, state,
        due_seconds, coalesce(clock_stopped_seconds, 0) AS stopped,
        state IN ('fulfilled', 'failed', 'cancelled', 'rejected') AND ended IS NOT NULL AS over,
        greatest((coalesce(ended, $1) - submitted) / 1e6 - coalesce(clock_stopped_seconds, 0), 0.000001) AS seconds,
        coalesce(state IN ('failed', 'on_hold'), false) AS failed,
        CASE WHEN $3 IS NULL THEN model_version IS NOT DISTINCT FROM $2 ELSE plan_digest IS NOT DISTINCT FROM $3 END
            AS current
    FROM requests WHERE model = $4
"""

_ATTEMPTS = """
    SELECT s.request, s.path, s.item_key, s.attempt, s.queued, s.started, s.ended, s.outcome, s.error_class,
        s.error_code,
        s.supplier, coalesce(s.touched, false) AS touched, (s.ended - s.started) / 1e6 AS seconds,
        lead(s.outcome) OVER step AS next_outcome, lead(coalesce(s.touched, false)) OVER step AS next_touched,
        (lead(s.started) OVER step - s.ended) / 1e6 AS pause,
        (lead(s.ended) OVER step - s.ended) / 1e6 AS until_next_end
    FROM steps s JOIN req r ON r.id = s.request WHERE r.current
    WINDOW step AS (PARTITION BY s.request, s.path, s.item_key ORDER BY s.attempt)
"""

_RUNS = """
    SELECT request, path, item_key, count(*) AS attempts, min(started) AS started, max(ended) AS ended,
        arg_max(outcome, attempt) AS outcome, arg_max(error_class, attempt) AS error_class, bool_or(touched) AS touched,
        sum(CAST(round(seconds * 1e6) AS BIGINT)) / 1e6 AS seconds
    FROM att GROUP BY request, path, item_key
"""


def _plan(history: Warehouse, digest: str | None) -> Plan | None:
    if digest is None:
        return None
    rows = history.rows("SELECT plan FROM plans WHERE digest = ?", [digest])
    if not rows:
        return None
    try:
        return plan_from_json(json.loads(rows[0][0]))
    except (RequestModelsError, ValueError, TypeError, AttributeError):
        return None  # of a version that this one cannot read: what needs the plan is not said then


def _read(inputs: str | None) -> dict[str, Any]:
    try:
        found = json.loads(inputs or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def _filled(where: str, values: Sequence[object]) -> str:
    """The condition with its values in it, as text that a person can run again."""
    parts = where.split("?")
    return "".join(part + (_literal(values[index]) if index < len(values) else "") for index, part in enumerate(parts))

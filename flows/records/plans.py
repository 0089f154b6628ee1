"""Compiled plans by digest: a request runs the plan it was accepted with, whatever became of the model (section 2)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, select

from flows.records.errors import NotFound
from flows.records.tables import plans
from flows.records.upsert import insert_into
from request_models.json_values import JsonValue
from request_models.plan import Plan, plan_from_json


class Plans:
    """The pinned plans."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def put(self, plan: Plan) -> str:
        """Keep a plan; gives its digest.

        Of two plans with one digest, which differ in texts only, the later one's texts are kept.
        """
        insert = insert_into(self._connection, plans).values(
            digest=plan.digest, model=plan.model, plan=plan.to_json(), stored=self._clock()
        )
        self._connection.execute(
            insert.on_conflict_do_update(index_elements=[plans.c.digest], set_={"plan": insert.excluded.plan})
        )
        return plan.digest

    def get(self, digest: str) -> Plan:
        """The plan of a digest; raises NotFound."""
        written = self._connection.execute(select(plans.c.plan).where(plans.c.digest == digest)).scalar_one_or_none()
        if written is None:
            raise NotFound("plan", digest)
        return plan_from_json(cast(Mapping[str, JsonValue], written))

"""Requests that order others: what the tests of them share."""

from dataclasses import fields, replace
from typing import cast

from flows.records.rows import RequestFilter, RequestRow
from request_models.engine_actions import ENGINE_SPECS
from request_models.json_values import JsonValue
from request_models.plan import Literal, MapOf, Node, Plan, Step
from staging import House, plan_of


def engine(path: str, uses: str, returns: dict[str, JsonValue] | None = None, **more: object) -> Step:
    """A step of the engine; what is no field of a step is an argument."""
    own = {one.name for one in fields(Step)}
    arguments = {name: cast(Node, node) for name, node in more.items() if name not in own}
    given = {name: value for name, value in more.items() if name in own}
    return Step(
        path=path,
        title={"en": path},
        uses=uses,
        contract="1",
        effect=ENGINE_SPECS[uses].effect,
        returns=returns,
        **{"arguments": MapOf(arguments), **given},  # type: ignore[arg-type]  # tests pass fields by name
    )


def child_plan(*steps: Step, **more: object) -> Plan:
    inputs: dict[str, JsonValue] = {"size": {"type": "integer"}}
    return replace(plan_of(*steps, inputs=inputs, **more), model="child")  # type: ignore[arg-type]  # tests pass fields by name


def ordering(size: Node | None = None, model: str = "child") -> Step:
    inputs = MapOf({"size": size or Literal(3)})
    return engine("order", "request.submit", model=Literal(model), inputs=inputs)


def children(house: House, request: RequestRow) -> list[RequestRow]:
    rows = house.records.read(lambda tx: tx.requests.list(RequestFilter(limit=99))).items
    return [row for row in rows if row.parent == request.id]


def with_run(house: House, row: RequestRow) -> RequestRow:
    return house.records.run(lambda tx: tx.requests.set_flow_run(row.id, None, f"orderly:{row.id}:nonce"))

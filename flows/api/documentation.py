"""The OpenAPI 3.1 document: every operation with its problems, each problem with an example."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from flows.api.problems import KINDS, PROBLEM_JSON, Problem

_INPUT_EXAMPLE = [{"pointer": "/inputs/region", "code": "enum", "message": "must be one of eu-west-1, us-east-1"}]

DESCRIPTION = """
Order what the catalogue offers, and follow it.

* **Who calls**: `Authorization: Bearer TOKEN_OR_KEY`, or `X-API-Key: KEY`.
* **Safe to repeat**: send an `Idempotency-Key` with each order; the same key and body give the first answer again.
* **Accepted is safe**: after `202` the order is durable, whatever is down behind us; poll `links.self`.
* **Errors** are RFC 9457 problems: `type` is stable, `detail` is for a person, `errors` names each wrong input.
"""


def problems(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that may answer with these kinds of problem."""
    responses: dict[int | str, dict[str, Any]] = {}
    everywhere = ("too-many-calls", "internal") if "unauthenticated" in kinds else ("internal",)
    for kind in (KINDS[name] for name in (*kinds, *everywhere)):
        response = responses.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][PROBLEM_JSON]["examples"][kind.name] = {"summary": kind.title, "value": _example(kind.name)}
    return responses


def _example(name: str) -> dict[str, Any]:
    kind = KINDS[name]
    example: dict[str, Any] = {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.detail,
        "instance": "/v1/requests",
    }
    if name == "invalid-inputs":
        example["errors"] = _INPUT_EXAMPLE
    if name == "internal":
        example["incident"] = "5d41402abc4b"
    return example


def openapi_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What gives the document of `app`; it is made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return document


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter: it may be left out, but none can be null, whatever the type in the code says."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Automated fulfilment of service requests",
        description=DESCRIPTION.strip(),
        routes=app.routes,
        tags=[
            {"name": "catalogue", "description": "What can be ordered."},
            {"name": "requests", "description": "Orders and what became of them."},
            {"name": "approvals", "description": "What people decide before requests, or their steps, begin."},
            {"name": "holds", "description": "What people do to requests on hold."},
            {"name": "tasks", "description": "What requests ask of people."},
            {"name": "events", "description": "What requests wait for from other systems."},
            {"name": "health", "description": "For load balancers and monitoring."},
        ],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            # The framework claims an answer of its own wherever there is a parameter; ours are named by `problems`.
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _without_null(parameter["schema"])
    template = "#/components/schemas/{model}"
    problem = Problem.model_json_schema(ref_template=template, mode="serialization")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    # The framework documents an error shape that we never send.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return document

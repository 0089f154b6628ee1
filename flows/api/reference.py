"""The API's reference as a page for people: made from the OpenAPI document, without scripts and without the network.

The framework's own pages load their scripts from the internet, which an estate behind a firewall does not have.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def add_reference(app: FastAPI) -> None:
    """Serve the page at /docs."""
    template = Environment(autoescape=True, trim_blocks=True).from_string(
        files("flows.api").joinpath("reference.html").read_text(encoding="utf-8")
    )

    def reference() -> HTMLResponse:
        document = app.openapi()
        page = template.render(api=document, operations=list(_operations(document)), shapes=_shapes(document))
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"})

    app.add_api_route("/docs", reference, include_in_schema=False)


def _shapes(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, meaning and schema of every shape."""
    return [
        (name, shape.get("description", ""), json.dumps(shape, indent=2, ensure_ascii=False))
        for name, shape in document["components"]["schemas"].items()
    ]


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield {
                **operation,
                "path": path,
                "method": method.upper(),
                "body": next(_examples(document, operation.get("requestBody", {})), None),
                "examples": {
                    status: list(_examples(document, answer)) for status, answer in operation["responses"].items()
                },
            }


def _examples(document: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[str]:
    """Examples of a body: its own, or those of its shape."""
    for content in part.get("content", {}).values():
        own = [example["value"] for example in content.get("examples", {}).values()]
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        shape = document["components"]["schemas"].get(name, {})
        for example in own or shape.get("examples", []):
            yield json.dumps(example, indent=2, ensure_ascii=False)

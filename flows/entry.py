"""Prefect entry points and nothing else: `flows.entry.NAME` is the flow of the request model NAME (PEP 562).

Any name of a model gives its flow, whether or not the catalogue still has the model: what a flow does is the plan that
the request was accepted with, and that is in our records.
"""

import re as _re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any as _Any

    from prefect import Flow as _Flow

_MODEL_NAME = _re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")


def __getattr__(name: str) -> "_Flow[[str], _Any]":
    """The flow of the model `name`. Raises AttributeError for what cannot be a model's name."""
    if not _MODEL_NAME.match(name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}, nor is that the name of a request model")
    from flows.lowering import flow_of  # noqa: PLC0415 - Prefect takes a second to import, and only flows need it

    return flow_of(name)

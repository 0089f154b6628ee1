"""The static checks, one idea a file. Each takes a stage of the compiler and tells what is wrong, with its own code."""

from collections.abc import Callable, Iterator

from request_models.checks import (
    actions,
    arguments,
    calendars,
    conditions,
    due_time,
    expressions,
    hosts,
    input_schemas,
    names,
    omits,
    retries,
    secrets,
    step_ids,
    targets,
    undos,
    unused,
    value_cycles,
)
from request_models.findings import Finding
from request_models.loading import ModelSource
from request_models.resolving import Resolved
from request_models.typed import Typed

LOADED: tuple[Callable[[ModelSource], Iterator[Finding]], ...] = (input_schemas.check, calendars.check)
"""Checks of a document as it was written."""

RESOLVED: tuple[Callable[[Resolved], Iterator[Finding]], ...] = (
    actions.check,
    step_ids.check,
    names.check,
    value_cycles.check,
    undos.check,
    retries.check,
    due_time.check,
    unused.check,
)
"""Checks of a model whose parts are found."""

TYPED: tuple[Callable[[Typed], Iterator[Finding]], ...] = (
    expressions.check,
    conditions.check,
    omits.check,
    arguments.check,
    hosts.check,
    targets.check,
    secrets.check,
)
"""Checks of a model whose every value has a type."""

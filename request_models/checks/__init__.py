"""The static checks, one idea a file. Each takes a stage of the compiler and tells what is wrong, with its own code."""

from collections.abc import Callable, Iterator

from request_models.checks import (
    actions,
    approvals,
    arguments,
    calendars,
    conditions,
    due_time,
    engine_steps,
    examples,
    expressions,
    hazards,
    hosts,
    input_schemas,
    known_hosts,
    locks,
    loops,
    names,
    omits,
    orders,
    outputs,
    patterns,
    polling,
    retries,
    runnable,
    secrets,
    step_ids,
    suppliers,
    targets,
    undo_order,
    undos,
    unmarked_secrets,
    unused,
    value_cycles,
    yaml_traps,
)
from request_models.findings import Finding
from request_models.loading import ModelSource
from request_models.resolved import Resolved
from request_models.typed import Typed

LOADED: tuple[Callable[[ModelSource], Iterator[Finding]], ...] = (
    input_schemas.check,
    outputs.check,
    patterns.check,
    yaml_traps.check,
)
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
    calendars.check,
    polling.check,
    engine_steps.check,
    suppliers.check,
    locks.check,
    runnable.check,
)
"""Checks of a model whose parts are found."""

TYPED: tuple[Callable[[Typed], Iterator[Finding]], ...] = (
    expressions.check,
    conditions.check,
    omits.check,
    arguments.check,
    hosts.check,
    known_hosts.check,
    targets.check,
    secrets.check,
    unmarked_secrets.check,
    hazards.check,
    loops.check,
    approvals.check,
    orders.check,
    examples.check,
    undo_order.check,
)
"""Checks of a model whose every value has a type."""

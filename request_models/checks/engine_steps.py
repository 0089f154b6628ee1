"""Tasks, waits and orders of other models say what the engine needs to run them."""

from collections.abc import Iterator
from difflib import get_close_matches

from request_models.engine_actions import HUMAN_TASK, REQUEST_SUBMIT, WAIT_EVENT
from request_models.errors import SchemaTranslationError
from request_models.findings import Finding
from request_models.json_schema import from_json_schema
from request_models.resolved import Resolved, ResolvedStep
from request_models.yaml_source import Path


def check(resolved: Resolved) -> Iterator[Finding]:
    """`returns-not-taken`, `returns-schema`, `unknown-model`, `model-cycle`."""
    for step in resolved.steps:
        yield from _returns(step)
        if step.uses == REQUEST_SUBMIT:
            yield from _order(resolved, step.document.arguments.get("model"), (*step.path, "with", "model"))
    lease = resolved.document.lease
    if lease is not None:
        yield from _known(resolved, lease.retire.model, ("lease", "retire", "model"))


def _returns(step: ResolvedStep) -> Iterator[Finding]:
    path = (*step.path, "returns")
    if step.document.returns is None:
        return
    if step.uses not in {HUMAN_TASK, WAIT_EVENT}:
        message = f"`returns` types what comes back of `{HUMAN_TASK}` and `{WAIT_EVENT}`; `{step.uses}` has a type"
        yield Finding(path, "returns-not-taken", message, "leave it out", on_key=True)
        return
    try:
        from_json_schema(dict(step.document.returns))
    except SchemaTranslationError as error:
        yield Finding(path, "returns-schema", f"this is not JSON Schema: {error}", on_key=True)


def _order(resolved: Resolved, model: object, path: Path) -> Iterator[Finding]:
    if not isinstance(model, str) or "{{" in model:
        if model is not None:
            message = "the model that is ordered must be named outright: its inputs are checked now"
            yield Finding(path, "unknown-model", message, "write its name; use `when` to choose between several")
        return
    yield from _known(resolved, model, path)
    chain = _chain(resolved, model)
    if chain:
        message = f"this model would order itself in the end: {' -> '.join((resolved.document.model, *chain))}"
        yield Finding(path, "model-cycle", message, "break the circle")


def _known(resolved: Resolved, model: str, path: Path) -> Iterator[Finding]:
    others = resolved.surroundings.models
    if others is None or others.interface(model) is not None:
        return
    near = get_close_matches(model, others.names(), n=1)
    hint = f"is `{near[0]}` meant?" if near else "the models of the content folders and the shipped ones can be ordered"
    yield Finding(path, "unknown-model", f"there is no model `{model}`", hint)


def _chain(resolved: Resolved, model: str) -> tuple[str, ...]:
    """The models from `model` back to this one, if orders lead there."""
    own = resolved.document.model
    waiting: list[tuple[str, ...]] = [(model,)]
    seen: set[str] = set()
    while waiting:
        chain = waiting.pop()
        if chain[-1] == own:
            return chain
        if chain[-1] in seen:
            continue
        seen.add(chain[-1])
        known = resolved.surroundings.interface(chain[-1])
        waiting += [(*chain, other) for other in sorted(known.orders)] if known is not None else []
    return ()

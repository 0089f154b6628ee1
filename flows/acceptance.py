"""What is judged of an order at once, before anything of it is recorded: its inputs, who may order, and when it starts.

Everything is judged on what the order says, on who asks, and on settings: nothing is read from other systems.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from flows.errors import InputFault, InvalidInputs, NotEligible
from flows.scope import Scope
from request_models.calendars import calendar_from_json
from request_models.expressions import ExpressionError, Omitted, evaluate, render
from request_models.inputs import validate_inputs
from request_models.json_values import JsonValue
from request_models.plan import Eligible, Expression, Plan
from request_models.secrecy import secret_pointers

_LONGEST_LOCK = 200

ScopeOf = Callable[[Mapping[str, JsonValue]], Scope]
"""What expressions see, given the inputs."""


def accepted_inputs(plan: Plan, given: Mapping[str, JsonValue], scope_of: ScopeOf) -> dict[str, JsonValue]:
    """The inputs with their defaults, without those that are not asked. Raises InvalidInputs with all that is wrong."""
    completed, problems = validate_inputs(plan, given)
    if problems:
        faults = tuple(InputFault(problem.pointer, problem.code, problem.message) for problem in problems)
        raise InvalidInputs(plan.model, faults)
    asked = _asked(plan, completed, scope_of)
    faults = tuple(_unasked(plan, name) for name in given if name not in asked)
    faults += tuple(
        InputFault(f"/{name}", "missing", "this input is missing") for name in asked if name not in completed
    )
    if faults:
        raise InvalidInputs(plan.model, faults)
    return {name: value for name, value in completed.items() if name in asked}


def _asked(plan: Plan, completed: Mapping[str, JsonValue], scope_of: ScopeOf) -> dict[str, None]:
    """The inputs that are asked, or may be given. What depends on an input that is not asked is looked at again."""
    rules = {name: rule.when for name, rule in plan.input_rules.items() if rule.when is not None}
    optional = plan.optional_inputs
    kept = dict(completed)
    for _ in range(len(rules) + 1):
        out = [name for name, when in rules.items() if name in kept and not _holds(plan, when, scope_of(kept), name)]
        if not out:
            break
        kept = {name: value for name, value in kept.items() if name not in out}
    needed = [
        name
        for name, when in rules.items()
        if name not in kept and name not in optional and _holds(plan, when, scope_of(kept), name)
    ]
    return dict.fromkeys([*kept, *needed])


def _holds(plan: Plan, when: Expression, scope: Scope, name: str) -> bool:
    try:
        value = evaluate(when, scope)
    except ExpressionError as error:
        raise InvalidInputs(plan.model, (InputFault(f"/{name}", "condition", str(error)),)) from None
    return value is True


def _unasked(plan: Plan, name: str) -> InputFault:
    rule = plan.input_rules[name]
    source = "" if rule.when is None else f": `{rule.when.source}` is not so"
    return InputFault(f"/{name}", "not-asked", f"this input is not asked here{source}; leave it out")


def frozen_values(plan: Plan, scope: Scope) -> dict[str, JsonValue]:
    """Compute the model's `values`, each from those before it; what cannot be computed refuses the order."""
    values: dict[str, JsonValue] = {}
    for named in plan.values:
        try:
            value = render(named.value, {**scope, "values": values})
        except ExpressionError as error:
            raise InvalidInputs(plan.model, (InputFault("", f"value-{named.name}", str(error)),)) from None
        if not isinstance(value, Omitted):
            values[named.name] = value
    return values


def secret_values(plan: Plan) -> list[str]:
    """Pointers to what may be secret in the model's `values`."""
    return [f"/{value.name}{pointer}" for value in plan.values for pointer in secret_pointers(value.value)]


def lock_names(plan: Plan, scope: Scope) -> tuple[str, ...]:
    """What the request is to lock while it runs. Raises InvalidInputs when that cannot be told."""
    names: list[str] = []
    for number, lock in enumerate(plan.locks):
        try:
            name = render(lock, scope)
        except ExpressionError as error:
            raise _no_lock(plan, number, str(error)) from None
        if isinstance(name, Omitted):
            continue
        if not isinstance(name, str) or not name.strip():
            raise _no_lock(plan, number, "the name of a lock must be a text that is not empty")
        if len(name) > _LONGEST_LOCK:
            raise _no_lock(plan, number, f"the name of a lock may have {_LONGEST_LOCK} characters, not {len(name)}")
        names.append(name)
    return tuple(names)


def _no_lock(plan: Plan, number: int, why: str) -> InvalidInputs:
    return InvalidInputs(plan.model, (InputFault("", f"lock-{number}", why),))


def refuse_ineligible(plan: Plan, scope: Scope) -> None:
    """Raise NotEligible when requester or user may not have this; a condition that cannot be judged is not met."""
    if plan.eligible is None:
        return
    for who, condition in (("requester", plan.eligible.requester), ("user", plan.eligible.user)):
        if condition is not None and not _met(condition, scope):
            raise NotEligible(plan.model, who, condition.source, _said(plan.eligible, scope))


def _met(condition: Expression, scope: Scope) -> bool:
    try:
        return evaluate(condition, scope) is True
    except ExpressionError:
        return False


def _said(eligible: Eligible, scope: Scope) -> str:
    try:
        said = None if eligible.otherwise is None else render(eligible.otherwise, scope)
    except ExpressionError:
        said = None
    return said if isinstance(said, str) else ""


def start_of(plan: Plan, scope: Scope, now: datetime) -> datetime:
    """When a request may start: at the model's moment, if it is to come, and in its window. Raises InvalidInputs."""
    starts = plan.starts
    if starts is None:
        return now
    start = now
    if starts.at is not None:
        try:
            start = max(now, _moment(render(starts.at, scope), starts.window, plan))
        except (ExpressionError, ValueError) as error:
            raise InvalidInputs(plan.model, (InputFault("", "starts", f"when it starts: {error}"),)) from None
    written = plan.calendars.get(starts.window or "")
    return start if not isinstance(written, dict) else calendar_from_json(written).next_opening(start)


def _moment(value: "JsonValue | Omitted", window: str | None, plan: Plan) -> datetime:
    """A moment as it was written; a date alone begins at midnight of the window's zone, or of UTC."""
    if not isinstance(value, str):
        raise ValueError("it must be a moment")  # noqa: TRY004 - what a model's expression gave, not a caller's mistake
    if len(value) == len("2026-11-05"):
        written = plan.calendars.get(window or "")
        zone = ZoneInfo(calendar_from_json(written).zone) if isinstance(written, dict) else UTC
        return datetime.combine(date.fromisoformat(value), time(), zone)
    return datetime.fromisoformat(value)

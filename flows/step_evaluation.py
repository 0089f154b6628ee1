"""What a step's expressions give: its condition, arguments, hosts and target, once, and what is expected of an answer.

What is evaluated before the first call is committed and never evaluated again (design section 3).
"""

from collections.abc import Callable, Mapping
from typing import cast

from flows.records.rows import StepRow
from flows.scope import Scope
from flows.step_ledger import Failure, StepLedger
from request_models.actions import ErrorClass
from request_models.expressions import ExpressionError, Omitted, evaluate, render
from request_models.json_values import JsonValue
from request_models.plan import Expression, Step


def evaluate_step(step: Step, ledger: StepLedger, scope: Scope) -> StepRow:
    """Evaluate condition, arguments, hosts and target, once, and commit them. Raises ExpressionError, ClaimLost."""
    if step.when is not None and not is_true(evaluate(step.when, scope), step.when):
        return ledger.skip(f"skipped, since `{step.when.source}` is false")
    arguments = cast(dict[str, JsonValue], render(step.arguments, scope))
    when_value = None if step.when is None else True
    return ledger.start(arguments, host_names(step, scope), target_of(step, scope), when_value)


def refused_by_expectation(
    step: Step, scope: Callable[[], Scope], arguments: Mapping[str, JsonValue], result: JsonValue
) -> Failure | None:
    """What the model's `expect` has against an answer; None when it has nothing, or there is none."""
    if step.expect is None:
        return None
    seen = {**scope(), "result": result, "args": arguments}
    try:
        if is_true(evaluate(step.expect, seen), step.expect):
            return None
        said = None if step.otherwise is None else render(step.otherwise, seen)
    except ExpressionError as error:
        said = str(error)
    message = said if isinstance(said, str) else f"The answer is not what the model expects: {step.expect.source}"
    return Failure(message, ErrorClass.REJECTED, "expectation")


def is_true(value: JsonValue, condition: Expression) -> bool:
    """The value of a condition; raises ExpressionError when it is neither true nor false: no text counts as yes."""
    if not isinstance(value, bool):
        raise ExpressionError("a condition must give true or false", condition.source)
    return value


def host_names(step: Step, scope: Scope) -> tuple[str, ...]:
    """The names of hosts and groups that a step runs on. Raises ExpressionError."""
    if step.hosts is None:
        return ()
    hosts = render(step.hosts, scope)
    names = [hosts] if isinstance(hosts, str) else hosts
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ExpressionError("`hosts` must give the name of a group or host, or a list of names", step.path)
    return tuple(cast(list[str], names))


def target_of(step: Step, scope: Scope) -> dict[str, JsonValue]:
    """What a step is aimed at, as its connector understands it. Raises ExpressionError."""
    rendered = {key: render(node, scope) for key, node in step.target.items()}
    return {key: value for key, value in rendered.items() if not isinstance(value, Omitted)}

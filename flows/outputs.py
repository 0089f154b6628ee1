"""What the requester gets at the end."""

from collections.abc import Iterator
from typing import cast

from flows.scope import Scope
from request_models.expressions import Omitted, render
from request_models.json_values import JsonValue
from request_models.plan import Plan
from request_models.secrecy import secret_pointers


def rendered_outputs(plan: Plan, scope: Scope) -> dict[str, JsonValue]:
    """The outputs by name, each with its `value` and perhaps a `url`; omitted ones left out. Raises ExpressionError."""
    rendered: dict[str, JsonValue] = {}
    for output in plan.outputs:
        value = render(output.value, scope)
        if isinstance(value, Omitted):
            continue
        shown: dict[str, JsonValue] = {"value": value}
        if output.url is not None:
            shown["url"] = cast(JsonValue, render(output.url, scope))
        rendered[output.name] = shown
    return rendered


def secret_outputs(plan: Plan) -> Iterator[str]:
    """JSON pointers of the outputs that are secret, or hold what is."""
    for output in plan.outputs:
        if output.secret:
            yield f"/{output.name}/value"
        yield from secret_pointers(output.value, f"/{output.name}/value")

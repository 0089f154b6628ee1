"""A condition is true or false, and can be either."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.type_algebra import options, say_type
from request_models.typed import Typed, TypedNode
from request_models.value_types import AnyType, ArrayType, BooleanType, StringType, ValueType


def check(typed: Typed) -> Iterator[Finding]:
    """`condition-type`, `otherwise-without-expect`."""
    for node in typed.conditions():
        if not node.problems:
            yield from _condition(node)
    for call in typed.calls:
        if call.otherwise is not None and call.resolved.document.expect is None:
            message = "`otherwise` is said when `expect` is not met, but there is no `expect`"
            yield Finding((*call.resolved.path, "otherwise"), "otherwise-without-expect", message, on_key=True)


def _condition(node: TypedNode) -> Iterator[Finding]:
    for option in options(node.type):
        if not isinstance(option, BooleanType | AnyType):
            message = f"a condition is true or false, but this is {say_type(option)}"
            yield Finding(node.path, "condition-type", message, _hint(option))
            return


def _hint(option: ValueType) -> str:
    match option:
        case ArrayType():
            return "write `... | length > 0`"
        case StringType():
            return "write `... != ''`"
        case _:
            return "compare it with something"

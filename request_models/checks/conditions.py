"""A condition is true or false."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.type_algebra import options, say_type
from request_models.typed import Typed, TypedNode
from request_models.value_types import AnyType, ArrayType, BooleanType, StringType, ValueType


def check(typed: Typed) -> Iterator[Finding]:
    """`condition-type`, `otherwise-without-expect`."""
    for step in typed.steps:
        for node in (step.when, step.expect):
            if node is not None and not node.problems:
                yield from _condition(node)
        if step.otherwise is not None and step.resolved.document.expect is None:
            message = "`otherwise` is said when `expect` is not met, but there is no `expect`"
            yield Finding((*step.resolved.path, "otherwise"), "otherwise-without-expect", message, on_key=True)


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

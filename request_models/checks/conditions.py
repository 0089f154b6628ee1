"""A condition is true or false, and can be either."""

from collections.abc import Iterator

from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.resolved import ResolvedGroup
from request_models.type_algebra import options, say_type
from request_models.typed import Typed, TypedNode
from request_models.value_types import AnyType, ArrayType, BooleanType, StringType, ValueType


def check(typed: Typed) -> Iterator[Finding]:
    """`condition-type`, `otherwise-without-expect`; `never-true` and `always-true`, `unreachable` for an `else`."""
    for node in typed.conditions():
        if not node.wrong:
            yield from _condition(node)
            yield from _constant(node)
    for block in typed.resolved.all_blocks:
        when = typed.whens.get(block.path)
        if isinstance(block, ResolvedGroup) and block.alternative and when is not None and when.outcome is True:
            message = "this is never done: `when` is always true"
            yield Finding((*block.path, "else"), "unreachable", message, "leave it out, or mend `when`", on_key=True)
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


def _constant(node: TypedNode) -> Iterator[Finding]:
    """A condition that can come out one way only: an error where something is then never done, or never ends well."""
    if node.outcome is None:
        return
    root, key = str(node.path[0]), str(node.path[-1])
    never, always = _SAYS.get(root) or _SAYS[key]
    what, error = always if node.outcome else never
    code = "always-true" if node.outcome else "never-true"
    severity = Severity.ERROR if error else Severity.WARNING
    hint = "by the types of what it reads, and by the conditions around it; leave it out, or mend it"
    said = "always" if node.outcome else "never"
    yield Finding(node.path, code, f"this is {said} true: {what}", hint, severity)


_SAYS = {
    "when": (("what it guards is never done", True), ("it is done in any case", False)),
    "expect": (("every answer is refused", True), ("no answer is ever refused", False)),
    "until": (("it would be waited for in vain", True), ("nothing is waited for", False)),
    "fails": (("polling never ends by it", False), ("the first look ends it as failed", True)),
    "inputs": (("it is never asked", True), ("it is asked in any case", False)),
    "eligible": (("nobody may order", True), ("everybody may order", False)),
    "approvals": (("nobody is ever asked", True), ("it is asked in any case", False)),
    "triggers": (("no event orders", True), ("every event orders", False)),
}
"""By where a condition stands, or its key: what it means when it is never true, and when it always is.

With each, whether that is an error.
"""


def _hint(option: ValueType) -> str:
    match option:
        case ArrayType():
            return "write `... | length > 0`"
        case StringType():
            return "write `... != ''`"
        case _:
            return "compare it with something"

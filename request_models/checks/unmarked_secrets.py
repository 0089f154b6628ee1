"""What goes where a secret is meant comes from an input that says that it is one."""

from collections.abc import Iterator

from request_models.actions import ActionSpec
from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.plain_texts import is_listed
from request_models.plan import Expression, Text
from request_models.secret_names import names_a_secret
from request_models.type_algebra import any_secret, options, resolved
from request_models.typed import Typed, TypedNode
from request_models.value_types import ObjectType, StringType, ValueType


def check(typed: Typed) -> Iterator[Finding]:
    """`secret-not-marked`: an error where the argument's name says that it is a secret, else a warning."""
    for call in typed.calls:
        if call.resolved.spec is not None:
            yield from _call(typed, call.resolved.spec, call.arguments)


def _call(typed: Typed, spec: ActionSpec, arguments: TypedNode) -> Iterator[Finding]:
    for name, node in _secret_arguments(arguments, spec.arguments, ""):
        for leaf in node.walk():
            if isinstance(leaf.node, Expression | Text) and not any_secret(leaf.type):
                for source in sorted(_inputs_read(typed, leaf)):
                    severe = names_a_secret(name) or names_a_secret(source)
                    message = f"`{name}` is secret, but the input `{source}` that it is taken from is not"
                    hint = f"mark the input: `{source}: {{type: string, secret: true}}`; it is then shown nowhere"
                    severity = Severity.ERROR if severe else Severity.WARNING
                    yield Finding(leaf.path, "secret-not-marked", message, hint, severity)


def _secret_arguments(node: TypedNode, wanted: ValueType, name: str) -> Iterator[tuple[str, TypedNode]]:
    """The parts of the arguments that the action keeps secret, with their names."""
    wanted = resolved(wanted)
    if wanted.secret:
        # A map or anything that is kept secret as a whole holds what may be secret: not all in it is.
        if any(isinstance(option, StringType) for option in options(wanted)):
            yield name, node
        return
    for option in options(wanted):
        if isinstance(option, ObjectType) and node.members is not None:
            for key, member in node.members.items():
                if key in option.members:
                    yield from _secret_arguments(member, option.members[key].type, key)


def _inputs_read(typed: Typed, leaf: TypedNode, within: frozenset[str] = frozenset()) -> set[str]:
    """The inputs of free text whose value is in a part of the model, through values too."""
    found: set[str] = set()
    for name in leaf.node.reads if isinstance(leaf.node, Expression | Text) else ():
        root, _, rest = name.partition(".")
        member = rest.partition(".")[0]
        if root == "inputs" and member in typed.inputs.members:
            found |= set() if is_listed(typed.inputs.members[member].type) else {member}
        elif root == "values" and member in typed.values and member not in within:
            for inner in typed.values[member].walk():
                found |= _inputs_read(typed, inner, within | {member})
    return found

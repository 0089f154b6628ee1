"""Every argument fits its action: known, of the right type, and none that must be given is left out."""

from collections.abc import Iterator
from difflib import get_close_matches

from request_models.actions import ActionSpec
from request_models.assignability import Fit, assignment
from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.plan import Literal
from request_models.type_algebra import is_any, options, resolved, say_type
from request_models.typed import Typed, TypedNode
from request_models.value_types import (
    MISSING,
    UNKNOWN,
    AnyType,
    ArrayType,
    Mismatch,
    ObjectType,
    UnionType,
    ValueType,
    check_value,
    key_problems,
    said_twice,
)
from request_models.yaml_source import Path


def check(typed: Typed) -> Iterator[Finding]:
    """`missing-argument`, `unknown-argument`, `argument-type`; `checked-at-run-time`, a note an argument."""
    for call in typed.calls:
        if call.resolved.spec is not None:
            yield from _call(call.resolved.spec, call.arguments, call.resolved.path)


def _call(spec: ActionSpec, arguments: TypedNode, path: Path) -> Iterator[Finding]:
    # What must be given is told at `uses`: where nothing is given there may be no `with` to point at.
    noted: set[Path] = set()
    for finding in _map(arguments, spec.arguments, f"`{spec.name}`", missing_at=(*path, "uses")):
        argument = finding.path[: len(arguments.path) + 1]
        if finding.severity is not Severity.NOTE or argument not in noted:
            yield finding
        if finding.severity is Severity.NOTE:
            noted.add(argument)


def _fits(node: TypedNode, wanted: ValueType, name: str) -> Iterator[Finding]:
    wanted = resolved(wanted)
    if node.wrong or isinstance(wanted, AnyType):
        return
    if is_any(node.type):
        if not isinstance(node.node, Literal):
            yield _note(node, f"{name} must be {say_type(wanted)}")
        return
    if isinstance(wanted, UnionType) and (node.members is not None or node.items is not None):
        yield from _closest(node, wanted, name)
    elif node.members is not None and isinstance(wanted, ObjectType):
        yield from _map(node, wanted, name, missing_at=node.path)
    elif node.items is not None and isinstance(wanted, ArrayType):
        yield from _list(node, wanted, name)
    elif isinstance(node.node, Literal):
        yield from (_mismatch(node, name, wrong) for wrong in check_value(wanted, node.node.value))
    elif (given := node.given_type) is not None:
        found = assignment(given, wanted)
        for wrong in found.mismatches[:3]:
            yield Finding(node.path, "argument-type", f"{name} {_at(wrong)}{wrong.message}")
        if found.fit is Fit.RUN_TIME:
            yield _note(node, f"{name} {_at(found.doubts[0])}{found.doubts[0].message}")


def _note(node: TypedNode, must: str) -> Finding:
    """What cannot be known before anything runs: the value is checked before the call, which has then no effect."""
    message = f"{must}; whether it is so is seen at run time, before the call"
    hint = "where an input gives it, describe the input as narrowly, and it is seen when somebody orders"
    return Finding(node.path, "checked-at-run-time", message, hint, Severity.NOTE)


def _closest(node: TypedNode, wanted: UnionType, name: str) -> Iterator[Finding]:
    tried = [list(_fits(node, option, name)) for option in options(wanted)]
    wrong = [[one for one in found if one.severity is not Severity.NOTE] for found in tried]
    if tried and all(wrong):
        # An option whose names all fit is the one that was meant, however much is wrong inside.
        yield from min(wrong, key=lambda found: (sum(_misnamed(one, node.path) for one in found), len(found)))
    elif tried:
        yield from next(found for found, errors in zip(tried, wrong, strict=True) if not errors)


def _misnamed(wrong: Finding, path: Path) -> bool:
    below = {"missing-argument": len(path), "unknown-argument": len(path) + 1}
    return below.get(wrong.code) == len(wrong.path)


def _map(node: TypedNode, wanted: ObjectType, name: str, missing_at: Path) -> Iterator[Finding]:
    members = node.members or {}
    names = {alias: member for key, member in wanted.members.items() for alias in (key, *member.aliases)}
    for key, member in wanted.members.items():
        names_given = [alias for alias in (key, *member.aliases) if alias in members]
        given = [members[alias] for alias in names_given]
        if len(given) > 1:
            message = f"`{key}` of {name} {said_twice(names_given)}"
            yield Finding(given[-1].path, "argument-type", message, "leave all but one out", on_key=True)
        if member.required and not given:
            yield Finding(missing_at, "missing-argument", f"{name} needs `{key}`", _type_hint(key, member.type))
        elif member.required and all(part.may_be_omitted for part in given):
            yield Finding(given[0].path, "missing-argument", f"{name} needs `{key}`: it cannot be omitted", at="omit")
    for key, part in members.items():
        kind = names[key].type if key in names else wanted.others
        if kind is None:
            yield _unknown(part.path, key, name, wanted)
            continue
        if key not in names:
            for why in key_problems(wanted, key):
                yield Finding(part.path, "argument-type", f"{name} {why}", on_key=True)
        yield from _fits(part, kind, f"`{key}`")


def _list(node: TypedNode, wanted: ArrayType, name: str) -> Iterator[Finding]:
    items = node.items or ()
    sure = sum(not item.may_be_omitted for item in items)
    if wanted.min_items is not None and len(items) < wanted.min_items:
        yield Finding(node.path, "argument-type", f"{name} must have {wanted.min_items} items at least")
    if wanted.max_items is not None and sure > wanted.max_items:
        yield Finding(node.path, "argument-type", f"{name} must have {wanted.max_items} items at most")
    for item in items:
        yield from _fits(item, wanted.items, f"an item of {name}")


def _mismatch(node: TypedNode, name: str, wrong: Mismatch) -> Finding:
    path: tuple[str | int, ...] = node.path
    for token in wrong.pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        path = (*path, int(key) if key.isdigit() else key)
    if wrong.message == UNKNOWN:
        return Finding(path, "unknown-argument", f"{name} {_at(wrong)}{wrong.message}", on_key=True)
    code = "missing-argument" if wrong.message == MISSING else "argument-type"
    return Finding(path, code, f"{name} {_at(wrong)}{wrong.message}")


def _at(wrong: Mismatch) -> str:
    return f"at {wrong.pointer} " if wrong.pointer else ""


def _unknown(path: Path, key: str, name: str, wanted: ObjectType) -> Finding:
    known = [*wanted.members]
    near = get_close_matches(key, known, n=1) or [other for other in known if other.lower() == key.lower()]
    hint = f"is `{near[0]}` meant?" if near else f"known: {', '.join(sorted(known)[:15]) or 'nothing'}"
    return Finding(path, "unknown-argument", f"{name} takes no `{key}`", hint, on_key=True)


def _type_hint(key: str, wanted: ValueType) -> str:
    return f"write `{key}:` with {say_type(wanted)}"
